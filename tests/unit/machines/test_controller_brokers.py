"""Brokers register, die and shut down: what becomes of their partitions."""

from controllers import TestController, broadcast_records

from machines.controller import AppendRecords, Asked, Broadcast, ControllerMachine, Elected, Send, StoreSnapshot, Tick
from machines.metadata import MetadataImage
from model.configs import BrokerConfig
from model.errors import ErrorCode
from protocol.cluster_admin import CreateTopics, NewTopic
from protocol.cluster_control import (
    AllocateProducerIds,
    ControlledShutdown,
    ControllerIs,
    MetadataSnapshot,
    MetadataUpdate,
    RegisterBroker,
    UnregisterBroker,
)
from protocol.metadata_records import PartitionRecord


def test_when_the_leader_dies_the_next_replica_in_the_isr_leads():
    controller = TestController()
    controller.create("t", (1, 2, 3))
    effects = controller.die(1)
    assert controller.partition() == PartitionRecord("t", 0, (1, 2, 3), (2, 3), 2, 1, 1)
    assert isinstance(effects[0], AppendRecords) and isinstance(effects[1], Broadcast)
    assert broadcast_records(effects) == effects[0].records


def test_when_a_follower_dies_the_leader_and_its_epoch_stay():
    controller = TestController()
    controller.create("t", (1, 2, 3))
    controller.die(2)
    assert controller.partition() == PartitionRecord("t", 0, (1, 2, 3), (1, 3), 1, 0, 1)


def test_the_last_isr_member_stays_in_the_isr_and_leads_again_when_it_is_back():
    controller = TestController()
    controller.create("t", (1, 2, 3))
    for broker in (3, 2, 1):
        controller.die(broker)
    assert (controller.partition().leader, controller.partition().isr) == (-1, (1,))
    controller.register(2, incarnation=2)
    assert controller.partition().leader == -1, "it lacks what 1 acknowledged alone"
    controller.register(1, incarnation=2)
    assert controller.partition() == PartitionRecord("t", 0, (1, 2, 3), (1,), 1, 2, 4)


def test_after_a_power_loss_a_member_leaves_the_lead_to_those_that_may_still_have_everything():
    """Simulated seed 4530."""
    controller = TestController()
    controller.create("t", (1, 2, 3))
    controller.die(1)
    controller.step(Elected(1, 2, {}))  # 2 and 3 are missing, both at once
    assert (controller.partition().leader, controller.partition().isr) == (-1, (2, 3))
    controller.register(3, incarnation=2, has_doubts=True)
    assert (controller.partition().leader, controller.partition().isr) == (-1, (2,))
    controller.register(2)
    assert (controller.partition().leader, controller.partition().isr) == (2, (2,))


def test_the_last_member_leads_even_after_a_power_loss():
    controller = TestController()
    controller.create("t", (1, 2, 3))
    for broker in (3, 2, 1):
        controller.die(broker)
    controller.register(1, incarnation=2, has_doubts=True)
    assert (controller.partition().leader, controller.partition().isr) == (1, (1,))


def test_an_unclean_election_happens_only_where_the_topic_permits_it():
    controller = TestController()
    controller.create("clean", (1, 2))
    controller.create("unclean", (1, 2), configs={"unclean.leader.election.enable": "true"})
    controller.die(2)
    controller.register(2, incarnation=2)
    controller.die(1)
    assert controller.partition("clean").leader == -1
    assert (controller.partition("unclean").leader, controller.partition("unclean").isr) == (2, (2,))


def test_a_death_of_an_older_incarnation_does_not_touch_the_new_one():
    controller = TestController()
    controller.create("t", (1, 2, 3))
    controller.register(1, incarnation=3)
    assert controller.partition().isr == (2, 3), "a new incarnation is the old one's death"
    assert controller.die(1, incarnation=2) == []
    assert not controller.image.brokers[1].is_fenced


def test_the_dead_do_not_register():
    controller = TestController()
    controller.die(1, incarnation=4)
    assert controller.image.brokers[1].is_fenced, "its death was never seen, but a later incarnation's was"
    assert controller.register(1, incarnation=4).error == ErrorCode.STALE_BROKER_EPOCH
    assert controller.register(1, incarnation=5).error == 0
    assert controller.register(1, incarnation=4).error == ErrorCode.STALE_BROKER_EPOCH


def test_registering_twice_changes_nothing():
    controller = TestController()
    version = controller.image.version
    effects = controller.step(Asked(2, RegisterBroker(1, 2, 1, "host", 9002, None, version)))
    assert effects[0] == Send(2, MetadataUpdate(1, version, []))
    assert controller.image.version == version


def test_a_broker_gets_what_it_lacks_before_everyone_gets_the_update():
    controller = TestController(brokers=[1])
    behind = controller.image.version
    controller.create("t", (1,))
    effects = controller.step(Asked(2, RegisterBroker(1, 2, 1, "host", 9002, None, behind)))
    append, catch_up, broadcast, reply = effects
    assert isinstance(append, AppendRecords) and isinstance(broadcast, Broadcast) and isinstance(reply, Send)
    assert isinstance(catch_up, Send) and isinstance(catch_up.message, MetadataUpdate)
    assert catch_up.message.base_version == behind
    assert len(catch_up.message.records) == controller.image.version - behind

    effects = controller.step(Asked(3, RegisterBroker(1, 3, 1, "host", 9003)))
    snapshot = effects[1].message
    assert isinstance(snapshot, MetadataSnapshot)
    assert MetadataImage.of(snapshot.records, snapshot.version) == controller.image


def test_a_new_controller_fences_in_one_event_all_who_died_unseen():
    old = TestController()
    old.create("t", (1, 2, 3))
    machine = ControllerMachine(MetadataImage.of(old.image.to_records(), old.image.version), BrokerConfig())
    effects = machine.step(Elected(3, 2, {3: 1}), 0)
    machine.check()
    partition = machine.image.partition("t", 0)
    assert partition == PartitionRecord("t", 0, (1, 2, 3), (3,), 3, 1, 1), "no detour over 2, which is dead as well"
    assert effects[-1] == Broadcast(ControllerIs(3, 2, machine.image.version))


def test_when_the_whole_cluster_died_at_once_any_isr_member_may_lead_again():
    old = TestController()
    old.create("t", (1, 2, 3))
    machine = ControllerMachine(MetadataImage.of(old.image.to_records(), old.image.version), BrokerConfig())
    machine.step(Elected(2, 2, {2: 5}), 0)
    assert machine.image.partition("t", 0).isr == (1, 2, 3)
    machine.step(Asked(2, RegisterBroker(1, 2, 5, "host", 1)), 0)
    assert machine.image.partition("t", 0) == PartitionRecord("t", 0, (1, 2, 3), (2,), 2, 2, 2)


def test_a_controlled_shutdown_hands_over_and_names_what_it_cannot():
    controller = TestController()
    controller.create("t", (1, 2, 3))
    controller.create("alone", (1,))
    reply = controller.ask(ControlledShutdown(4, 1, 1))
    assert (reply.error, reply.remaining) == (0, [("alone", 0)])
    assert controller.partition() == PartitionRecord("t", 0, (1, 2, 3), (2, 3), 2, 1, 1)
    assert controller.partition("alone").leader == 1
    assert controller.propose_isr((2, 3, 1)).error == ErrorCode.INELIGIBLE_REPLICA
    controller.ask(CreateTopics(1, [NewTopic("new", 1, 3)]))
    assert 1 not in controller.partition("new").isr, "nothing starts on a broker that leaves"
    assert controller.ask(ControlledShutdown(4, 1, 7)).error == ErrorCode.STALE_BROKER_EPOCH


def test_a_lonely_leader_that_shuts_down_hands_over_as_soon_as_a_follower_caught_up():
    controller = TestController()
    controller.create("t", (1, 2))
    controller.die(2)
    controller.register(2, incarnation=2)
    controller.ask(ControlledShutdown(4, 1, 1))
    assert controller.partition().leader == 1
    controller.propose_isr((1, 2))
    assert (controller.partition().leader, controller.partition().isr) == (2, (2,))


def test_unregister_forgets_a_broker():
    controller = TestController()
    controller.create("t", (1, 2, 3))
    assert controller.ask(UnregisterBroker(1, 1)).error == 0
    assert 1 not in controller.image.brokers and controller.partition().isr == (2, 3)
    assert controller.ask(UnregisterBroker(1, 1)).error == ErrorCode.BROKER_ID_NOT_REGISTERED
    assert controller.register(1).error == ErrorCode.STALE_BROKER_EPOCH


def test_producer_ids_come_in_blocks_that_never_overlap():
    controller = TestController()
    first = controller.ask(AllocateProducerIds(1, 1, 1))
    second = controller.ask(AllocateProducerIds(1, 2, 1), broker=2)
    assert (first.first_producer_id, second.first_producer_id, second.count) == (0, 1000, 1000)
    assert controller.ask(AllocateProducerIds(1, 2, 9)).error == ErrorCode.STALE_BROKER_EPOCH


def test_preferred_leaders_get_their_partitions_back_on_a_tick():
    controller = TestController()
    controller.create("t", (1, 2, 3))
    controller.die(1)
    controller.register(1, incarnation=2)
    controller.propose_isr((2, 3, 1))
    assert controller.step(Tick(), now_ms=299_999) == [Broadcast(ControllerIs(1, 1, controller.image.version))]
    controller.step(Tick(), now_ms=300_000)
    assert controller.partition().leader == 1


def test_a_tolerable_imbalance_is_left_alone():
    controller = TestController()
    controller.create("t", *[(1, 2)] * 10)
    controller.die(1)
    controller.register(1, incarnation=2)
    controller.propose_isr((2, 1))
    controller.step(Tick(), now_ms=300_000)
    assert controller.partition().leader == 1
    controller = TestController(leader_imbalance_per_broker_percentage="100")
    controller.create("t", (1, 2))
    controller.die(1)
    controller.register(1, incarnation=2)
    controller.propose_isr((2, 1))
    controller.step(Tick(), now_ms=300_000)
    assert controller.partition().leader == 2


def test_the_log_is_cut_back_after_many_records(monkeypatch):
    monkeypatch.setattr("machines.controller.SNAPSHOT_AFTER_RECORDS", 10)
    controller = TestController()
    effects = controller.step(Asked(1, CreateTopics(1, [NewTopic("big", 20, 3)])))
    snapshot = effects[-1]
    assert isinstance(snapshot, StoreSnapshot) and snapshot.version == controller.image.version
    assert MetadataImage.of(snapshot.records, snapshot.version) == controller.image
