"""A cluster as the world of an engine: each query is one Streams app, its group and topics named after it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from clients.admin import Admin
from clients.admin_types import NewTopic
from clients.producer import Producer
from model.errors import KafkaError, OdradekError, RequestTimedOut, TopicAlreadyExists, UnknownTopicOrPartition
from streams.errors import StateStoreError
from streams.live.app import Streams
from streams.live.queryable import QueryableKeyValueStore, QueryableSessionStore, QueryableWindowStore
from streams.sql.backend import Query, StoredRow, TopicRecord
from streams.sql.journal import Journal
from streams.sql.properties import app_settings
from streams.sql.topic_reader import read_topics
from streams.sql.transient import QUERY_SETTINGS
from streams.windowed_keys import Windowed

log = logging.getLogger(__name__)
_ADMIN_MS = 30_000


class ClusterBackend:
    """`client` are settings of every client, above those of the bootstrap."""

    def __init__(self, bootstrap_servers: str, service: str, client: Mapping[str, Any]) -> None:
        plain = {name.replace("_", "."): value for name, value in client.items()}
        self._client: dict[str, Any] = {"bootstrap.servers": bootstrap_servers, **plain}
        self._service = service
        self._admin = Admin({**self._client, "default.api.timeout.ms": _ADMIN_MS})
        self._producer: Producer | None = None
        self._apps: dict[str, Streams] = {}
        name = f"odradek-sql-{service}"
        self.journal = Journal(
            name, self._client, self._writer, self._create_journal, lambda topic: topic in self.topics()
        )

    # -- topics

    def topics(self) -> dict[str, int]:
        return {name: len(topic.partitions) for name, topic in self._admin.describe_topics().items()}

    def create_topic(self, name: str, partitions: int, replicas: int | None, *, is_compacted: bool) -> None:
        configs = {"cleanup.policy": "compact"} if is_compacted else {}
        try:
            self._admin.create_topics([NewTopic(name, partitions, -1 if replicas is None else replicas, configs)])
        except TopicAlreadyExists:
            pass  # another engine was quicker

    def _create_journal(self, name: str) -> None:
        try:
            self._admin.create_topics([NewTopic(name, 1, -1, {"cleanup.policy": "delete", "retention.ms": "-1"})])
        except TopicAlreadyExists:
            pass

    def delete_topic(self, name: str) -> None:
        try:
            self._admin.delete_topics([name])
        except UnknownTopicOrPartition:
            pass  # somebody else was quicker

    def _writer(self) -> Producer:
        if self._producer is None:
            self._producer = Producer({**self._client, "linger.ms": 0})
        return self._producer

    def write(self, records: Sequence[TopicRecord]) -> None:
        producer = self._writer()
        deliveries = []
        for record in records:
            at = record.timestamp if record.timestamp >= 0 else None
            headers = list(record.headers) or None
            deliveries.append(producer.send(record.topic, record.value, record.key, timestamp_ms=at, headers=headers))
        for delivery in deliveries:
            try:
                delivery.result(60.0)
            except TimeoutError as error:
                raise RequestTimedOut(str(error)) from None

    # -- queries

    def application_id(self, query_id: str) -> str:
        return f"odradek-sql-{self._service}-{query_id}"

    def start(self, query: Query) -> None:
        is_exact = query.properties.get("processing.guarantee") == "exactly_once_v2"
        settings: dict[str, Any] = {
            "application_id": self.application_id(query.id),
            "bootstrap_servers": self._client["bootstrap.servers"],
            "processing_guarantee": "exactly_once_v2" if is_exact else "at_least_once",
            "commit_interval_ms": 100 if is_exact else 500,
            "consumer": {**self._client, "auto.offset.reset": query.properties.get("auto.offset.reset", "earliest")},
            "producer": self._client,
            **app_settings(query.properties),
            **QUERY_SETTINGS,
        }
        app = Streams(query.topology, settings)
        app.start()
        self._apps[query.id] = app

    def stop(self, query_id: str) -> None:
        """For good: the last engine that stops a query also forgets its offsets and its internal topics."""
        app = self._apps.pop(query_id, None)
        if app is not None:
            app.close()
        application_id = self.application_id(query_id)
        try:
            self._admin.delete_groups([application_id])
        except KafkaError as error:
            log.info("group %s: %s", application_id, error)
            if error.code.name == "NON_EMPTY_GROUP":
                return  # another engine still runs it
        internal = [name for name in self.topics() if name.startswith(f"{application_id}-")]
        try:
            self._admin.delete_topics(internal)
        except OdradekError as error:
            log.warning("internal topics of %s stay: %s", query_id, error)

    def state_of(self, query_id: str) -> str:
        app = self._apps.get(query_id)
        if app is None:
            return "not run here"
        return app.state if app.failure is None else f"failed: {app.failure}"

    def failure_of(self, query_id: str) -> BaseException | None:
        app = self._apps.get(query_id)
        return None if app is None else app.failure

    def rows(self, query: Query, store: str, key: Any, *, has_key: bool) -> list[StoredRow] | None:
        app = self._apps.get(query.id)
        if app is None or app.state not in ("running", "restoring", "joining"):
            return None
        try:
            return list(_rows(app.store(store), query, key, has_key=has_key))
        except StateStoreError as error:
            log.info("store %s of %s can't answer: %s", store, query.id, error)
            return None

    # -- reading

    def read(self, topics: Sequence[str], *, from_beginning: bool, follows: bool) -> Iterator[TopicRecord | None]:
        known = self.topics()
        partitions = {topic: known[topic] for topic in topics if topic in known}
        return read_topics(self._client, partitions, from_beginning=from_beginning, follows=follows)

    def close(self) -> None:
        for app in self._apps.values():
            app._is_stopping.set()
        for app in self._apps.values():
            app.close()
        self._apps.clear()
        self.journal.close()
        if self._producer is not None:
            self._producer.close()
        self._admin.close()


def _rows(store: Any, query: Query, key: Any, *, has_key: bool) -> Iterator[StoredRow]:
    """Of one key, or of all in a store without windows."""
    if isinstance(store, QueryableKeyValueStore):
        if has_key:
            held = store.get_with_timestamp(key)
            if held is not None:
                yield StoredRow(key, *held)
            return
        for k, value in store.all():
            yield StoredRow(k, value, None)
    elif isinstance(store, QueryableWindowStore):
        window = query.planned.window
        size_ms = 0 if window is None or window.size_ms is None else window.size_ms
        for start, value in store.fetch_between(key):
            yield StoredRow(Windowed(key, start, start + size_ms), value, None)
    elif isinstance(store, QueryableSessionStore):
        for session, value in store.fetch(key):
            yield StoredRow(Windowed(*session), value, None)
