"""The cluster is away for longer than the producer waits: an app begins anew, and nothing is lost."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from streams_app import create, read_values, say, until
from streams_brokers import brokers

from odradek import Cluster
from streams import STRING, Streams, StreamsBuilder

__all__ = ["brokers"]

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

IMPATIENT = {"delivery.timeout.ms": 600, "request.timeout.ms": 300, "linger.ms": 1}


@pytest.mark.parametrize("more", [{}, {"dead_letter_topic": "dead"}], ids=["plain", "with dead letters"])
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_records_that_the_cluster_did_not_take_in_time_are_written_in_the_next_life(
    brokers: Cluster, topic: str, guarantee: str, more: dict[str, Any]
) -> None:
    bootstrap, target = brokers.bootstrap, f"{topic}-out"
    create(bootstrap, topic, target, *more.values(), partitions=1, replicas=-1)
    is_read, is_away = threading.Event(), threading.Event()

    def held_up(value: str) -> str:
        if value != "first":
            is_read.set()
            is_away.wait(30)
        return value

    builder = StreamsBuilder()
    builder.stream(topic, key=STRING, value=STRING).map_values(held_up).to(target, key=STRING, value=STRING)
    settings = {
        "application_id": f"{topic}-app",
        "bootstrap_servers": bootstrap,
        "processing_guarantee": guarantee,
        "commit_interval_ms": 100,
        "producer": IMPATIENT,
    }
    app = Streams(builder.build(), settings | more)
    app.start()
    try:
        say(bootstrap, topic, ["first"])  # so that the producer knows the topic
        until(lambda: read_values(bootstrap, target) == ["first"], "the first is written")
        lines = ["first", *(f"line {number}" for number in range(10))]
        say(bootstrap, topic, lines[1:])
        assert is_read.wait(60)
        for broker_id in (1, 2, 3):
            brokers.pause(broker_id)
        is_away.set()
        until(lambda: app.failure is not None or app.lives > 1, "the producer has given up")
        for broker_id in (1, 2, 3):
            brokers.resume(broker_id)
        until(lambda: app.failure is not None or set(read_values(bootstrap, target)) == set(lines), "all are written")
        assert app.failure is None
        if guarantee == "exactly_once_v2":
            assert read_values(bootstrap, target) == lines
    finally:
        is_away.set()
        app.close()
