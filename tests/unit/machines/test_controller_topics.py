"""Topics are created, grow and go; each refusal has Kafka's code."""

import pytest
from controllers import TestController

from model.errors import ErrorCode
from protocol.cluster_admin import (
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    MorePartitions,
    NewTopic,
    TopicToDelete,
)


def test_defaults_come_from_the_brokers_config():
    controller = TestController(num_partitions="4", default_replication_factor="3")
    created = controller.ask(CreateTopics(1, [NewTopic("t", configs={"retention.ms": "5"})])).topics[0]
    assert (created.error, created.num_partitions, created.replication_factor) == (0, 4, 3)
    topic = controller.image.topics["t"]
    assert controller.image.topics_by_id[created.topic_id] is topic
    assert topic.configs == created.configs == {"retention.ms": "5"}
    assert all(p.leader == p.replicas[0] and p.isr == p.replicas for p in topic.partitions.values())


def test_one_refused_topic_stops_no_other():
    controller = TestController()
    reply = controller.ask(CreateTopics(1, [NewTopic("a", 1, 1), NewTopic("b", 1, 9), NewTopic("c", 1, 1)]))
    assert [topic.error for topic in reply.topics] == [0, ErrorCode.INVALID_REPLICATION_FACTOR, 0]
    assert list(controller.image.topics) == ["a", "c"]


def test_a_topic_is_created_while_a_broker_is_down_and_has_a_replica_for_it():
    controller = TestController()
    controller.die(2)
    created = controller.ask(CreateTopics(1, [NewTopic("t", 1, 3)])).topics[0]
    partition = controller.partition("t")
    assert (created.error, sorted(partition.replicas), sorted(partition.isr)) == (0, [1, 2, 3], [1, 3])
    controller.register(2, incarnation=2)
    assert controller.propose_isr((1, 3, 2)).error == 0, "it joins as any follower does"


def test_with_all_brokers_down_no_topic_is_created():
    controller = TestController()
    for broker in (1, 2, 3):
        controller.die(broker)
    created = controller.ask(CreateTopics(1, [NewTopic("t", 1, 3)])).topics[0]
    assert created.error == ErrorCode.INVALID_REPLICATION_FACTOR


def test_validate_only_creates_nothing():
    controller = TestController()
    version = controller.image.version
    created = controller.ask(CreateTopics(1, [NewTopic("t", 3, 2)], validate_only=True)).topics[0]
    assert (created.error, created.num_partitions, created.replication_factor) == (0, 3, 2)
    assert controller.image.version == version


@pytest.mark.parametrize(
    "topic, error",
    [
        (NewTopic("exists", 1, 1), ErrorCode.TOPIC_ALREADY_EXISTS),
        (NewTopic("a_b", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic("", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic("..", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic("ä", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic("a/b", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic("a\n", 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic("x" * 250, 1, 1), ErrorCode.INVALID_TOPIC_EXCEPTION),
        (NewTopic("n", 0, 1), ErrorCode.INVALID_PARTITIONS),
        (NewTopic("n", -2, 1), ErrorCode.INVALID_PARTITIONS),
        (NewTopic("n", 1, 0), ErrorCode.INVALID_REPLICATION_FACTOR),
        (NewTopic("n", 1, 4), ErrorCode.INVALID_REPLICATION_FACTOR),
        (NewTopic("n", 2**31 - 1, 1), ErrorCode.POLICY_VIOLATION),
        (NewTopic("n", 1, 1, configs={"no.such.config": "1"}), ErrorCode.INVALID_CONFIG),
        (NewTopic("n", 1, 1, configs={"retention.ms": "soon"}), ErrorCode.INVALID_CONFIG),
        (NewTopic("n", 1, 1, configs={"retention.ms": None}), ErrorCode.INVALID_CONFIG),
        (NewTopic("n", 1, -1, {0: (1,)}), ErrorCode.INVALID_REQUEST),
        (NewTopic("n", assignments={1: (1,)}), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("n", assignments={0: (1, 1)}), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("n", assignments={0: ()}), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("n", assignments={0: (1, 9)}), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (NewTopic("n", assignments={0: (1, 2), 1: (1,)}), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    ],
)
def test_a_topic_is_refused(topic, error):
    controller = TestController()
    controller.create("exists")
    controller.create("a.b")
    refused = controller.ask(CreateTopics(1, [topic])).topics[0]
    assert (refused.name, refused.error) == (topic.name, error)
    assert refused.message
    assert len(controller.image.topics) == 2


def test_the_same_name_twice_in_one_request_creates_neither():
    controller = TestController()
    reply = controller.ask(CreateTopics(1, [NewTopic("t", 1, 1), NewTopic("t", 1, 1)]))
    assert [topic.error for topic in reply.topics] == [ErrorCode.INVALID_REQUEST] * 2


def test_an_assigned_replica_that_is_dead_is_a_replica_but_not_in_the_isr():
    controller = TestController()
    controller.die(1)
    controller.create("t", (1, 2))
    assert (controller.partition().isr, controller.partition().leader) == ((2,), 2)


def test_topics_go_by_name_or_by_id():
    controller = TestController()
    controller.create("a")
    controller.create("b")
    topic_id = controller.image.topics["b"].topic_id
    asked = [TopicToDelete("a"), TopicToDelete(None, topic_id), TopicToDelete("c"), TopicToDelete(None, b"x" * 16)]
    reply = controller.ask(DeleteTopics(1, asked))
    errors = [0, 0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID]
    assert [topic.error for topic in reply.topics] == errors
    assert reply.topics[1].name == "b"
    assert controller.image.topics == {}


def test_no_topic_goes_when_the_config_says_so():
    controller = TestController(delete_topic_enable="false")
    controller.create("t")
    reply = controller.ask(DeleteTopics(1, [TopicToDelete("t")]))
    assert reply.topics[0].error == ErrorCode.TOPIC_DELETION_DISABLED


def test_a_topic_grows():
    controller = TestController()
    controller.create("t", (1, 2))
    reply = controller.ask(CreatePartitions(1, [MorePartitions("t", 2), MorePartitions("t", 3, [(3, 1)])]))
    assert [topic.error for topic in reply.topics] == [0, 0]
    assert len(controller.partition("t", 1).replicas) == 2
    assert controller.partition("t", 2).replicas == (3, 1)


@pytest.mark.parametrize(
    "asked, error",
    [
        (MorePartitions("none", 2), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
        (MorePartitions("t", 1), ErrorCode.INVALID_PARTITIONS),
        (MorePartitions("t", 0), ErrorCode.INVALID_PARTITIONS),
        (MorePartitions("t", 3, [(1, 2)]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (MorePartitions("t", 2, [(1,)]), ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (MorePartitions("t", 2**31 - 1), ErrorCode.POLICY_VIOLATION),
    ],
)
def test_growth_is_refused(asked, error):
    controller = TestController()
    controller.create("t", (1, 2))
    assert controller.ask(CreatePartitions(1, [asked])).topics[0].error == error
    assert len(controller.image.topics["t"].partitions) == 1
