"""Replicas whose disk failed under a broker that lives on."""

from __future__ import annotations

import pytest
from controllers import TestController

from machines.controller import Asked
from model.errors import ErrorCode
from protocol.cluster_admin import UNCLEAN, AlterReassignments, ElectLeaders, Reassignment
from protocol.cluster_control import ControlledShutdown, ReplicasOffline
from protocol.metadata_records import PartitionRecord


def report(controller: TestController, broker: int, *partitions: int, topic: str = "t", incarnation: int = 1):
    topic_id = controller.image.topics[topic].topic_id
    request = ReplicasOffline(7, broker, incarnation, [(topic_id, partition) for partition in partitions])
    return controller.ask(request, broker)


def test_the_next_replica_in_the_isr_leads_and_only_the_failed_partition_moves():
    controller = TestController()
    controller.create("t", (1, 2, 3), (1, 2, 3))
    assert report(controller, 1, 0).error == 0
    assert controller.partition() == PartitionRecord("t", 0, (1, 2, 3), (2, 3), 2, 1, 2, (), (), (1,))
    assert controller.partition("t", 1).leader == 1


def test_a_follower_leaves_the_isr_and_may_not_come_back():
    controller = TestController()
    controller.create("t", (1, 2, 3))
    report(controller, 2, 0)
    assert (controller.partition().leader, controller.partition().isr) == (1, (1, 3))
    assert controller.propose_isr((1, 2, 3)).error == ErrorCode.INELIGIBLE_REPLICA


def test_the_last_isr_member_stays_in_the_isr_and_leads_again_as_a_new_incarnation():
    controller = TestController()
    controller.create("t", (1, 2, 3))
    controller.die(2)
    controller.die(3)
    report(controller, 1, 0)
    partition = controller.partition()
    assert (partition.leader, partition.isr, partition.offline_replicas) == (-1, (1,), (1,))
    controller.register(2, incarnation=2)
    assert controller.partition().leader == -1, "it lacks what 1 acknowledged alone"
    controller.register(1)
    assert controller.partition().leader == -1, "the same incarnation, the same failed disk"
    controller.register(1, incarnation=2)
    partition = controller.partition()
    assert (partition.leader, partition.isr, partition.offline_replicas) == (1, (1,), ())


def test_all_disks_fail_one_after_the_other():
    controller = TestController()
    controller.create("t", (1, 2, 3))
    for broker in (1, 2, 3):
        report(controller, broker, 0)
    assert (controller.partition().leader, controller.partition().isr) == (-1, (3,))
    controller.register(1, incarnation=2)
    assert controller.partition().leader == -1
    controller.register(3, incarnation=2)
    assert (controller.partition().leader, controller.partition().isr) == (3, (3,))
    assert controller.partition().offline_replicas == (2,)


def test_repeats_and_strangers_change_nothing():
    controller = TestController()
    controller.create("t", (1, 2))
    report(controller, 1, 0)
    version = controller.image.version
    assert report(controller, 1, 0).error == 0
    assert report(controller, 3, 0).error == 0, "3 has no replica of it"
    assert report(controller, 1, 5).error == 0, "there is no partition 5"
    assert report(controller, 2, 0, incarnation=8).error == ErrorCode.STALE_BROKER_EPOCH
    assert controller.step(Asked(1, ReplicasOffline(1, 1, 1, [(bytes(16), 0)])))[-1].message.error == 0
    assert controller.image.version == version


@pytest.mark.parametrize("permits", ["true", "false"])
def test_an_unclean_election_does_not_choose_a_failed_disk(permits):
    controller = TestController()
    controller.create("t", (1, 2, 3), configs={"unclean.leader.election.enable": permits})
    report(controller, 2, 0)
    controller.die(3)
    controller.register(3, incarnation=2)
    report(controller, 1, 0)
    assert controller.partition().leader == (3 if permits == "true" else -1)
    if permits == "false":
        controller.ask(ElectLeaders(1, UNCLEAN, [("t", 0)]))
        assert (controller.partition().leader, controller.partition().isr) == (3, (3,))


def test_a_broker_that_shuts_down_does_not_hand_over_to_a_failed_disk():
    controller = TestController()
    controller.create("t", (1, 2))
    report(controller, 2, 0)
    assert controller.ask(ControlledShutdown(4, 1, 1)).remaining == [("t", 0)]
    assert controller.partition().leader == 1
    report(controller, 1, 0)
    assert (controller.partition().leader, controller.partition().isr) == (-1, (1,))


def test_a_reassignment_away_from_the_failed_disk_forgets_it():
    controller = TestController()
    controller.create("t", (1, 2))
    report(controller, 1, 0)
    controller.ask(AlterReassignments(3, [Reassignment("t", 0, (2, 3))]))
    controller.propose_isr((2, 3))
    assert controller.partition().replicas == (2, 3)
    assert controller.partition().offline_replicas == ()


def test_fewer_replicas_do_not_make_a_failed_one_lead():
    controller = TestController()
    controller.create("t", (1, 2))
    controller.die(2)
    report(controller, 1, 0)
    controller.ask(AlterReassignments(3, [Reassignment("t", 0, (1,))]))
    assert (controller.partition().replicas, controller.partition().leader) == ((1,), -1)
