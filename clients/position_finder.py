"""Gives partitions their first position: what the group has committed, or what `auto.offset.reset` says."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from clients.committed import OffsetAndMetadata, fetch_committed
from clients.consumer_configs import reset_timestamp
from clients.errors import NoOffset
from clients.subscription import NOWHERE, PartitionState
from model.errors import KafkaError, OdradekError
from model.ids import TopicPartition

if TYPE_CHECKING:
    from clients.consumer_core import ConsumerCore

log = logging.getLogger(__name__)


class PositionFinder:
    """On the loop; one search at a time, until nothing is without a position."""

    def __init__(self, core: ConsumerCore) -> None:
        self._core = core
        self._task: asyncio.Task[None] | None = None

    def find(self) -> None:
        """Give every partition without a position one: committed, or as `auto.offset.reset` says."""
        if self._task is None or self._task.done():
            self._task = self._core.spawn(self._find_all())

    async def _find_all(self) -> None:
        backoff = self._core.cluster.backoff()
        while not self._core.is_closed:
            with self._core.subscription.lock:
                lost = [
                    (state, state.version)
                    for state in self._core.subscription.assigned.values()
                    if state.position == NOWHERE and not (state.reset_to is None and state.blocked_until > 0)
                ]
            if not lost:
                return
            try:
                await self._find(lost)
            except OdradekError as error:
                self._core.cluster.last_failure = str(error)
                if isinstance(error, KafkaError) and not error.code.retriable:
                    self._core.fail(error)
                log.debug("no positions yet: %s", error)
                await asyncio.sleep(backoff.next_s())

    async def _find(self, lost: list[tuple[PartitionState, int]]) -> None:
        committed: dict[TopicPartition, OffsetAndMetadata] = {}
        group = self._core.config.get_str("group.id")
        fresh = [state.place for state, _ in lost if state.reset_to is None]
        if group and fresh:
            member = self._core.group.member if self._core.group is not None else None
            committed = await fetch_committed(self._core.cluster, group, fresh, member=member)
        policy = self._core.config.get_str("auto.offset.reset")
        times: dict[TopicPartition, int] = {}
        for state, version in lost:
            found = committed.get(state.place)
            timestamp = state.reset_to
            if found is not None:
                self._place(state, version, found.offset, found.leader_epoch)
            elif timestamp is None:
                timestamp = reset_timestamp(policy, time.time_ns() // 1_000_000)
                if timestamp is None:
                    state.blocked_until = 1.0  # until somebody seeks
                    self._core.fail(NoOffset(f"{state.place} has no committed offset, and auto.offset.reset=none"))
            if found is None and timestamp is not None:
                times[state.place] = timestamp
        if times:
            offsets = await self._core.list_offsets(times, timeout_s=10.0)
            ends = {place for place, found_ in offsets.items() if found_.offset < 0}
            if ends:  # no record is that young
                offsets |= await self._core.list_offsets(dict.fromkeys(ends, -1), timeout_s=10.0)
            for state, version in lost:
                if state.place in offsets:
                    self._place(state, version, offsets[state.place].offset, -1)
        self._core.fetcher.pump()
        self._core.notify()

    def _place(self, state: PartitionState, version: int, offset: int, epoch: int) -> None:
        with self._core.subscription.lock:
            if state.version == version and state.position == NOWHERE:
                state.move(offset, epoch)
