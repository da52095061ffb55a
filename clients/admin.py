"""The admin: topics, configs, groups, transactions.

with Admin({"bootstrap.servers": "localhost:9092"}) as admin:
    admin.create_topics([NewTopic("orders", partitions=6, replication_factor=3)])
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from clients.admin_configs import ConfigsPart
from clients.admin_groups import GroupsPart
from clients.admin_topics import TopicsPart
from clients.admin_transactions import TransactionsPart
from clients.background import BackgroundLoop
from clients.cluster import ClusterClient
from clients.configs import ClientConfig, Given, client_keys

P = ParamSpec("P")
R = TypeVar("R")

ADMIN_KEYS: Final = client_keys()


class AsyncAdmin(TopicsPart, ConfigsPart, GroupsPart, TransactionsPart):
    """Made on the running loop. Calls take up to `default.api.timeout.ms`, retrying what can be retried."""

    def __init__(self, config: Given | None = None, /, **keywords: Any) -> None:
        checked = ClientConfig(ADMIN_KEYS, frozenset(), config, keywords)
        self.cluster = ClusterClient(checked)
        self.timeout_s = checked.seconds("default.api.timeout.ms")

    async def close(self) -> None:
        await self.cluster.close()

    async def __aenter__(self) -> AsyncAdmin:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _waiting(method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]) -> Callable[Concatenate[Admin, P], R]:
    """The same method, run on the background loop and waited for."""

    def call(self: Admin, /, *arguments: P.args, **keywords: P.kwargs) -> R:
        return self._background.call(method(self._admin, *arguments, **keywords))

    functools.update_wrapper(call, method)
    return call


class Admin:
    """For programs without an event loop; thread-safe. The methods are AsyncAdmin's."""

    def __init__(self, config: Given | None = None, /, **keywords: Any) -> None:
        self._background = BackgroundLoop("odradek-admin")

        async def make() -> AsyncAdmin:
            return AsyncAdmin(config, **keywords)

        try:
            self._admin = self._background.call(make())
        except BaseException:
            self._background.close()
            raise

    describe_cluster = _waiting(AsyncAdmin.describe_cluster)
    list_topics = _waiting(AsyncAdmin.list_topics)
    describe_topics = _waiting(AsyncAdmin.describe_topics)
    create_topics = _waiting(AsyncAdmin.create_topics)
    delete_topics = _waiting(AsyncAdmin.delete_topics)
    create_partitions = _waiting(AsyncAdmin.create_partitions)
    list_offsets = _waiting(AsyncAdmin.list_offsets)
    delete_records = _waiting(AsyncAdmin.delete_records)
    describe_log_dirs = _waiting(AsyncAdmin.describe_log_dirs)
    elect_leaders = _waiting(AsyncAdmin.elect_leaders)
    alter_reassignments = _waiting(AsyncAdmin.alter_reassignments)
    list_reassignments = _waiting(AsyncAdmin.list_reassignments)
    describe_configs = _waiting(AsyncAdmin.describe_configs)
    describe_topic_configs = _waiting(AsyncAdmin.describe_topic_configs)
    describe_broker_configs = _waiting(AsyncAdmin.describe_broker_configs)
    alter_configs = _waiting(AsyncAdmin.alter_configs)
    alter_topic_configs = _waiting(AsyncAdmin.alter_topic_configs)
    alter_broker_configs = _waiting(AsyncAdmin.alter_broker_configs)
    list_groups = _waiting(AsyncAdmin.list_groups)
    describe_group = _waiting(AsyncAdmin.describe_group)
    delete_groups = _waiting(AsyncAdmin.delete_groups)
    list_group_offsets = _waiting(AsyncAdmin.list_group_offsets)
    alter_group_offsets = _waiting(AsyncAdmin.alter_group_offsets)
    delete_group_offsets = _waiting(AsyncAdmin.delete_group_offsets)
    remove_members = _waiting(AsyncAdmin.remove_members)
    list_transactions = _waiting(AsyncAdmin.list_transactions)
    describe_transaction = _waiting(AsyncAdmin.describe_transaction)
    describe_producers = _waiting(AsyncAdmin.describe_producers)
    fence_producer = _waiting(AsyncAdmin.fence_producer)
    abort_transaction = _waiting(AsyncAdmin.abort_transaction)

    def close(self) -> None:
        """Idempotent."""
        if self._background.thread.is_alive():
            self._background.call(self._admin.close())
        self._background.close()

    def __enter__(self) -> Admin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
