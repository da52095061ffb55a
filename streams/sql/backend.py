"""What the engine needs of the world: topics, running queries, their stores. In memory for tests, else a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from streams.records import Headers
from streams.sql.planned import Planned
from streams.topology import Topology


class TopicRecord(NamedTuple):
    """A record as it lies in a topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp: int
    headers: Headers = ()


class StoredRow(NamedTuple):
    """A row of a table's store; `timestamp` is None where the store can't tell."""

    key: Any
    value: Any
    timestamp: int | None


class Failures:
    """What couldn't be computed for single rows, which became NULL: how many, and the last one."""

    def __init__(self) -> None:
        self.count = 0
        self.last = ""

    def __call__(self, error: Exception) -> None:
        self.count += 1
        self.last = f"{type(error).__name__}: {error}"


@dataclass
class Query:
    """A persistent query. `sink` is the stream or table that it fills."""

    id: str
    text: str
    sink: str
    planned: Planned
    topology: Topology
    failures: Failures
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> list[str]:
        return [source.name for source in self.planned.sources]


class Backend(Protocol):
    """Topics are created by the engine before it writes to them or starts a query that does."""

    def topics(self) -> dict[str, int]:
        """Partitions by name."""

    def create_topic(self, name: str, partitions: int, replicas: int | None, *, is_compacted: bool) -> None: ...

    def delete_topic(self, name: str) -> None: ...

    def write(self, records: Sequence[TopicRecord]) -> None:
        """Timestamps below zero mean now."""

    def start(self, query: Query) -> None: ...

    def stop(self, query_id: str) -> None: ...

    def state_of(self, query_id: str) -> str:
        """In words."""

    def failure_of(self, query_id: str) -> BaseException | None:
        """What ended a query of ours that should still run."""

    def rows(self, query: Query, store: str, key: Any, *, has_key: bool) -> list[StoredRow] | None:
        """What the query's store holds, of one key or in all; None when that can't be said from here."""

    def read(self, topics: Sequence[str], *, from_beginning: bool, follows: bool) -> Iterator[TopicRecord | None]:
        """Records by event time as far as there are any, then, following, as they come; None says that none came for
        a while. Without `follows` it ends where the topics ended when it began."""

    def close(self) -> None: ...
