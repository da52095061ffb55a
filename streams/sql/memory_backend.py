"""A world without brokers: topics are lists, every query runs on a TopologyTestDriver."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from streams.sql.backend import Query, StoredRow, TopicRecord
from streams.sql.transient import QUERY_SETTINGS
from streams.stores.key_value import KeyValueStore
from streams.stores.session import SessionStore
from streams.stores.window import WindowStore
from streams.test_driver import TopologyTestDriver
from streams.windowed_keys import MAX_TIME, Windowed

APPLICATION_ID = "sql"


class MemoryBackend:
    """Records go through every query that reads them before the next one is written."""

    def __init__(self, now_ms: int) -> None:
        self.logs: dict[str, list[TopicRecord]] = {}
        self._now_ms = now_ms
        self._drivers: dict[str, tuple[Query, TopologyTestDriver]] = {}
        self._watchers: list[tuple[set[str], deque[TopicRecord]]] = []
        self._pending: deque[TopicRecord] = deque()

    # -- topics

    def topics(self) -> dict[str, int]:
        return dict.fromkeys(self.logs, 1)

    def create_topic(self, name: str, partitions: int, replicas: int | None, *, is_compacted: bool) -> None:
        self.logs.setdefault(name, [])

    def delete_topic(self, name: str) -> None:
        self.logs.pop(name, None)

    def write(self, records: Sequence[TopicRecord]) -> None:
        for record in records:
            self._pending.append(record if record.timestamp >= 0 else record._replace(timestamp=self._now_ms))
            self._settle()

    def _settle(self) -> None:
        while self._pending:
            record = self._pending.popleft()
            self.logs.setdefault(record.topic, []).append(record)
            for topics, waiting in self._watchers:
                if record.topic in topics:
                    waiting.append(record)
            for query, driver in list(self._drivers.values()):
                if record.topic in (source.topic for source in query.planned.sources):
                    driver.pipe_record(record.topic, record.key, record.value, record.timestamp, record.headers)
                    self._collect(driver)

    def _collect(self, driver: TopologyTestDriver) -> None:
        for topic in sorted(driver.produced_topic_names()):
            if topic.startswith(f"{APPLICATION_ID}-"):
                continue  # its own
            produced = driver.output(topic)
            while produced:
                each = produced.popleft()
                timestamp = self._now_ms if each.timestamp is None else each.timestamp
                self._pending.append(TopicRecord(topic, each.key, each.value, timestamp, each.headers))

    def advance_wall_clock(self, advance_ms: int) -> None:
        self._now_ms += advance_ms
        for _, driver in self._drivers.values():
            driver.advance_wall_clock_time(advance_ms)
            self._collect(driver)
        self._settle()

    # -- queries

    def start(self, query: Query) -> None:
        settings = {"application_id": APPLICATION_ID, **QUERY_SETTINGS}
        driver = TopologyTestDriver(query.topology, settings, initial_wall_clock_ms=self._now_ms)
        topics = {source.topic for source in query.planned.sources}
        past = list(self._past(topics)) if query.properties.get("auto.offset.reset", "earliest") == "earliest" else []
        self._drivers[query.id] = query, driver
        for record in past:
            driver.pipe_record(record.topic, record.key, record.value, record.timestamp, record.headers)
            self._collect(driver)
        self._settle()

    def _past(self, topics: set[str]) -> Iterator[TopicRecord]:
        """By time; a topic's own order stays."""
        heads = {topic: deque(self.logs.get(topic, ())) for topic in sorted(topics)}
        while any(heads.values()):
            topic = min((each for each in heads if heads[each]), key=lambda each: heads[each][0].timestamp)
            yield heads[topic].popleft()

    def stop(self, query_id: str) -> None:
        _, driver = self._drivers.pop(query_id)
        driver.close()

    def state_of(self, query_id: str) -> str:
        return "running" if query_id in self._drivers else "stopped"

    def failure_of(self, query_id: str) -> None:
        """Never: what a driver raises, it raises to whoever pipes."""

    def rows(self, query: Query, store: str, key: Any, *, has_key: bool) -> list[StoredRow] | None:
        _, driver = self._drivers[query.id]
        return list(stored_rows(driver.get_state_store(store), key, has_key=has_key))

    # -- reading

    def read(self, topics: Sequence[str], *, from_beginning: bool, follows: bool) -> Iterator[TopicRecord | None]:
        wanted = set(topics)
        waiting: deque[TopicRecord] = deque(self._past(wanted) if from_beginning else ())
        if not follows:
            return iter(waiting)
        watcher = (wanted, waiting)
        self._watchers.append(watcher)
        return _Follower(waiting, lambda: self._watchers.remove(watcher) if watcher in self._watchers else None)

    def close(self) -> None:
        for _, driver in self._drivers.values():
            driver.close()
        self._drivers.clear()


class _Follower:
    """Ends whenever nothing waits: in a test nobody else would write meanwhile. Can be iterated again later."""

    def __init__(self, waiting: deque[TopicRecord], on_close: Callable[[], None]) -> None:
        self._waiting = waiting
        self._on_close = on_close

    def __iter__(self) -> Iterator[TopicRecord | None]:
        while self._waiting:
            yield self._waiting.popleft()

    def __next__(self) -> TopicRecord | None:
        if not self._waiting:
            raise StopIteration
        return self._waiting.popleft()

    def close(self) -> None:
        self._on_close()


def stored_rows(store: Any, key: Any, *, has_key: bool) -> Iterator[StoredRow]:
    """What a local store holds of one key; without windows, of all."""
    if isinstance(store, KeyValueStore):
        entries = [(key, store.get(key))] if has_key else list(store.all())
        for k, held in entries:
            if held is not None:
                yield StoredRow(k, *held) if store.is_timestamped else StoredRow(k, held, None)
    elif isinstance(store, WindowStore):
        for windowed, held in store.fetch_range(key, key, 0, MAX_TIME):
            value, timestamp = held  # the windows of an aggregation are always timestamped
            yield StoredRow(windowed, value, timestamp)
    elif isinstance(store, SessionStore):
        for session, value in store.fetch(key):
            yield StoredRow(Windowed(*session), value, None)
