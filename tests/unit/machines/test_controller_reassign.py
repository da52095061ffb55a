"""Replicas move while the leader goes on; and elections that an admin asks for."""

from controllers import TestController

from model.errors import ErrorCode
from protocol.cluster_admin import (
    PREFERRED,
    UNCLEAN,
    AlterReassignments,
    CreatePartitions,
    ElectLeaders,
    ListReassignments,
    MorePartitions,
    Reassignment,
)
from protocol.metadata_records import PartitionRecord


def move(controller, replicas, topic="t", **options):
    return controller.ask(AlterReassignments(1, [Reassignment(topic, 0, replicas)], **options)).partitions[0]


def a_controller(*replicas):
    controller = TestController(brokers=range(1, 6))
    controller.create("t", replicas or (1, 2, 3))
    return controller


def test_a_move_ends_when_all_added_replicas_are_in_the_isr():
    controller = a_controller(1, 2, 3)
    assert move(controller, (4, 5, 3)).error == 0
    assert controller.partition() == PartitionRecord("t", 0, (4, 5, 3, 1, 2), (1, 2, 3), 1, 0, 1, (4, 5), (1, 2))
    listed = controller.ask(ListReassignments(1)).partitions
    assert listed == [controller.partition()]
    assert controller.ask(ListReassignments(1, [("t", 1)])).partitions == []
    controller.propose_isr((1, 2, 3, 4))
    assert controller.partition().adding_replicas == (4, 5)
    result = controller.propose_isr((1, 2, 3, 4, 5))
    assert controller.partition() == PartitionRecord("t", 0, (4, 5, 3), (3, 4, 5), 4, 1, 4)
    assert (result.leader, result.leader_epoch, result.isr) == (4, 1, (3, 4, 5))


def test_fewer_replicas_need_no_waiting_but_a_new_epoch():
    controller = a_controller(1, 2, 3)
    move(controller, (1, 2))
    assert controller.partition() == PartitionRecord("t", 0, (1, 2), (1, 2), 1, 1, 2)


def test_another_order_of_the_same_replicas_is_no_new_epoch():
    controller = a_controller(1, 2, 3)
    move(controller, (3, 2, 1))
    assert controller.partition() == PartitionRecord("t", 0, (3, 2, 1), (1, 2, 3), 1, 0, 1)


def test_cancelling_returns_to_the_old_replicas():
    controller = a_controller(1, 2)
    move(controller, (3, 4))
    controller.propose_isr((1, 2, 3))
    assert move(controller, None).error == 0
    assert controller.partition() == PartitionRecord("t", 0, (1, 2), (1, 2), 1, 1, 3)
    assert move(controller, None).error == ErrorCode.NO_REASSIGNMENT_IN_PROGRESS


def test_a_second_move_replaces_the_first():
    controller = a_controller(1, 2)
    move(controller, (3, 4))
    move(controller, (5, 2))
    now = controller.partition()
    assert (now.replicas, now.adding_replicas, now.removing_replicas) == ((5, 2, 1), (5,), (1,))


def test_bad_moves_are_refused():
    controller = a_controller(1, 2)
    assert move(controller, (3,), topic="u").error == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert move(controller, (3, 3)).error == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert move(controller, ()).error == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert move(controller, (9,)).error == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    refused = move(controller, (1, 2, 3), allow_replication_factor_change=False)
    assert refused.error == ErrorCode.INVALID_REPLICATION_FACTOR
    assert controller.partition().partition_epoch == 0


def test_a_topic_on_the_move_does_not_grow():
    controller = a_controller(1, 2)
    move(controller, (3, 4))
    reply = controller.ask(CreatePartitions(1, [MorePartitions("t", 2)]))
    assert reply.topics[0].error == ErrorCode.REASSIGNMENT_IN_PROGRESS


def test_a_move_survives_the_death_of_the_leader():
    controller = a_controller(1, 2)
    move(controller, (3, 4))
    controller.die(1)
    assert (controller.partition().leader, controller.partition().isr) == (2, (2,))
    controller.propose_isr((2, 3, 4))
    now = controller.partition()
    assert (now.replicas, now.leader, now.adding_replicas) == ((3, 4), 3, ())


def elect(controller, election_type, partitions=None):
    return controller.ask(ElectLeaders(1, election_type, partitions)).partitions


def test_the_preferred_leader_is_elected_when_it_is_in_the_isr():
    controller = a_controller(1, 2)
    assert elect(controller, PREFERRED, [("t", 0)])[0].error == ErrorCode.ELECTION_NOT_NEEDED
    controller.die(1)
    controller.register(1, incarnation=2)
    assert elect(controller, PREFERRED, [("t", 0)])[0].error == ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
    controller.propose_isr((2, 1))
    assert [(result.topic, result.error) for result in elect(controller, PREFERRED)] == [("t", 0)]
    assert controller.partition().leader == 1
    assert elect(controller, PREFERRED) == []
    assert elect(controller, PREFERRED, [("t", 7)])[0].error == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert elect(controller, 5, [("t", 0)])[0].error == ErrorCode.INVALID_REQUEST


def test_an_unclean_election_on_request_takes_any_live_replica():
    controller = a_controller(1, 2)
    controller.die(2)
    controller.die(1)
    assert elect(controller, UNCLEAN, [("t", 0)])[0].error == ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE
    controller.register(2, incarnation=2)
    assert elect(controller, UNCLEAN, [("t", 0)])[0].error == 0
    assert (controller.partition().leader, controller.partition().isr) == (2, (2,))
    assert elect(controller, UNCLEAN, [("t", 0)])[0].error == ErrorCode.ELECTION_NOT_NEEDED
