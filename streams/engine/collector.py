"""The way out of a task: records to topics, changes to changelogs.

The test driver keeps them in lists; the live engine produces them. Static sinks are bound once, so that sending a
record is one call of a function that already knows topic and serdes.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from streams.engine.batch import BatchProcess
from streams.engine.operator import Process
from streams.records import Headers
from streams.serdes import Serde
from streams.stores.store import BatchChangeWriter, ChangeWriter


class ProducedRecord(NamedTuple):
    """A record as it goes to a topic. `partition` None leaves it to the producer's hash of the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp: int | None
    headers: Headers = ()
    partition: int | None = None


class RecordCollector(Protocol):
    """What a task needs to hand its output to."""

    def sink(self, topic: str, key: Serde[Any], value: Serde[Any], partitioner: Any, node: str) -> Process:
        """A function that sends records to `topic`."""

    def dynamic_sink(self, extractor: Any, key: Serde[Any], value: Serde[Any], partitioner: Any, node: str) -> Process:
        """A function that asks `extractor` for the topic of each record."""

    def change_writer(self, store_name: str, topic: str) -> ChangeWriter:
        """A function that logs changes of a store. It is always given a timestamp; -1 means none."""

    def batch_sink(self, topic: str, key: Serde[Any], value: Serde[Any]) -> BatchProcess:
        """`sink` for many records at once."""

    def batch_change_writer(self, store_name: str, topic: str) -> BatchChangeWriter:
        """`change_writer` for many changes at once."""

    def send(self, record: ProducedRecord) -> None:
        """Send bytes as they are: dead letters, and what handlers make."""
