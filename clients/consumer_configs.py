"""The consumer's configs, one row each."""

from __future__ import annotations

import re
from typing import Final

from clients.configs import ClientConfig, Given, client_keys
from model.config_key import Row
from model.errors import ConfigError

# fmt: off
CONSUMER_ROWS: Final[tuple[Row, ...]] = (
    ("group.id", "string", "", "", "acts", "The group this consumer belongs to; empty: none."),
    ("group.instance.id", "string", "", "", "acts", "A static member's name: it may restart without a rebalance."),
    ("group.protocol", "string", "classic", "classic|consumer", "acts",
     "consumer: the broker assigns the partitions (KIP-848)."),
    ("group.remote.assignor", "string", "", "", "acts",
     "Which of the broker's assignors to use, with group.protocol=consumer."),
    ("partition.assignment.strategy", "list", "range,cooperative-sticky", "", "acts",
     "How the group's leader assigns: range, roundrobin, sticky, cooperative-sticky, or your own."),
    ("session.timeout.ms", "int", "45000", "1..", "acts", "A member that is silent for longer is taken for dead."),
    ("heartbeat.interval.ms", "int", "3000", "1..", "acts",
     "How often a member says that it lives; from a thread of its own."),
    ("max.poll.interval.ms", "int", "300000", "1..", "acts",
     "A member that does not poll for longer leaves the group."),
    ("max.poll.records", "int", "500", "1..", "acts", "Most records that one poll returns."),
    ("auto.offset.reset", "string", "latest", "", "acts",
     "Where to begin without a committed offset: earliest, latest, none, by_duration:PT1H."),
    ("enable.auto.commit", "boolean", "true", "", "acts", "Commit what earlier polls returned, from within poll."),
    ("auto.commit.interval.ms", "int", "5000", "0..", "acts", "How often."),
    ("isolation.level", "string", "read_uncommitted", "read_uncommitted|read_committed", "acts",
     "read_committed: only records of committed transactions."),
    ("fetch.min.bytes", "int", "1", "0..", "acts", "The broker waits until it has this much."),
    ("fetch.max.wait.ms", "int", "500", "0..", "acts", "But no longer than this."),
    ("fetch.max.bytes", "int", "52428800", "0..", "acts", "Most bytes of one answer."),
    ("max.partition.fetch.bytes", "int", "1048576", "0..", "acts",
     "Most bytes of one partition in it; four times as much is fetched ahead."),
    ("check.crcs", "boolean", "true", "", "acts", "Check every batch's checksum."),
    ("allow.auto.create.topics", "boolean", "true", "", "acts", "Subscribing to a topic may create it."),
    ("exclude.internal.topics", "boolean", "true", "", "acts", "A pattern does not match the cluster's own topics."),
)
# fmt: on
CONSUMER_KEYS: Final = client_keys(CONSUMER_ROWS)
CONSUMER_OBJECTS: Final = frozenset({"key.deserializer", "value.deserializer", "partition.assignment.strategy"})

EARLIEST: Final = -2
LATEST: Final = -1
_DURATION: Final = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.IGNORECASE)


def consumer_config(given: Given | None, keywords: Given) -> ClientConfig:
    """Raises ConfigError for values that contradict each other."""
    config = ClientConfig(CONSUMER_KEYS, CONSUMER_OBJECTS, given, keywords)
    if not config.get_str("group.id"):
        if "enable.auto.commit" in config.given and config.get_bool("enable.auto.commit"):
            raise ConfigError("enable.auto.commit=true needs a group.id")
        config.override("enable.auto.commit", False)
    if config.get_int("heartbeat.interval.ms") >= config.get_int("session.timeout.ms"):
        if "heartbeat.interval.ms" in config.given:
            raise ConfigError("heartbeat.interval.ms must be shorter than session.timeout.ms")
        config.override("heartbeat.interval.ms", max(1, config.get_int("session.timeout.ms") // 3))
    reset_timestamp(config.get_str("auto.offset.reset"), 0)
    return config


def reset_timestamp(policy: str, now_ms: int) -> int | None:
    """The timestamp that ListOffsets is asked for under `auto.offset.reset`; None: raise instead."""
    known: dict[str, int | None] = {
        "earliest": EARLIEST, "smallest": EARLIEST, "beginning": EARLIEST,
        "latest": LATEST, "largest": LATEST, "end": LATEST,
        "none": None, "error": None,
    }  # fmt: skip
    if policy in known:
        return known[policy]
    kind, _, duration = policy.partition(":")
    found = _DURATION.fullmatch(duration) if kind == "by_duration" and duration else None
    if found is None or not any(found.groups()):
        raise ConfigError(f"auto.offset.reset={policy}: must be earliest, latest, none or by_duration:P…")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    return now_ms - int((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)
