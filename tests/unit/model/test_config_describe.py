from __future__ import annotations

from model.config_describe import (
    DEFAULT_SOURCE,
    GROUP_SOURCE,
    ConfigEntry,
    describe_broker,
    describe_broker_default,
    describe_group,
    describe_topic,
)
from model.configs import BROKER_CONFIGS, TOPIC_CONFIGS, BrokerConfig


def entry(entries: list[ConfigEntry], name: str) -> ConfigEntry:
    return next(found for found in entries if found.name == name)


def test_a_broker_lists_every_config_with_type_and_doc() -> None:
    entries = describe_broker(BrokerConfig({"node.id": "1"}), {}, {})
    assert [found.name for found in entries] == list(BROKER_CONFIGS)
    assert all(1 <= found.type <= 9 and found.doc for found in entries)


def test_the_strongest_source_wins_and_the_weaker_are_synonyms() -> None:
    found = entry(
        describe_broker(BrokerConfig({"num.io.threads": "3"}), {"num.io.threads": "5"}, {"num.io.threads": "4"}),
        "num.io.threads",
    )
    assert (found.value, found.source, found.is_read_only) == ("5", 2, False)
    assert found.synonyms == [
        ("num.io.threads", "5", 2),
        ("num.io.threads", "4", 3),
        ("num.io.threads", "3", 4),
        ("num.io.threads", "8", 5),
    ]


def test_a_null_default_has_no_synonyms() -> None:
    found = entry(describe_broker(BrokerConfig({"log.retention.hours": "1"}), {}, {}), "log.retention.ms")
    assert (found.value, found.source, found.synonyms) == (None, 5, [])


def test_read_only_and_static() -> None:
    found = entry(describe_broker(BrokerConfig({"num.partitions": "6"}), {}, {}), "num.partitions")
    assert (found.value, found.source, found.is_read_only, found.type) == ("6", 4, True, 3)


def test_a_password_is_never_shown() -> None:
    found = entry(describe_broker(BrokerConfig({"ssl.key.password": "geheim"}), {}, {}), "ssl.key.password")
    assert (found.value, found.is_sensitive, found.type) == (None, True, 9)
    assert found.synonyms == [("ssl.key.password", None, 4)]


def test_the_cluster_default_lists_what_was_changed_only() -> None:
    (found,) = describe_broker_default(BrokerConfig(), {"log.retention.ms": "9"})
    assert (found.name, found.value, found.source, found.synonyms) == (
        "log.retention.ms",
        "9",
        3,
        [("log.retention.ms", "9", 3)],
    )


def test_a_topic_lists_every_config_but_the_internal() -> None:
    entries = describe_topic(BrokerConfig(), {})
    assert [found.name for found in entries] == [name for name in TOPIC_CONFIGS if not name.startswith("internal.")]
    assert {found.source for found in entries} == {5}
    assert entry(entries, "retention.ms").value == "604800000"
    assert entry(entries, "segment.ms").value == "604800000"
    assert entry(entries, "flush.ms").value == "9223372036854775807"
    assert entry(entries, "cleanup.policy").value == "delete"
    assert entry(entries, "remote.storage.enable").value == "false"
    assert not any(found.is_read_only for found in entries)


def test_a_topics_own_value_comes_before_the_brokers() -> None:
    found = entry(describe_topic(BrokerConfig({"log.retention.ms": "7"}), {"retention.ms": "5"}), "retention.ms")
    assert (found.value, found.source) == ("5", 1)
    assert found.synonyms[:2] == [("retention.ms", "5", 1), ("log.retention.ms", "7", 4)]


def test_a_topic_shows_the_brokers_hours_in_ms() -> None:
    found = entry(describe_topic(BrokerConfig({"log.retention.hours": "1"}), {}), "retention.ms")
    assert (found.value, found.source) == ("3600000", 4)


def test_a_topic_follows_what_was_changed_on_the_broker() -> None:
    entries = describe_topic(BrokerConfig(), {}, {}, {"log.segment.bytes": "2000000"})
    found = entry(entries, "segment.bytes")
    assert (found.value, found.source) == ("2000000", 3)


def test_an_internal_config_shows_when_it_is_set() -> None:
    assert entry(describe_topic(BrokerConfig(), {"internal.segment.bytes": "9"}), "internal.segment.bytes").value == "9"


def test_a_group_shows_its_own_value_and_its_brokers_for_the_rest() -> None:
    broker = BrokerConfig({"group.consumer.heartbeat.interval.ms": "7000"})
    rows = {row.name: row for row in describe_group(broker, {"consumer.session.timeout.ms": "50000"})}
    own, other = rows["consumer.session.timeout.ms"], rows["consumer.heartbeat.interval.ms"]
    assert (own.value, own.source) == ("50000", GROUP_SOURCE)
    assert (other.value, other.source) == ("7000", DEFAULT_SOURCE)
