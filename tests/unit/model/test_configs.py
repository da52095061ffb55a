from __future__ import annotations

import pytest

from model.config_key import ConfigKey
from model.configs import (
    BROKER_CONFIGS,
    TOPIC_CONFIGS,
    BrokerConfig,
    LogConfig,
    validate_topic_configs,
)
from model.errors import ConfigError, InvalidConfig


@pytest.mark.parametrize("keys", [BROKER_CONFIGS, TOPIC_CONFIGS], ids=["broker", "topic"])
def test_every_default_passes_its_own_row(keys: dict[str, ConfigKey]) -> None:
    for key in keys.values():
        if key.default is not None:
            key.parse(key.default)
        assert key.doc.endswith(".")
        assert key.update_mode in ("read-only", "per-broker", "cluster-wide")
        assert all(name in BROKER_CONFIGS for name in key.synonyms)
    assert list(keys) == sorted(keys)


def test_all_that_kafka_documents_is_there() -> None:
    quota_rates_and_one_from_kafka_3 = 3 + 1
    our_own = 4  # odradek.chaos.enabled, zmq.port, zmq.curve.client.keys, zmq.curve.secret.key
    undocumented = 1  # producer.id.expiration.check.interval.ms
    assert len(BROKER_CONFIGS) == 340 + quota_rates_and_one_from_kafka_3 + undocumented + our_own
    assert len([key for key in TOPIC_CONFIGS.values() if not key.is_internal]) == 33


def test_without_overrides_kafkas_defaults_hold() -> None:
    config = BrokerConfig()
    assert config.get_int("message.max.bytes") == 1048588
    assert config.get_bool("unclean.leader.election.enable") is False
    assert config.get_float("log.cleaner.min.cleanable.ratio") == 0.5
    assert config.get_str("compression.type") == "producer"
    assert config.get_list("log.cleanup.policy") == ["delete"]
    assert config.get_list("log.dirs") == []
    assert config.raw("log.retention.ms") is None


def test_our_own_defaults() -> None:
    assert BrokerConfig().get_int("group.initial.rebalance.delay.ms") == 0
    assert BrokerConfig().raw("log.dir") is None
    assert BrokerConfig().get_int("leader.imbalance.per.broker.percentage") == 10


def test_overrides_win_and_the_original_stays_as_it_was() -> None:
    first = BrokerConfig({"num.partitions": "3"})
    second = first.with_overrides({"num.partitions": " 5 ", "min.insync.replicas": "2"})
    assert (first.get_int("num.partitions"), second.get_int("num.partitions")) == (3, 5)
    assert second.overrides == {"num.partitions": " 5 ", "min.insync.replicas": "2"}
    assert first.with_overrides({}) is first


def test_node_id_and_broker_id_are_one() -> None:
    assert BrokerConfig({"node.id": "4"}).get_int("broker.id") == 4
    assert BrokerConfig({"broker.id": "4"}).get_int("node.id") == 4


def test_a_getter_of_a_key_without_a_value_says_how_to_give_it_one() -> None:
    with pytest.raises(ConfigError, match=r"^node.id is not set; give it a value with --set node.id="):
        BrokerConfig().get_int("node.id")


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        ({"log.retention.mss": "1"}, "unknown config 'log.retention.mss'; did you mean 'log.retention.ms'?"),
        (
            {"retention.ms": "1"},
            "unknown config 'retention.ms': it belongs to a topic; for all topics set log.retention.ms",
        ),
        ({"zzz": "1"}, "unknown config 'zzz'; docs/configs.md lists them all"),
        ({"num.partitions": "many"}, "bad value in num.partitions=many: it must be a whole number"),
        ({"num.partitions": "0"}, "bad value in num.partitions=0: it must be at least 1"),
        ({"num.partitions": ""}, "bad value in num.partitions=: it must be a whole number"),
        (
            {"group.min.session.timeout.ms": "1800001"},
            "group.min.session.timeout.ms=1800001 is above group.max.session.timeout.ms=1800000; "
            "lower the first or raise the second",
        ),
        ({"node.id": "1", "broker.id": "2"}, "node.id=1 and broker.id=2 differ; leave one of them out"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_and_how_to_mend_it(overrides: dict[str, str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        BrokerConfig(overrides)
    assert str(caught.value) == line


def test_passwords_are_not_shown() -> None:
    assert "geheim" not in repr(BrokerConfig({"ssl.key.password": "geheim"}))


def test_a_log_config_without_arguments_is_that_of_a_default_broker() -> None:
    assert LogConfig.of(BrokerConfig(), {}) == LogConfig()


@pytest.mark.parametrize(
    ("broker", "topic", "field", "value"),
    [
        ({"log.retention.hours": "2"}, {}, "retention_ms", 7_200_000),
        ({"log.retention.hours": "2", "log.retention.minutes": "3"}, {}, "retention_ms", 180_000),
        ({"log.retention.minutes": "3", "log.retention.ms": "4"}, {}, "retention_ms", 4),
        ({"log.retention.ms": "4"}, {"retention.ms": "5"}, "retention_ms", 5),
        ({"log.retention.hours": "-1"}, {}, "retention_ms", -1),
        ({"log.roll.hours": "1"}, {}, "segment_ms", 3_600_000),
        ({"log.roll.jitter.hours": "1"}, {}, "segment_jitter_ms", 3_600_000),
        ({"log.flush.scheduler.interval.ms": "7"}, {}, "flush_ms", 7),
        ({"log.flush.scheduler.interval.ms": "7", "log.flush.interval.ms": "8"}, {}, "flush_ms", 8),
        ({"message.max.bytes": "99"}, {}, "max_message_bytes", 99),
        ({"log.cleanup.policy": "compact"}, {}, "is_deleted", False),
        ({}, {"cleanup.policy": "compact,delete"}, "is_compacted", True),
        ({}, {"cleanup.policy": ""}, "is_deleted", False),
        ({}, {"internal.segment.bytes": "100"}, "segment_bytes", 100),
        ({}, {"unclean.leader.election.enable": "true"}, "unclean_leader_election", True),
        ({"log.message.timestamp.type": "LogAppendTime"}, {}, "message_timestamp_type", "LogAppendTime"),
    ],
)
def test_a_topic_overrides_the_broker(
    broker: dict[str, str], topic: dict[str, str], field: str, value: int | bool | str
) -> None:
    assert getattr(LogConfig.of(BrokerConfig(broker), topic), field) == value


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"retention.mss": "1"}, "Unknown topic config name: retention.mss; did you mean 'retention.ms'?"),
        ({"segment.bytes": "100"}, "Invalid value 100 for configuration segment.bytes: must be at least 1048576"),
        ({"retention.ms": None}, "Null value not supported for topic configs: retention.ms"),
        (
            {"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "5"},
            "min.compaction.lag.ms (10) must not be above max.compaction.lag.ms (5)",
        ),
    ],
)
def test_bad_topic_configs(overrides: dict[str, str | None], message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate_topic_configs(overrides)
    assert caught.value.message == message
