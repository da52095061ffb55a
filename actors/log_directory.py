"""A broker's data directory: opens and closes its logs, and writes down what spares the next start work.

Logs are opened, used and deleted on the loop. The checkpoints are written by a thread of their own, with a disk
of their own (a Disk is not to be shared between threads), so that nobody waits for their fsync.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from model.configs import LogConfig
from model.errors import StorageFailure
from model.ids import TopicId, TopicPartition
from storage.boot_record import BootRecord, current_boot_id
from storage.checkpoints import (
    CLEANED_UP_TO,
    HIGH_WATERMARKS,
    LOG_STARTS,
    RECOVERY_POINTS,
    CleanShutdownMarker,
    OffsetCheckpoint,
    read_topic_id,
    write_topic_id,
)
from storage.disk import OsDisk
from storage.flushing import FlushJob
from storage.loader import TRUST_ALL
from storage.log import Log

logger = logging.getLogger(__name__)

DOOMED = "-delete"
KINDS = (HIGH_WATERMARKS, RECOVERY_POINTS, LOG_STARTS, CLEANED_UP_TO)
FLUSHES_AT_ONCE = 8


class LogDirectory:
    """`path` is ours alone and claimed (`MetaProperties`). What the checkpoints said at the start is in `known`."""

    def __init__(self, path: Path, disk: OsDisk, incarnation: int) -> None:
        self.path = path
        self.disk = disk
        self.incarnation = incarnation
        self._marker = CleanShutdownMarker(path, disk)
        self._was_clean = self._marker.take()
        names = [name for name, size in disk.list(path).items() if size < 0]
        logs = {name for name in names if _is_log(name)}
        self._unflushed = set() if self._was_clean else set(logs)  # nobody has opened them since an unclean end
        self._boot = BootRecord(path, disk, current_boot_id(), () if self._was_clean else logs)
        self.save_boot_record()
        aside = OsDisk(max_open_files=16)
        self._files = {kind: OffsetCheckpoint(path / kind, aside) for kind in KINDS}
        self._written = {kind: file.read() for kind, file in self._files.items()}
        self.known: dict[str, dict[TopicPartition, int]] = {
            kind: {partition: offset for partition, offset in offsets.items() if str(partition) in logs}
            for kind, offsets in self._written.items()
        }
        self._found = frozenset(logs)
        self._aside = aside
        self._executor = ThreadPoolExecutor(1, "checkpoints")
        self._failures: set[str] = set()
        doomed = [path / name for name in names if name.endswith(DOOMED)]
        if doomed:
            logger.info("removing %d logs whose deletion a crash cut short", len(doomed))
            self._executor.submit(_remove_all, aside, doomed)

    @property
    def had_doubts(self) -> bool:
        """At the start there were logs whose ends the machine, going down, may have taken."""
        return self._boot.had_doubts

    # -- logs ----------------------------------------------------------------------------------------------------------

    def open(self, partition: TopicPartition, topic_id: bytes, config: LogConfig, now_ms: int) -> Log:
        """The log of this topic's partition; one of an older topic of that name is removed. Raises StorageFailure."""
        directory = self.path / str(partition)
        found = read_topic_id(directory, self.disk)
        if found is not None and found != topic_id:
            logger.info("%s on disk is of a topic that was deleted; removing it", partition)
            self._open(directory, partition, config, now_ms).delete()
            self.forget(partition)
        if not self.disk.exists(directory):
            self._disown(partition)
        log = self._open(directory, partition, config, now_ms)
        if found != topic_id:
            write_topic_id(directory, TopicId(topic_id), self.disk)
        self._boot.vouch_for(str(partition))
        self._unflushed.discard(str(partition))
        return log

    def _open(self, directory: Path, partition: TopicPartition, config: LogConfig, now_ms: int) -> Log:
        is_trusted = self._boot.trusts(str(partition))
        recovery_point = self.known[RECOVERY_POINTS].get(partition, 0)
        was_clean = self._was_clean and is_trusted
        log = Log.open(
            directory,
            partition,
            config,
            disk=self.disk,
            now_ms=now_ms,
            was_clean=was_clean,
            recovery_point=TRUST_ALL if is_trusted else recovery_point,
            log_start_offset=self.known[LOG_STARTS].get(partition, 0),
            was_compacted=partition in self.known[CLEANED_UP_TO],
        )
        if not was_clean:  # what is written is all there, but what is durable only the checkpoint knows
            log.recovery_point = min(max(recovery_point, log.log_start_offset), log.log_end_offset)
        return log

    def high_watermark(self, partition: TopicPartition) -> int:
        """As last written down; 0 when it never was."""
        return self.known[HIGH_WATERMARKS].get(partition, 0)

    def _disown(self, partition: TopicPartition) -> None:
        """A new log begins: what the checkpoints on disk say of an older one of that name must not vouch for it."""
        for kind, written in self._written.items():
            if partition in written:
                self.known[kind].pop(partition, None)
                self._write_now(kind)

    def _write_now(self, kind: str) -> None:
        """Durable on return, behind whatever is being written. Raises StorageFailure."""
        rows = self._written[kind] = dict(self.known[kind])
        self._executor.submit(self._files[kind].write, rows).result()

    def forget(self, partition: TopicPartition) -> None:
        """The log is deleted."""
        self._unflushed.discard(str(partition))
        for offsets in self.known.values():
            offsets.pop(partition, None)
        self._boot.vouch_for(str(partition))

    def remove_strays(self, ours: Collection[str]) -> None:
        """Remove the logs found at the start that are not `ours`: deleted or moved away while this broker was down.

        To be called once, when the cluster's metadata is known. What can't be renamed is left for the next start.
        """
        doomed = []
        for name in self._found.difference(ours):
            topic, _, number = name.rpartition("-")
            self.forget(TopicPartition(topic, int(number)))
            stray, grave = self.path / name, self.path / f"{name}.{os.urandom(16).hex()}{DOOMED}"
            try:
                if self.disk.exists(stray):  # else its deletion came in while we started
                    self.disk.rename(stray, grave)
                    doomed.append(grave)
            except StorageFailure as failure:
                logger.warning("%s is not ours any more, but stays: %s", stray, failure)
        if doomed:
            logger.info("removing %d logs of partitions that are not ours any more", len(doomed))
            self._executor.submit(_remove_all, self._aside, doomed)

    def doubt(self, partition: TopicPartition) -> None:
        """The disk failed under it: the next start reads and checks it."""
        self._boot.doubt(str(partition))
        asyncio.get_running_loop().call_soon(self.save_boot_record)

    def save_boot_record(self) -> None:
        """To be called often: a log that was vouched for and is not written down is doubted again by the next life."""
        if self._boot.has_changed:
            self._boot.save()

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    async def checkpoint(
        self, kind: str, offsets: Mapping[TopicPartition, int], *, durable: bool = True, replace: bool = False
    ) -> None:
        """Write `offsets` down, with what is known of logs that are not open (or, with `replace`, without it)."""
        known = self.known[kind]
        if replace:
            known.clear()
        known.update(offsets)
        self.save_boot_record()
        if known == self._written[kind]:
            return
        rows = self._written[kind] = dict(known)
        write = partial(self._files[kind].write, rows, durable=durable)
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, write)
            self._failures.discard(kind)
        except StorageFailure as failure:
            self._written[kind] = {}
            if kind not in self._failures:  # the next rounds try again, and fail as quietly
                self._failures.add(kind)
                logger.error("a checkpoint could not be written, the next start will have more to do: %s", failure)

    def lower_recovery_point(self, partition: TopicPartition, offset: int) -> None:
        """What is durable at or above `offset` is about to be written over: stop calling it durable, first.

        Holds up the loop for an fsync; needed only where a log loses what was flushed. Raises StorageFailure.
        """
        known = self.known[RECOVERY_POINTS]
        if max(known.get(partition, 0), self._written[RECOVERY_POINTS].get(partition, 0)) > offset:
            known[partition] = offset
            self._write_now(RECOVERY_POINTS)

    # -- the end -------------------------------------------------------------------------------------------------------

    async def close(self, logs: Sequence[Log], marks: Mapping[TopicPartition, int], limit_s: float) -> None:
        """Sync and close what can be in `limit_s`, and leave the marker if nothing was left out.

        Without the marker the next start trusts what was written as long as the machine stays up.
        """
        until = time.perf_counter() + limit_s
        is_clean = await self._flush_all(logs, limit_s / 2)
        for log in logs:
            if time.perf_counter() > until:
                is_clean = False
                break
            try:
                log.close(sync=False)
            except StorageFailure as failure:
                is_clean = False
                logger.error("%s could not be closed: %s", log.topic_partition, failure)
        # what came, or was cut, while others were synced is not durable
        is_durable = all(log.recovery_point >= log.log_end_offset for log in logs)
        is_clean = is_clean and is_durable and not self._unflushed and not any(log.is_failed for log in logs)
        await self.checkpoint(HIGH_WATERMARKS, marks)
        await self.checkpoint(RECOVERY_POINTS, {log.topic_partition: log.recovery_point for log in logs})
        await self.checkpoint(LOG_STARTS, {log.topic_partition: log.log_start_offset for log in logs})
        self._executor.shutdown(wait=True)
        if is_clean and not self._failures:
            try:
                self._marker.write(self.incarnation)
            except StorageFailure as failure:
                logger.error("the marker of a clean stop could not be written: %s", failure)

    async def _flush_all(self, logs: Iterable[Log], sync_s: float) -> bool:
        """True when everything is durable."""
        loop = asyncio.get_running_loop()
        executor = ThreadPoolExecutor(FLUSHES_AT_ONCE, "flush")
        running: dict[asyncio.Future[None], tuple[Log, FlushJob]] = {}
        is_clean = True
        for log in logs:
            try:
                job = None if log.is_failed else log.begin_flush()
            except StorageFailure:
                is_clean = False
                continue
            if job is not None:
                running[loop.run_in_executor(executor, job.run)] = log, job
        if running:
            done, late = await asyncio.wait(running, timeout=sync_s)
            for future in done:
                log, job = running[future]
                failure = future.exception()
                if failure is None:
                    log.finish_flush(job)
                else:
                    is_clean = False
                    logger.error("%s could not be synced: %s", log.topic_partition, failure)
            if late:
                is_clean = False
                logger.info("%d logs were not synced in time; the next start checks their ends", len(late))
        executor.shutdown(wait=False, cancel_futures=True)
        return is_clean


def _is_log(name: str) -> bool:
    topic, dash, number = name.rpartition("-")
    return bool(topic and dash) and number.isdigit()


def _remove_all(disk: OsDisk, directories: Sequence[Path]) -> None:
    for directory in directories:
        try:
            disk.remove_tree(directory)
        except StorageFailure as failure:
            logger.warning("%s", failure)
