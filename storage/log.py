"""One partition's log on one disk.

Used from one event loop, never from two threads; only a FlushJob's `run` may leave it. After a StorageFailure the log
`is_failed`: what it held before stays readable as far as the disk allows, every further change is refused, and the next
start recovers.

Here is what happens to every record: appends, reads, lookups. `log_upkeep.py` has truncation, retention, flushing and
closing, `log_state.py` the fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from model.configs import LogConfig
from model.errors import InvalidRecord, OffsetOutOfRange
from model.ids import TopicId, TopicPartition
from protocol.control_batches import end_txn_marker
from protocol.records import BatchHeader, Buffer, check_crc, iter_batches, parse_header, patch
from storage import loader, lookup
from storage.admission import admit, find_duplicate, recompress
from storage.checkpoints import write_topic_id
from storage.disk import Disk
from storage.log_state import changes
from storage.log_upkeep import LogUpkeep
from storage.lookup import FoundOffset
from storage.segment import Segment
from storage.txn_index import AbortedTransaction


class AppendInfo(NamedTuple):
    """What an append did. `batches` is as written; of a duplicate, the offsets are those of the first copy."""

    first_offset: int
    last_offset: int
    max_timestamp: int
    log_append_time_ms: int
    record_count: int
    batches: memoryview
    is_duplicate: bool
    log_start_offset: int


class Log(LogUpkeep):
    """One replica of one partition. Fields are described in LogState."""

    @classmethod
    def open(
        cls,
        directory: Path,
        topic_partition: TopicPartition,
        config: LogConfig,
        *,
        disk: Disk,
        now_ms: int,
        was_clean: bool,
        recovery_point: int = 0,
        log_start_offset: int = 0,
        topic_id: TopicId | None = None,
        was_compacted: bool = False,
    ) -> Log:
        """The log in `directory`, recovered if need be; a new one when there is none. Raises StorageFailure.

        `recovery_point` and `log_start_offset` come from the broker's checkpoints; loader.TRUST_ALL stands for "the
        machine did not go down". `topic_id` is written to partition.metadata of a new directory. `was_compacted`:
        offsets may be missing, whatever `config` says now.
        """
        is_new = topic_id is not None and not disk.exists(directory)
        loaded = loader.load(
            directory,
            disk,
            was_clean=was_clean,
            recovery_point=recovery_point,
            log_start_offset=log_start_offset,
            index_interval_bytes=config.index_interval_bytes,
            may_have_holes=config.is_compacted or was_compacted,
        )
        if is_new and topic_id is not None:
            write_topic_id(directory, topic_id, disk)
        durable = loaded.log_end_offset if was_clean else recovery_point if recovery_point < loader.TRUST_ALL else 0
        return cls(
            directory,
            topic_partition,
            config,
            disk,
            loaded,
            log_start_offset=log_start_offset,
            recovery_point=durable,
            now_ms=now_ms,
        )

    # --- Reading ------------------------------------------------------------------------------------------------------

    def end_offset_for_epoch(self, epoch: int) -> tuple[int, int]:
        """KIP-320: the largest known epoch <= `epoch` and where it ended; (-1, -1) when unknown."""
        return self.leader_epochs.end_offset_for(epoch, self.log_end_offset)

    def offset_for_timestamp(self, timestamp: int, up_to: int) -> FoundOffset | None:
        """The first record below `up_to` that is not older than `timestamp`."""
        return lookup.offset_for_timestamp(self.segments, timestamp, self.log_start_offset, up_to)

    def max_timestamp_offset(self, up_to: int | None = None) -> FoundOffset | None:
        """The record with the largest timestamp (below `up_to`), the first of several."""
        end = self.log_end_offset if up_to is None else up_to
        return lookup.latest_timestamp(self.segments, self.log_start_offset, end)

    def aborted_transactions(self, start: int, end: int) -> list[AbortedTransaction]:
        """Those with records in [start, end): what a fetch of committed records must be told."""
        found: list[AbortedTransaction] = []
        for segment in self.segments[self._segment_index(start) :]:
            rows, is_complete = segment.txn_index.aborted_between(start, end)
            found += rows
            if is_complete:
                break
        return found

    def read(self, offset: int, max_bytes: int, *, up_to: int, at_least_one: bool = True) -> bytes | memoryview:
        """Whole batches from the one that holds `offset`, none whose base offset is `up_to` or above.

        At most `max_bytes`, but with `at_least_one` never less than a batch. Ends with the segment: read on for more.
        What it returns is the caller's own and outlives any truncation.

        Raises OffsetOutOfRange outside [log start, log end].
        """
        if not self.log_start_offset <= offset <= self.log_end_offset:
            raise OffsetOutOfRange(f"{offset} is not in [{self.log_start_offset}, {self.log_end_offset}]")
        if offset >= up_to or offset == self.log_end_offset:
            return b""
        index = self._segment_index(offset)
        while index < len(self.segments) and self._bases[index] < up_to:
            chunk = self.segments[index].read(offset, max_bytes, up_to, at_least_one=at_least_one)
            if chunk:
                return chunk
            index += 1  # a segment may end below the next one's base, where compaction took the rest
        return b""

    # --- Appending ----------------------------------------------------------------------------------------------------

    @changes
    def append_as_leader(
        self, batches: Buffer, leader_epoch: int, now_ms: int, *, from_client: bool = True
    ) -> AppendInfo:
        """Check the batches, give them the next offsets, write them: all or none.

        A writable buffer is patched in place. `from_client=False` lets coordinators write control batches.

        Raises CorruptMessage, InvalidRecord, InvalidTimestamp, MessageTooLarge, RecordListTooLarge, the sequence and
        epoch errors of ProducerStateMap.check, and StorageFailure.
        """
        headers = admit(batches, self.config, now_ms, from_client=from_client)
        copies = find_duplicate(batches, headers, self.producers)
        if copies is not None:
            first, last = copies
            view = memoryview(batches)
            count = sum(header.record_count for header in headers)
            return AppendInfo(
                first.first_offset, last.last_offset, last.timestamp, -1, count, view, True, self.log_start_offset
            )
        if self.config.compression_type != "producer":
            batches = recompress(batches, headers, self.config.compression_type)
            headers = list(iter_batches(batches))
        view = memoryview(batches)
        if view.readonly:
            view = memoryview(bytearray(view))
        append_time = now_ms if self.config.message_timestamp_type == "LogAppendTime" else None
        offset = self.log_end_offset
        placed = []
        for header in headers:
            patch(view, header.position, offset, leader_epoch, append_time)
            placed.append(parse_header(view, header.position))
            offset += header.last_offset_delta + 1
        return self._append(view, placed, now_ms, -1 if append_time is None else append_time)

    @changes
    def append_as_follower(self, batches: Buffer, now_ms: int = -1) -> AppendInfo:
        """Write batches that already have their offsets, which go on where the log ends (holes: compacted logs only).

        Raises CorruptMessage, InvalidRecord (offsets that don't go on from the log end), StorageFailure.
        """
        headers = list(iter_batches(batches))
        if not headers:
            raise InvalidRecord("no batch to append")
        next_offset = self.log_end_offset
        for header in headers:
            if header.base_offset != next_offset and (header.base_offset < next_offset or not self.config.is_compacted):
                raise InvalidRecord(f"a batch at offset {header.base_offset} where {next_offset} is next")
            check_crc(batches, header)
            next_offset = header.next_offset
        return self._append(memoryview(batches), headers, now_ms, -1)

    def _append(self, view: memoryview, headers: Sequence[BatchHeader], now_ms: int, append_time_ms: int) -> AppendInfo:
        last = headers[-1]
        newest = max(header.max_timestamp for header in headers) if len(headers) > 1 else last.max_timestamp
        if self._roll_is_due(len(view), last.last_offset, newest):
            self._roll(headers[0].base_offset)
        segment = self.segments[-1]
        segment.append(view, headers, self.config.index_interval_bytes)
        epochs = self.leader_epochs
        count = 0
        for header in headers:
            count += header.record_count
            if header.leader_epoch > epochs.latest_epoch:
                epochs.assign(header.leader_epoch, header.base_offset)
            if header.producer_id >= 0:
                self._note_producer(segment, view, header)
        self.log_end_offset = last.next_offset
        if self.log_end_offset - self.recovery_point >= self.config.flush_messages:
            self.flush(now_ms if now_ms >= 0 else None)  # whoever asks for it waits for it, as in Kafka
        return AppendInfo(
            headers[0].base_offset,
            last.last_offset,
            newest,
            append_time_ms,
            count,
            view,
            False,
            self.log_start_offset,
        )

    def _note_producer(self, segment: Segment, view: memoryview, header: BatchHeader) -> None:
        if not header.is_control:
            self.producers.update(header)
            return
        ended = self.producers.update(header, end_txn_marker(view, header))
        if ended is not None and ended.is_aborted:
            self._names_changed = True  # the first row makes the file
            segment.txn_index.append(
                AbortedTransaction(ended.producer_id, ended.first_offset, ended.last_offset, ended.last_stable_offset)
            )

    @changes
    def start_epoch(self, epoch: int, offset: int) -> None:
        """A leader begins: records from `offset` (its log end) on are of `epoch`."""
        self.leader_epochs.assign(epoch, offset)
