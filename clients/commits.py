"""A consumer's commits: by itself from within poll, or when told to."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from clients.committed import Membership, OffsetAndMetadata, Offsets, commit_once, fetch_committed
from clients.errors import CommitFailed, IllegalUse
from model.errors import OdradekError
from model.ids import TopicPartition

if TYPE_CHECKING:
    from clients.consumer_core import ConsumerCore

log = logging.getLogger(__name__)


class Commits:
    """On the loop, but for `commit_if_due`."""

    def __init__(self, core: ConsumerCore) -> None:
        self._core = core
        self.are_automatic = core.config.get_bool("enable.auto.commit")
        self._interval_s = core.config.seconds("auto.commit.interval.ms")
        self._next = time.monotonic() + self._interval_s
        self._is_under_way = False

    def commit_if_due(self, now: float) -> None:
        """Called by every poll, on the caller's thread: what earlier polls returned is taken for done."""
        if self.are_automatic and now >= self._next and not self._is_under_way:
            self._next = now + self._interval_s
            self._is_under_way = True
            positions = self._core.positions()
            self._core.soon(lambda: self._core.spawn(self._auto_commit(positions)))

    @property
    def membership(self) -> Membership:
        """Raises CommitFailed while a consumer that has subscribed is not a member: others may have its partitions."""
        group = self._core.group
        if group is None:
            return Membership()
        if not group.is_member:
            raise CommitFailed(f"this consumer is not a member of {group.group} (any more)")
        return group.member

    def group_id(self) -> str:
        group = self._core.config.get_str("group.id")
        if not group:
            raise IllegalUse("there are no committed offsets without a group.id")
        return group

    async def commit(self, offsets: Offsets, timeout_s: float | None = None) -> None:
        """Until it is done; retries what can be retried. Raises CommitFailed when the group has moved on."""
        if not offsets:
            return
        group = self.group_id()
        await self._core.cluster.retrying(
            lambda: commit_once(self._core.cluster, group, offsets, self.membership),
            self._core.timeout_s if timeout_s is None else timeout_s,
            "committing",
        )

    async def commit_once(self, offsets: Offsets) -> None:
        if offsets:
            await commit_once(self._core.cluster, self.group_id(), offsets, self.membership)

    async def committed(
        self, places: Iterable[TopicPartition] | None, timeout_s: float | None = None
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        group = self.group_id()
        wanted = None if places is None else [TopicPartition(*place) for place in places]
        return await self._core.cluster.retrying(
            lambda: fetch_committed(self._core.cluster, group, wanted),
            self._core.timeout_s if timeout_s is None else timeout_s,
            "fetching committed offsets",
        )

    async def _auto_commit(self, positions: Offsets) -> None:
        try:
            await self.commit_once(positions)
        except OdradekError as error:
            log.warning("an automatic commit failed: %s", error)
        finally:
            self._is_under_way = False

    def warn(self, error: BaseException) -> None:
        log.warning("the commit before the partitions are revoked failed: %s", error)
