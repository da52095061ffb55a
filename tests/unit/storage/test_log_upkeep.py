"""Truncation, retention, flushing, deletion."""

from __future__ import annotations

import pytest
from log_builders import NOW_MS, a_batch, a_log, offsets_in

from model.configs import LogConfig
from model.errors import OffsetOutOfRange, StorageFailure
from protocol.records import parse_header
from storage.disk import OsDisk
from storage.loader import TRUST_ALL


def filled(directory, batches=20, **how):
    log = a_log(directory, **{"segment_bytes": 500, **how})
    for n in range(batches):
        batch = a_batch(2, timestamp=NOW_MS + n, producer_id=7, producer_epoch=0, base_sequence=2 * n)
        log.append_as_leader(batch, n // 5, NOW_MS)
    return log


@pytest.mark.parametrize("offset", range(0, 41, 2))
def test_truncation_forgets_the_end_everywhere(tmp_path, offset):
    log = filled(tmp_path)
    log.truncate_to(offset)
    log.check()
    assert log.log_end_offset == offset
    assert offsets_in(log) == list(range(offset))
    assert all(entry.start_offset < offset for entry in log.leader_epochs.entries)
    entry = log.producers.get(7)
    assert (entry.last_sequence if entry else -1) == offset - 1
    log.append_as_leader(a_batch(2, producer_id=7, producer_epoch=0, base_sequence=offset), 9, NOW_MS)
    for again in (log, a_log(tmp_path, was_clean=False)):
        assert offsets_in(again) == list(range(offset + 2))
        again.check()


def test_a_batch_that_straddles_goes_whole(tmp_path):
    log = filled(tmp_path)
    log.truncate_to(7)
    assert log.log_end_offset == 6
    log.check()


def test_truncation_below_the_start_is_refused(tmp_path):
    log = filled(tmp_path)
    log.advance_log_start(10)
    with pytest.raises(OffsetOutOfRange):
        log.truncate_to(9)


def test_what_was_read_outlives_truncation(tmp_path):
    log = filled(tmp_path)
    chunk = log.read(30, 10_000, up_to=40)
    before = bytes(chunk)
    log.truncate_to(2)
    log.append_as_leader(a_batch(2, value=b"other" * 30), 9, NOW_MS)
    assert bytes(chunk) == before


def test_a_truncated_transaction_is_open_again(tmp_path):
    from protocol.control_batches import control_batch

    log = a_log(tmp_path)
    log.append_as_leader(a_batch(producer_id=7, producer_epoch=0, base_sequence=0, transactional=True), 1, NOW_MS)
    marker = control_batch(is_commit=False, producer_id=7, producer_epoch=0, coordinator_epoch=0, timestamp=NOW_MS)
    log.append_as_leader(marker, 1, NOW_MS, from_client=False)
    log.truncate_to(1)
    assert log.producers.first_undecided_offset == 0
    assert log.aborted_transactions(0, 2) == []


def test_a_log_can_start_anew_elsewhere(tmp_path):
    log = filled(tmp_path)
    log.truncate_fully_and_start_at(1_000)
    log.check()
    assert (log.log_start_offset, log.log_end_offset, log.last_epoch, len(log.producers)) == (1_000, 1_000, -1, 0)
    assert a_log(tmp_path, was_clean=False).log_end_offset == 1_000
    log.append_as_follower(a_batch(2, base_offset=1_000))
    assert offsets_in(a_log(tmp_path, was_clean=False)) == [1_000, 1_001]


# --- Retention ------------------------------------------------------------------------------------------------------


def test_old_segments_go_by_time(tmp_path):
    log = filled(tmp_path, retention_ms=1_000)
    second = log.segments[1]
    now = log.segments[0].max_timestamp + 1_001
    assert log.apply_retention(now, 40) == 1
    assert log.log_start_offset == second.base_offset
    log.check()
    with pytest.raises(OffsetOutOfRange):
        log.read(0, 100, up_to=40)
    assert offsets_in(log) == list(range(second.base_offset, 40))
    again = a_log(tmp_path, was_clean=False)
    assert again.log_start_offset == second.base_offset


def test_an_active_segment_that_is_old_is_rolled_away(tmp_path):
    log = filled(tmp_path, retention_ms=1_000)
    log.apply_retention(NOW_MS + 10**9, 40)
    log.check()
    assert (log.log_start_offset, log.log_end_offset, log.size_bytes) == (40, 40, 0)
    assert (a_log(tmp_path, was_clean=False).log_start_offset, log.apply_retention(NOW_MS + 10**10, 40)) == (40, 0)
    log.append_as_leader(a_batch(2, producer_id=7, producer_epoch=0, base_sequence=40), 9, NOW_MS)
    assert offsets_in(log) == [40, 41]


def test_segments_go_by_size_but_never_below_the_limit(tmp_path):
    log = filled(tmp_path, retention_bytes=1_200)
    log.apply_retention(NOW_MS, 40)
    assert 1_200 <= log.size_bytes < 1_700


def test_nothing_above_the_high_watermark_goes(tmp_path):
    log = filled(tmp_path, retention_bytes=0)
    boundary = log.segments[2].base_offset
    log.apply_retention(NOW_MS, boundary + 1)
    assert log.log_start_offset == boundary


def test_retention_needs_the_delete_policy(tmp_path):
    log = filled(tmp_path, retention_bytes=0, is_deleted=False)
    assert log.apply_retention(NOW_MS + 10**12, 40) == 0
    log.update_config(LogConfig(retention_bytes=0))
    assert log.apply_retention(NOW_MS, 40) > 0


def test_deleted_records_go_whatever_the_policy(tmp_path):
    log = filled(tmp_path, is_deleted=False, is_compacted=True)
    boundary = log.segments[3].base_offset
    assert log.advance_log_start(boundary + 2) and not log.advance_log_start(boundary)
    assert log.apply_retention(NOW_MS, 40) == 3
    assert (log.log_start_offset, log.segments[0].base_offset) == (boundary + 2, boundary)
    assert log.leader_epochs.entries[0].start_offset == boundary + 2
    with pytest.raises(OffsetOutOfRange):
        log.advance_log_start(41)


# --- Durability -----------------------------------------------------------------------------------------------------


class CountingDisk(OsDisk):
    """Remembers what was synced; fails on demand, after a few more bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.synced: list[str] = []
        self.bytes_left: int | None = None

    def sync(self, path):
        self.synced.append(str(path))
        super().sync(path)

    def write(self, path, buffer, position):
        if self.bytes_left is not None:
            super().write(path, memoryview(buffer)[: self.bytes_left], position)
            raise StorageFailure("no space left on device")
        super().write(path, buffer, position)


def test_a_flush_covers_what_is_not_durable_yet(tmp_path):
    disk = CountingDisk()
    log = filled(tmp_path, disk=disk)
    log.flush()
    assert log.recovery_point == 40
    assert [path for path in disk.synced if path.endswith(".log")] == [segment.log_path for segment in log.segments]
    disk.synced.clear()
    log.append_as_leader(a_batch(), 3, NOW_MS)
    log.flush()
    log.flush()
    assert disk.synced == [log.active.log_path]


def test_an_index_is_synced_with_its_segment_when_it_has_changed(tmp_path):
    disk = CountingDisk()
    log = a_log(tmp_path, disk=disk, index_interval_bytes=1)
    indexes = [log.active.offset_index.path, log.active.time_index.path]

    def synced_by_an_append():
        disk.synced.clear()
        log.append_as_leader(a_batch(), 3, NOW_MS)
        log.flush()
        return [path for path in disk.synced if path in indexes]

    assert synced_by_an_append() == [], "the first batch needs no row"
    assert indexes[0] in synced_by_an_append()
    log.update_config(LogConfig(index_interval_bytes=1 << 30))
    synced_by_an_append()
    assert synced_by_an_append() == []
    log = a_log(tmp_path, disk=disk, was_clean=False, recovery_point=TRUST_ALL)
    log.recovery_point = 0
    assert synced_by_an_append() == indexes, "the last life may have died before its sync"


def test_flushes_come_by_messages_and_by_time(tmp_path):
    log = a_log(tmp_path, flush_messages=4, flush_ms=1_000)
    log.append_as_leader(a_batch(3), 1, NOW_MS)
    assert not log.maybe_flush(NOW_MS) and log.recovery_point == 0
    log.append_as_leader(a_batch(1), 1, NOW_MS + 10)
    assert log.recovery_point == 4, "flush.messages is heeded by the append itself"
    log.append_as_leader(a_batch(1), 1, NOW_MS)
    assert not log.maybe_flush(NOW_MS + 1_009)
    assert log.maybe_flush(NOW_MS + 1_010) and not log.maybe_flush(NOW_MS + 9_999)


def test_a_flush_that_began_before_a_truncation_claims_nothing(tmp_path):
    log = filled(tmp_path)
    job = log.begin_flush()
    job.run()
    log.truncate_to(10)
    for _ in range(10):
        log.append_as_leader(a_batch(2), 4, NOW_MS)
    log.finish_flush(job)
    assert log.recovery_point < 10


@pytest.mark.parametrize("bytes_left", [0, 1, 70, 10_000])
def test_a_full_disk_loses_nothing_that_was_acked(tmp_path, bytes_left):
    disk = CountingDisk()
    log = filled(tmp_path, disk=disk)
    before = offsets_in(log)
    disk.bytes_left = bytes_left
    with pytest.raises(StorageFailure):
        log.append_as_leader(a_batch(2), 4, NOW_MS)
    assert (log.is_failed, log.log_end_offset) == (True, 40)
    disk.bytes_left = None
    for refused in (lambda: log.append_as_leader(a_batch(), 4, NOW_MS), log.flush, lambda: log.truncate_to(3)):
        with pytest.raises(StorageFailure, match="offline"):
            refused()
    assert offsets_in(log) == before
    log.close()
    assert offsets_in(a_log(tmp_path, was_clean=False))[:40] == before


def test_an_error_of_the_client_does_not_take_the_log_offline(tmp_path):
    log = a_log(tmp_path)
    with pytest.raises(OffsetOutOfRange):
        log.advance_log_start(5)
    assert not log.is_failed


def test_deletion_leaves_nothing(tmp_path):
    log = filled(tmp_path)
    log.delete()
    assert list(tmp_path.iterdir()) == []
    log.delete()
    with pytest.raises(StorageFailure):
        log.append_as_leader(a_batch(), 1, NOW_MS)


def test_close_without_sync_still_opens_clean(tmp_path):
    log = filled(tmp_path)
    log.close(sync=False)
    again = a_log(tmp_path)
    assert parse_header(again.read(38, 500, up_to=40)).base_offset == 38
    assert again.producers.encode() == log.producers.encode()


@pytest.mark.parametrize(("is_compacted", "rolls"), [(True, True), (False, False)])
def test_a_compaction_that_must_not_wait_makes_the_segment_roll(tmp_path, is_compacted, rolls):
    log = a_log(tmp_path, is_compacted=is_compacted, max_compaction_lag_ms=1_000)
    for timestamp in (NOW_MS, NOW_MS + 1_001):
        log.append_as_leader(a_batch(timestamp=timestamp), 1, NOW_MS)
    assert (len(log.segments) == 2) is rolls


def test_a_roll_is_announced(tmp_path):
    rolls = []
    log = a_log(tmp_path, segment_bytes=200)
    log.on_roll = lambda: rolls.append(log.active.base_offset)
    for _ in range(5):
        log.append_as_leader(a_batch(2), 1, NOW_MS)
    assert rolls == [segment.base_offset for segment in log.segments[1:]] != []


def test_truncation_at_the_end_forgets_an_epoch_that_was_led_in_silence(tmp_path):
    log = filled(tmp_path)
    log.start_epoch(9, log.log_end_offset)
    log.truncate_to(log.log_end_offset)
    assert (log.log_end_offset, log.last_epoch) == (40, 3)


def test_a_cut_is_flushed_although_the_log_goes_on_in_another_segment(tmp_path):
    log = filled(tmp_path)
    log.flush()
    cut = log.segments[-1]
    log.truncate_to(cut.base_offset + 2)
    log.roll(NOW_MS)
    log.append_as_leader(a_batch(2), 9, NOW_MS)
    assert cut.log_path in log.begin_flush().paths
