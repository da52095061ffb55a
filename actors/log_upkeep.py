"""What logs need besides traffic: flushes, retention, checkpoints, and forgetting of silent producers.

One actor per broker. It visits logs in slices of a few ms and leaves every fsync to a thread, so that a broker
with thousands of partitions answers its clients meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.actor import Actor
from actors.replica import Replica
from machines.leader_events import LogStartMoved
from model.errors import StorageFailure
from storage.checkpoints import HIGH_WATERMARKS, LOG_STARTS, RECOVERY_POINTS
from storage.flushing import FlushJob

if TYPE_CHECKING:
    from actors.replicas import Replicas

logger = logging.getLogger(__name__)

UPKEEP_PATH = "/upkeep"
SLICE_S = 0.005
REST_S = 0.01
FLUSH_LOOK_MS = 1_000
SHORTEST_INTERVAL_MS = 10
LONGEST_INTERVAL_MS = 86_400_000


@dataclass(slots=True, frozen=True)
class Rolled:
    """The replica's log began a new segment: what lies behind it will not change any more."""

    replica: Replica


@dataclass(slots=True, frozen=True)
class Truncated:
    """Some log lost its end: recovery points that were written down may lie above it."""


class LogUpkeep(Actor):
    """Does its rounds from the moment it is started until it is stopped."""

    def __init__(self, replicas: Replicas) -> None:
        super().__init__()
        self.replicas = replicas
        self._config = replicas.broker.config
        self._executor = ThreadPoolExecutor(1, "log-flush")
        self._to_flush: dict[Replica, None] = {}
        self._is_flushing = False

    def on_start(self) -> None:
        """Begin all rounds; each waits its interval first."""
        for config, work in (
            ("replica.high.watermark.checkpoint.interval.ms", self.checkpoint_high_watermarks),
            ("log.flush.offset.checkpoint.interval.ms", self.checkpoint_recovery_points),
            ("log.flush.start.offset.checkpoint.interval.ms", self.checkpoint_log_starts),
            ("log.retention.check.interval.ms", self.retention_round),
            ("producer.id.expiration.check.interval.ms", self.expire_producers),
        ):
            self.spawn(self._every(self._config.get_int(config), work))
        self.spawn(self._every(self._flush_interval_ms(), self.flush_round))

    def on_stop(self) -> None:
        """What runs in the thread may end by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def on_failure(self, *_: object) -> None:
        """Crash: the supervisor starts another one; logs that rolled are flushed with the next roll at the latest."""
        self.on_stop()

    def on_receive(self, message: object) -> None:
        """A log rolled, or was truncated."""
        if isinstance(message, Rolled):
            self._flush_soon(message.replica)
        elif isinstance(message, Truncated):
            self.spawn(self.checkpoint_recovery_points())

    def _flush_interval_ms(self) -> int:
        """`flush.ms` is heeded also where nobody set the interval of the looks; Kafka then never looks."""
        chosen = self._config.get_int("log.flush.scheduler.interval.ms")
        return chosen if 0 < chosen < LONGEST_INTERVAL_MS else FLUSH_LOOK_MS

    async def _every(self, interval_ms: int, work: Callable[[], Awaitable[None]]) -> None:
        pause_s = min(max(interval_ms, SHORTEST_INTERVAL_MS), LONGEST_INTERVAL_MS) / 1000
        while True:
            await asyncio.sleep(pause_s)
            await work()

    async def _visit(self, visit: Callable[[Replica], None]) -> None:
        """Each replica that is online, in slices; one that goes meanwhile is left out."""
        hosted, until = self.replicas.hosted, time.perf_counter() + SLICE_S
        for replica in list(hosted.values()):
            if time.perf_counter() > until:
                await asyncio.sleep(REST_S)
                until = time.perf_counter() + SLICE_S
            if replica.is_offline or hosted.get(replica.partition) is not replica:
                continue
            try:
                visit(replica)
            except StorageFailure as failure:
                self.replicas.replica_failed(replica, failure)

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    async def checkpoint_high_watermarks(self) -> None:
        """Write the high watermarks, when any has moved."""
        marks = {}
        for partition, replica in self.replicas.hosted.items():
            marks[partition] = mark = replica.high_watermark
            replica.log.producers.on_high_watermark(mark)
        await self.replicas.logs.checkpoint(HIGH_WATERMARKS, marks, durable=False)

    async def checkpoint_recovery_points(self) -> None:
        """Write up to where each log is durable."""
        points = {partition: replica.log.recovery_point for partition, replica in self.replicas.hosted.items()}
        await self.replicas.logs.checkpoint(RECOVERY_POINTS, points)

    async def checkpoint_log_starts(self) -> None:
        """Write the log starts, which DeleteRecords may have put amid a segment."""
        starts = {partition: replica.log.log_start_offset for partition, replica in self.replicas.hosted.items()}
        await self.replicas.logs.checkpoint(LOG_STARTS, starts)

    # -- flushes -------------------------------------------------------------------------------------------------------

    async def flush_round(self) -> None:
        """Flush what `flush.ms` says is due."""
        now_ms = self.replicas.ports.wall_ms()
        for replica in self.replicas.hosted.values():
            if replica.log.flush_is_due(now_ms) and not replica.is_offline:
                self._flush_soon(replica)

    def _flush_soon(self, replica: Replica) -> None:
        self._to_flush[replica] = None
        if not self._is_flushing:
            self._is_flushing = True
            self.spawn(self._flush_all())

    async def _flush_all(self) -> None:
        try:
            while self._to_flush:
                replica = next(iter(self._to_flush))
                del self._to_flush[replica]
                await self.flush(replica)
        finally:
            self._is_flushing = False
        await self.checkpoint_recovery_points()

    async def flush(self, replica: Replica) -> None:
        """Make the log durable up to here, in the thread."""
        log = replica.log
        if log.is_failed:
            return
        try:
            job = log.begin_flush()
            if job is None:
                return
            await self._run(job)
        except StorageFailure as failure:
            if self.replicas.hosted.get(replica.partition) is replica and not log.is_failed:
                log.mark_failed(failure)
            self.replicas.replica_failed(replica, failure)
            return
        log.finish_flush(job, self.replicas.ports.wall_ms())

    async def _run(self, job: FlushJob) -> None:
        await self.system.loop.run_in_executor(self._executor, job.run)

    # -- retention -----------------------------------------------------------------------------------------------------

    async def retention_round(self) -> None:
        """Delete what retention no longer keeps; followers of a led partition hear the new log start."""
        await self._visit(self._retain)

    def _retain(self, replica: Replica) -> None:
        log = replica.log
        start = log.log_start_offset
        log.apply_retention(self.replicas.ports.wall_ms(), replica.high_watermark)
        if replica.leader is not None and log.log_start_offset != start:
            self.tell(replica.address, LogStartMoved(log.log_start_offset))

    async def expire_producers(self) -> None:
        """Forget producers that were silent for `producer.id.expiration.ms`."""
        expiration_ms = self.replicas.broker.config.get_int("producer.id.expiration.ms")

        def expire(replica: Replica) -> None:
            replica.log.producers.expire(self.replicas.ports.wall_ms(), expiration_ms)

        await self._visit(expire)
