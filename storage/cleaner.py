"""Log compaction in small steps; which part of a log is worth it is decided in `cleaning_plan.py`.

    plan = plan_cleaning(log, cleaned_up_to=..., high_watermark=..., now_ms=...)
    steps = clean(log, plan, disk=disk, now_ms=now_ms)
    for work in steps:          # each `next` costs a few milliseconds of the event loop
        if work is not None:    # syncing: run it in another thread before the next step,
            work()              # and give its StorageFailure back by `steps.throw`

`clean` returns (as a generator does) a CleaningResult; its `cleaned_up_to` goes into `cleaner-offset-checkpoint`.
Between steps the log lives on. When it is truncated, or loses segments to retention, the cleaning gives up, having
changed nothing or only whole segments. Closing the generator has the same effect. The rules are in `compaction.py`,
the exchange of files in `segment_swap.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from model.configs import LogConfig
from model.errors import CorruptMessage, StorageFailure
from protocol.records import HEADER_SIZE, BatchHeader, check_crc, decode_records, parse_header
from storage.cleaning_plan import CleanableLog, CleaningPlan
from storage.compaction import BatchFilter, KeyOffsets, LastWrite, Tally, Transactions
from storage.disk import Disk
from storage.segment import Segment
from storage.segment_swap import abandon, decide, new_cleaned_segment, swap_in

BYTES_PER_KEY = 192  # what a key of up to 16 bytes costs in KeyOffsets; `log.cleaner.dedupe.buffer.size` / this = keys
_MAX_KEYS = 128 * 1024 * 1024 // BYTES_PER_KEY
_STEP_COST = 96 * 1024
_COST_PER_RECORD = 96  # a record costs about as much time as this many bytes of copying
_READ_BYTES = 256 * 1024
_MAX_RELATIVE_OFFSET = (1 << 31) - 1

Work = Callable[[], None]
Steps = Generator[Work | None, None, None]


@dataclass(frozen=True, slots=True)
class CleaningResult:
    """`was_overtaken`: the log changed underneath, plan anew. `cleaned_up_to` is right in either case."""

    cleaned_up_to: int
    tally: Tally
    was_overtaken: bool = False


def clean(
    log: CleanableLog, plan: CleaningPlan, *, disk: Disk, now_ms: int, max_keys: int = _MAX_KEYS
) -> Generator[Work | None, None, CleaningResult]:
    """See the module. With more than `max_keys` keys, only the first part of the dirty segments is cleaned.

    Raises CorruptMessage for a batch that is damaged (the log can't be cleaned), StorageFailure when the disk fails.
    """
    cleaning = _Cleaning(log, plan, disk, now_ms, max_keys)
    cleaned_up_to, was_overtaken = plan.first_dirty_offset, False
    try:
        yield from cleaning.run()
        cleaned_up_to = cleaning.keys.latest_offset + 1
    except _Overtaken:
        was_overtaken = True
    return CleaningResult(cleaned_up_to, cleaning.tally, was_overtaken)


def run_to_end(steps: Generator[Work | None, None, CleaningResult]) -> CleaningResult:
    """All steps at once, for those who have no event loop to protect."""
    while True:
        try:
            work = next(steps)
        except StopIteration as done:
            result: CleaningResult = done.value
            return result
        if work is not None:
            work()


class _Overtaken(Exception):
    """The segments are no longer those of the plan."""


class _Cleaning:
    def __init__(self, log: CleanableLog, plan: CleaningPlan, disk: Disk, now_ms: int, max_keys: int) -> None:
        self.log = log
        self.plan = plan
        self.disk = disk
        self.now_ms = now_ms
        self.keys = KeyOffsets(max_keys)
        self.tally = Tally()
        self._expected = list(plan.segments)  # what the log must still start with
        self._sizes = [segment.size for segment in plan.segments]
        self._spent = 0

    def run(self) -> Steps:
        self._must_stand()
        yield from self._make_durable()
        yield from self._read_keys()
        end = self.keys.latest_offset + 1
        sources = [segment for segment in self.plan.segments if segment.base_offset < end]
        transactions = Transactions(self.log.aborted_transactions(sources[0].base_offset, self.plan.end_offset))
        for group in _groups(sources, self.plan.end_offset, self.log.config):
            yield from self._rewrite(group, transactions)

    def _make_durable(self) -> Steps:
        """The records that supersede others must not be lost after those are gone."""
        job = self.log.begin_flush() if self.log.recovery_point < self.plan.end_offset else None
        if job is None:
            return
        try:
            yield job.run
        except StorageFailure as error:
            self.log.mark_failed(error)
            raise
        self.log.finish_flush(job)
        self._must_stand()

    def _read_keys(self) -> Steps:
        """Fill `keys` from the first dirty offset on, until the plan ends or no more fit (one batch always does)."""
        keys, first_dirty = self.keys, self.plan.first_dirty_offset
        transactions = Transactions(self.log.aborted_transactions(first_dirty, self.plan.end_offset))
        max_keys, keys.max_keys = keys.max_keys, 1 << 62
        ends = [*(segment.base_offset for segment in self.plan.segments[1:]), self.plan.end_offset]
        for segment, end in zip(self.plan.segments, ends, strict=True):
            if end <= first_dirty:
                continue
            for buffer, header in _whole_batches(segment, self.disk, segment.offset_index.floor(first_dirty).position):
                if header.last_offset < first_dirty:
                    continue
                if header.is_control:
                    transactions.is_spent(header, buffer)
                elif not transactions.is_aborted(header):
                    if not keys.note(decode_records(buffer, header), first_dirty):
                        return
                    keys.max_keys = max_keys
                keys.latest_offset = header.last_offset
                if self._has_spent(header):
                    yield None
                    self._must_stand()
            keys.latest_offset = end - 1

    def _rewrite(self, group: Sequence[Segment], transactions: Transactions) -> Steps:
        """Put what is left of the group into one new segment, and that in the group's place."""
        log, disk, directory = self.log, self.disk, self.log.directory
        batch_filter = self._filter(transactions)
        changed_before = self.tally.changed_batches
        cleaned = new_cleaned_segment(directory, group[0].base_offset, disk)
        is_in_place = False
        try:
            yield from self._write(cleaned, group, batch_filter)
            for row in transactions.retained:
                cleaned.txn_index.append(row)
            transactions.retained.clear()
            if len(group) == 1 and self.tally.changed_batches == changed_before:
                return
            cleaned.seal()
            yield partial(_sync_all, disk, cleaned)
            self._must_stand()
            decide(cleaned, directory, disk)
            yield partial(disk.sync_directory, directory)
            self._must_stand()
            try:
                swap_in(cleaned, group, directory, disk)
            except StorageFailure as error:
                log.mark_failed(error)
                raise
            is_in_place = True
            log.replace_segments(group, cleaned)
            self._expect(group, cleaned)
            yield partial(disk.sync_directory, directory)
            self._must_stand()
        finally:
            if not is_in_place and not log.is_failed:
                abandon(cleaned, disk)

    def _write(self, cleaned: Segment, group: Sequence[Segment], batch_filter: BatchFilter) -> Steps:
        left: list[bytes | bytearray | memoryview] = []
        interval = self.log.config.index_interval_bytes
        next_offset = group[0].base_offset
        for segment in group:
            for buffer, header in _whole_batches(segment, self.disk):
                if header.base_offset < next_offset:
                    continue  # a crash amid an exchange brought this segment back; an earlier one holds its offsets
                next_offset = header.next_offset
                batch = batch_filter.clean(buffer, header)
                if batch is not None:
                    left.append(batch)
                if self._has_spent(header):
                    _append(cleaned, left, interval)
                    yield None
                    self._must_stand()
        _append(cleaned, left, interval)

    def _filter(self, transactions: Transactions) -> BatchFilter:
        return BatchFilter(
            keys=self.keys,
            transactions=transactions,
            last_writes={each.producer_id: LastWrite(each.last_data_offset, each.epoch) for each in self.log.producers},
            end_offset=self.plan.end_offset,
            now_ms=self.now_ms,
            delete_retention_ms=self.log.config.delete_retention_ms,
            tally=self.tally,
        )

    def _has_spent(self, header: BatchHeader) -> bool:
        """Is it time to let others run?"""
        self._spent += header.size + _COST_PER_RECORD * header.record_count
        if self._spent < _STEP_COST:
            return False
        self._spent = 0
        return True

    def _expect(self, group: Sequence[Segment], cleaned: Segment) -> None:
        at = self._expected.index(group[0])
        self._expected[at : at + len(group)] = [cleaned]
        self._sizes[at : at + len(group)] = [cleaned.size]

    def _must_stand(self) -> None:
        """Asked whenever others may have run."""
        log, count = self.log, len(self._expected)
        if (
            log.is_failed
            or not log.config.is_compacted
            or len(log.segments) <= count
            or log.segments[:count] != self._expected
            or [segment.size for segment in self._expected] != self._sizes
        ):
            raise _Overtaken


def _groups(segments: Sequence[Segment], end_offset: int, config: LogConfig) -> Iterator[list[Segment]]:
    """Neighbours that fit into one segment together, so that compaction doesn't leave ever smaller ones."""
    group: list[Segment] = []
    for index, segment in enumerate(segments):
        end = segments[index + 1].base_offset if index + 1 < len(segments) else end_offset
        if group:
            fits = (
                sum(each.size for each in group) + segment.size <= config.segment_bytes
                and _index_bytes(group) + _index_bytes([segment]) <= config.segment_index_bytes
                and end - 1 - group[0].base_offset <= _MAX_RELATIVE_OFFSET
            )
            if not fits:
                yield group
                group = []
        group.append(segment)
    if group:
        yield group


def _index_bytes(segments: Sequence[Segment]) -> int:
    return sum(max(each.offset_index.size_bytes(), each.time_index.size_bytes()) for each in segments)


def _whole_batches(segment: Segment, disk: Disk, position: int = 0) -> Iterator[tuple[bytes, BatchHeader]]:
    """Each batch as (buffer, header with its position in the buffer), its CRC checked. Raises CorruptMessage."""
    while position < segment.size:
        chunk = disk.read(segment.log_path, min(_READ_BYTES, segment.size - position), position)
        first = parse_header(chunk)
        if first.size > len(chunk):
            chunk = disk.read(segment.log_path, first.size, position)
        at = 0
        while at + HEADER_SIZE <= len(chunk):
            header = parse_header(chunk, at)
            if at and at + header.size > len(chunk):
                break
            if header.size < HEADER_SIZE or at + header.size > len(chunk):
                raise CorruptMessage(f"{segment.log_path} is damaged at byte {position + at}")
            check_crc(chunk, header)
            yield chunk, header
            at += header.size
        position += at


def _append(cleaned: Segment, batches: list[bytes | bytearray | memoryview], index_interval_bytes: int) -> None:
    """Write the batches in one go, and forget them."""
    position, headers = 0, []
    for batch in batches:
        headers.append(parse_header(batch)._replace(position=position))
        position += len(batch)
    if batches:
        cleaned.append(b"".join(batches), headers, index_interval_bytes)
        batches.clear()


def _sync_all(disk: Disk, segment: Segment) -> None:
    for path in (segment.log_path, segment.offset_index.path, segment.time_index.path, segment.txn_index.path):
        disk.sync(path)
