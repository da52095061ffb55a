"""What a client may be told, and what it says to nonsense."""

import pytest

from clients.consumer_configs import consumer_config, reset_timestamp
from clients.producer_configs import producer_config
from model.errors import ConfigError

WHERE = {"bootstrap.servers": "localhost:9092"}


def test_kafkas_names_and_keywords_with_underscores_mean_the_same():
    config = producer_config({**WHERE, "linger.ms": 20}, {"batch_size": "1000", "enable_idempotence": True})
    assert config.get_int("linger.ms") == 20
    assert config.get_int("batch.size") == 1000
    assert config.get_bool("enable.idempotence")
    assert config.get_list("bootstrap.servers") == ("localhost:9092",)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"lingr.ms": 5}, "unknown config lingr.ms, did you mean linger.ms?"),
        ({"linger.ms": "soon"}, "linger.ms=soon: must be a whole number"),
        ({"acks": "2"}, "acks=2: must be one of"),
        ({"acks": "1", "enable.idempotence": "true"}, "acks=1: idempotence and transactions need acks=all"),
        ({"transactional.id": "t", "acks": "1"}, "acks=1: idempotence and transactions need acks=all"),
        ({"transactional.id": "t", "enable.idempotence": "false"}, "transactional.id needs enable.idempotence=true"),
        ({"enable.idempotence": True, "max.in.flight.requests.per.connection": 6}, "allows 5 at most"),
        ({"delivery.timeout.ms": 10, "request.timeout.ms": 10, "linger.ms": 5}, "must be at least linger.ms"),
        ({"compression.type": "rar"}, "compression.type=rar: must be one of none, gzip"),
        ({"partitioner": "murmur"}, "partitioner=murmur: must be one of murmur2_random"),
    ],
)
def test_a_mistake_is_told_in_one_line(given, words):
    with pytest.raises(ConfigError) as failure:
        producer_config({**WHERE, **given}, {})
    assert words in str(failure.value)
    assert "\n" not in str(failure.value)


def test_without_bootstrap_servers_there_is_no_client():
    with pytest.raises(ConfigError, match=r"bootstrap\.servers is missing"):
        producer_config({}, {})


def test_acks_that_allow_no_idempotence_turn_it_off_unless_it_was_asked_for():
    assert not producer_config({**WHERE, "acks": 1}, {}).get_bool("enable.idempotence")
    assert producer_config(WHERE, {}).get_bool("enable.idempotence")


def test_a_consumer_without_group_commits_nothing():
    assert not consumer_config(WHERE, {}).get_bool("enable.auto.commit")
    assert consumer_config({**WHERE, "group.id": "g"}, {}).get_bool("enable.auto.commit")
    with pytest.raises(ConfigError, match=r"needs a group\.id"):
        consumer_config({**WHERE, "enable.auto.commit": True}, {})


@pytest.mark.parametrize(
    ("policy", "timestamp"),
    [
        ("earliest", -2),
        ("latest", -1),
        ("none", None),
        ("by_duration:PT1H", 10_000_000 - 3_600_000),
        ("by_duration:P1DT1M0.5S", 10_000_000 - 86_460_500),
    ],
)
def test_the_reset_policies(policy, timestamp):
    assert reset_timestamp(policy, 10_000_000) == timestamp


@pytest.mark.parametrize("policy", ["erliest", "by_duration:", "by_duration:PT", "by_duration:1h"])
def test_other_reset_policies_are_refused(policy):
    with pytest.raises(ConfigError, match=r"auto\.offset\.reset"):
        consumer_config({**WHERE, "auto.offset.reset": policy}, {})


def test_serializers_are_objects():
    config = producer_config(WHERE, {"value_serializer": str.encode})
    assert config.get_object("value.serializer") is str.encode
    assert config.get_object("key.serializer") is None
