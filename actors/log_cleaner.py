"""Log compaction in the background: one actor per broker that cleans its filthiest log, then the next.

The rules are storage's (`storage/cleaner.py`); here is when and how fast. A cleaning is a generator of short steps, and
after each one the loop serves everybody else for at least as long as the step took. Syncs run in a thread.

Whoever closes, deletes or truncates a log calls `release` first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from actors.actor import Actor
from actors.replica import Replica
from model.errors import CorruptMessage, StorageFailure
from model.ids import TopicPartition
from storage.checkpoints import CLEANED_UP_TO
from storage.cleaner import BYTES_PER_KEY, CleaningResult, Work, clean
from storage.cleaning_plan import CleaningPlan, plan_cleaning
from storage.log import Log

if TYPE_CHECKING:
    from actors.replicas import Replicas

logger = logging.getLogger(__name__)

CLEANER_PATH = "/cleaner"
STEP_BYTES = 256 * 1024  # about what one step reads and writes
LEAST_REST_S = 0.001
LEAST_BACKOFF_S = 0.05

Cleaning = Generator[Work | None, None, CleaningResult]


class LogCleaner(Actor):
    """Cleans from the moment it is started until it is stopped. `cleaned_up_to` is the checkpoint."""

    def __init__(self, replicas: Replicas) -> None:
        super().__init__()
        self.replicas = replicas
        self.cleaned_up_to: dict[TopicPartition, int] = dict(replicas.logs.known[CLEANED_UP_TO])
        self._uncleanable: set[Log] = set()
        self._log: Log | None = None
        self._steps: Cleaning | None = None
        self._executor = ThreadPoolExecutor(1, "log-cleaner")

    def on_start(self) -> None:
        """Begin."""
        self.replicas.cleaner = self
        self.spawn(self._live())

    def on_stop(self) -> None:
        """What was half done is undone."""
        if self.replicas.cleaner is self:
            self.replicas.cleaner = None
        if self._log is not None:
            self.release(self._log)
        self._executor.shutdown(wait=False, cancel_futures=True)

    def on_failure(self, *_: object) -> None:
        """Crash: the supervisor starts another one."""
        self.on_stop()

    def release(self, log: Log) -> None:
        """Give up the cleaning of this log if it is under way: it is going to be closed, deleted or truncated."""
        if log is self._log and self._steps is not None:
            steps, self._log, self._steps = self._steps, None, None
            try:
                steps.close()
            except StorageFailure as failure:
                logger.warning("what was cleaned of %s could not be removed: %s", log.topic_partition, failure)

    def forget(self, partition: TopicPartition) -> None:
        """The log is deleted."""
        self.cleaned_up_to.pop(partition, None)

    # -- the rounds ----------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        config = self.replicas.broker.config
        while True:
            chosen = self.choose()
            if chosen is None:
                await asyncio.sleep(max(LEAST_BACKOFF_S, config.get_int("log.cleaner.backoff.ms") / 1000))
                config = self.replicas.broker.config
            else:
                await self._clean(*chosen)

    def choose(self) -> tuple[Replica, CleaningPlan] | None:
        """The log with the largest dirty ratio, overdue ones first; None when none is worth it."""
        best: tuple[Replica, CleaningPlan] | None = None
        now_ms = self.replicas.ports.wall_ms()
        for replica in list(self.replicas.hosted.values()):
            log = replica.log
            if not log.config.is_compacted or replica.is_offline or log in self._uncleanable:
                continue
            try:
                plan = self._plan(replica, now_ms)
            except StorageFailure as failure:
                self.replicas.replica_failed(replica, failure)
                continue
            if plan is not None and (best is None or _urgency(plan) > _urgency(best[1])):
                best = replica, plan
        return best

    def _plan(self, replica: Replica, now_ms: int) -> CleaningPlan | None:
        log = replica.log
        log.producers.on_high_watermark(replica.high_watermark)
        first = log.active.first_timestamp if log.config.max_compaction_lag_ms < 1 << 62 else -1
        if 0 <= first < now_ms - log.config.max_compaction_lag_ms:
            log.roll(now_ms)  # nothing is written any more that would do it
        return plan_cleaning(
            log,
            cleaned_up_to=self.cleaned_up_to.get(replica.partition),
            high_watermark=replica.high_watermark,
            now_ms=now_ms,
        )

    # -- one log -------------------------------------------------------------------------------------------------------

    async def _clean(self, replica: Replica, plan: CleaningPlan) -> None:
        log, partition, began_s = replica.log, replica.partition, time.perf_counter()
        if partition not in self.cleaned_up_to:  # whatever its policy will be then, the next start must expect holes
            self.cleaned_up_to[partition] = plan.first_dirty_offset
            await self.checkpoint()
        max_keys = max(1, self.replicas.broker.config.get_int("log.cleaner.dedupe.buffer.size") // BYTES_PER_KEY)
        steps = clean(log, plan, disk=self.replicas.disk, now_ms=self.replicas.ports.wall_ms(), max_keys=max_keys)
        self._log, self._steps = log, steps
        try:
            result = await self._run(steps)
        except CorruptMessage as error:
            logger.error("%s can't be compacted, it is left as it is until the next start: %s", partition, error)
            self._uncleanable.add(log)
            return
        except StorageFailure as failure:
            self.replicas.replica_failed(replica, failure)
            self._uncleanable.add(log)
            return
        except Exception:
            logger.exception("the compaction of %s failed, it is left as it is until the next start", partition)
            self._uncleanable.add(log)
            return
        finally:
            if self._steps is steps:
                self._log = self._steps = None
        if result is None:
            return
        if not result.was_overtaken or result.cleaned_up_to > plan.first_dirty_offset:
            self.cleaned_up_to[partition] = result.cleaned_up_to
            await self.checkpoint()
        logger.info(
            "%s: compacted %d of %d bytes up to offset %d in %.1f s%s",
            partition,
            plan.dirty_bytes,
            plan.total_bytes,
            result.cleaned_up_to,
            time.perf_counter() - began_s,
            ", the log changed meanwhile" if result.was_overtaken else "",
        )
        if result.was_overtaken:
            await asyncio.sleep(LEAST_BACKOFF_S)

    async def _run(self, steps: Cleaning) -> CleaningResult | None:
        """All steps, with rests; None when the cleaning was given up meanwhile."""
        failure: StorageFailure | None = None
        while steps is self._steps:
            began_s = time.perf_counter()
            try:
                work = next(steps) if failure is None else steps.throw(failure)
            except StopIteration as end:
                result: CleaningResult | None = end.value
                return result
            failure = None
            if work is None:
                await asyncio.sleep(self._rest_s(time.perf_counter() - began_s))
                continue
            try:
                await self.system.loop.run_in_executor(self._executor, work)
            except StorageFailure as error:
                failure = error
        return None

    def _rest_s(self, step_s: float) -> float:
        bytes_per_second = self.replicas.broker.config.get_float("log.cleaner.io.max.bytes.per.second")
        return max(step_s, LEAST_REST_S, STEP_BYTES / bytes_per_second if bytes_per_second > 0 else 0.0)

    async def checkpoint(self) -> None:
        """Write up to where each log is clean."""
        await self.replicas.logs.checkpoint(CLEANED_UP_TO, self.cleaned_up_to, replace=True)

    def truncated(self, replica: Replica) -> None:
        """The log lost its end: what comes in its place is dirty."""
        known = self.cleaned_up_to.get(replica.partition)
        if known is not None and known > replica.log.log_end_offset:
            self.cleaned_up_to[replica.partition] = replica.log.log_end_offset
            self.spawn(self.checkpoint())


def _urgency(plan: CleaningPlan) -> tuple[bool, float]:
    return plan.is_overdue, plan.dirty_ratio
