"""Configs of topics and brokers, changed one by one or all at once."""

from controllers import TestController

from machines.metadata import MetadataImage
from model.errors import ErrorCode
from protocol.cluster_admin import APPEND, DELETE, SET, SUBTRACT, AlterConfigs, ConfigChange, ConfigResource

TOPIC, BROKER, GROUP = 2, 4, 32


def alter(controller, resource_type, name, *changes, is_incremental=True, validate_only=False):
    resource = ConfigResource(resource_type, name, [ConfigChange(*change) for change in changes])
    return controller.ask(AlterConfigs(1, [resource], is_incremental, validate_only)).resources[0]


def test_incremental_changes_leave_the_others_alone():
    controller = TestController()
    controller.create("t", (1,), configs={"retention.ms": "1", "cleanup.policy": "delete"})
    alter(controller, TOPIC, "t", ("cleanup.policy", "compact", APPEND), ("segment.bytes", "2000000", SET))
    assert controller.image.topics["t"].configs == {
        "retention.ms": "1",
        "cleanup.policy": "delete,compact",
        "segment.bytes": "2000000",
    }
    alter(controller, TOPIC, "t", ("cleanup.policy", "delete", SUBTRACT), ("retention.ms", None, DELETE))
    assert controller.image.topics["t"].configs == {"cleanup.policy": "compact", "segment.bytes": "2000000"}


def test_a_full_change_replaces_all():
    controller = TestController()
    controller.create("t", (1,), configs={"retention.ms": "1"})
    alter(controller, TOPIC, "t", ("segment.bytes", "2000000"), is_incremental=False)
    assert controller.image.topics["t"].configs == {"segment.bytes": "2000000"}


def test_refused_and_only_validated_changes_leave_everything_as_it_was():
    controller = TestController()
    controller.create("t", (1,))
    version = controller.image.version
    assert alter(controller, TOPIC, "t", ("retention.ms", "1"), validate_only=True).error == 0
    assert alter(controller, TOPIC, "t", ("retention.ms", "x")).error == ErrorCode.INVALID_CONFIG
    assert alter(controller, TOPIC, "t", ("retention.ms", "1", APPEND)).error == ErrorCode.INVALID_CONFIG
    assert alter(controller, TOPIC, "t", ("retention.ms", None)).error == ErrorCode.INVALID_CONFIG
    assert alter(controller, TOPIC, "t", ("retention.ms", "1", 9)).error == ErrorCode.INVALID_REQUEST
    assert alter(controller, TOPIC, "u", ("retention.ms", "1")).error == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    assert alter(controller, BROKER, "x", ("log.retention.ms", "1")).error == ErrorCode.INVALID_REQUEST
    assert alter(controller, BROKER, "", ("node.id", "1")).error == ErrorCode.INVALID_REQUEST
    assert alter(controller, BROKER, "1", ("no.such", "1")).error == ErrorCode.INVALID_CONFIG
    assert alter(controller, 99, "1", ("no.such", "1")).error == ErrorCode.INVALID_REQUEST
    assert controller.image.version == version


def test_broker_configs_for_one_and_for_all():
    controller = TestController()
    alter(controller, BROKER, "", ("log.retention.ms", "7"))
    alter(controller, BROKER, "2", ("log.retention.ms", "8"))
    assert controller.image.broker_configs == {"": {"log.retention.ms": "7"}, "2": {"log.retention.ms": "8"}}
    alter(controller, BROKER, "2", ("log.retention.ms", None, DELETE))
    assert controller.image.broker_configs == {"": {"log.retention.ms": "7"}}


def test_permitting_unclean_elections_elects_at_once():
    controller = TestController()
    for topic in ("by-topic", "by-cluster"):
        controller.create(topic, (1, 2))
    controller.die(2)
    controller.register(2, incarnation=2)
    controller.die(1)
    assert controller.partition("by-topic").leader == -1
    alter(controller, TOPIC, "by-topic", ("unclean.leader.election.enable", "true"))
    assert controller.partition("by-topic").leader == 2
    assert controller.partition("by-cluster").leader == -1
    alter(controller, BROKER, "", ("unclean.leader.election.enable", "true"))
    assert controller.partition("by-cluster").leader == 2


def test_configs_of_a_group_that_need_not_be_there_yet():
    controller = TestController()
    assert alter(controller, GROUP, "g", ("consumer.session.timeout.ms", "50000")).error == 0
    assert controller.image.group_configs == {"g": {"consumer.session.timeout.ms": "50000"}}
    replayed = MetadataImage.of(controller.image.to_records(), controller.image.version)
    assert replayed == controller.image
    for name, value in (
        ("consumer.session.timeout.ms", "1000"),  # below group.consumer.min.session.timeout.ms
        ("consumer.heartbeat.interval.ms", "soon"),
        ("retention.ms", "1"),
    ):
        assert alter(controller, GROUP, "g", (name, value)).error == ErrorCode.INVALID_CONFIG
    assert alter(controller, GROUP, "", ("consumer.session.timeout.ms", "50000")).error == ErrorCode.INVALID_REQUEST
    alter(controller, GROUP, "g", ("consumer.session.timeout.ms", None, DELETE))
    assert controller.image.group_configs == {}
