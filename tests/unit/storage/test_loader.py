"""Opening logs after clean stops, kills and torn writes."""

from __future__ import annotations

import shutil

import pytest
from log_builders import NOW_MS, a_batch, a_log, offsets_in

from storage.disk import OsDisk
from storage.loader import TRUST_ALL


def filled(directory, batches=6, **how):
    log = a_log(directory, **how)
    for n in range(batches):
        log.append_as_leader(a_batch(2, producer_id=7, producer_epoch=0, base_sequence=2 * n), 3, NOW_MS)
    return log


def active_file(log):
    return log.directory / f"{log.active.base_offset:020d}.log"


def test_a_closed_log_opens_as_it_was(tmp_path):
    log = filled(tmp_path, segment_bytes=400)
    log.close()
    again = a_log(tmp_path)
    again.check()
    assert (again.log_end_offset, again.recovery_point, again.last_epoch) == (12, 12, 3)
    assert again.producers.encode() == log.producers.encode()
    assert offsets_in(again) == list(range(12))
    again.append_as_leader(a_batch(2), 3, NOW_MS)
    assert offsets_in(again) == list(range(14))


def test_a_log_torn_at_any_byte_of_its_last_batch_ends_before_it(tmp_path):
    log = filled(tmp_path / "log")
    whole = active_file(log).read_bytes()
    last = len(whole) - len(whole) // 6
    for size in range(last, len(whole)):
        shutil.rmtree(tmp_path / "torn", ignore_errors=True)
        shutil.copytree(tmp_path / "log", tmp_path / "torn")
        (tmp_path / "torn/events-0" / active_file(log).name).write_bytes(whole[:size])
        torn = a_log(tmp_path / "torn", was_clean=False)
        torn.check()
        assert (torn.log_end_offset, torn.size_bytes) == (10, last)
        assert torn.producers.get(7).last_sequence == 9
        torn.append_as_leader(a_batch(2, producer_id=7, producer_epoch=0, base_sequence=10), 3, NOW_MS)
        assert active_file(torn).read_bytes() == whole


def test_a_log_with_garbage_at_any_byte_of_its_last_batch_ends_before_it(tmp_path):
    log = filled(tmp_path / "log")
    whole = active_file(log).read_bytes()
    last = len(whole) - len(whole) // 6
    unprotected = range(last + 0, last + 8), range(last + 12, last + 16)  # base offset and epoch lie outside the CRC
    for position in range(last, len(whole)):
        if any(position in part for part in unprotected):
            continue
        damaged = bytearray(whole)
        damaged[position] ^= 0x55
        active_file(log).write_bytes(damaged)
        again = a_log(tmp_path / "log", was_clean=False)
        assert (again.log_end_offset, again.size_bytes) == (10, last), position


def test_offsets_that_go_back_end_the_log(tmp_path):
    log = filled(tmp_path)
    with active_file(log).open("ab") as file:
        file.write(a_batch(base_offset=3))
    assert a_log(tmp_path, was_clean=False).log_end_offset == 12


def test_zeroes_behind_the_last_batch_are_cut(tmp_path):
    log = filled(tmp_path)
    with active_file(log).open("ab") as file:
        file.write(bytes(10_000))
    again = a_log(tmp_path, was_clean=False)
    assert (again.log_end_offset, again.size_bytes) == (12, log.size_bytes)


def test_damage_below_takes_the_later_segments_along(tmp_path):
    log = filled(tmp_path, batches=12, segment_bytes=400)
    second = log.segments[1]
    path = log.directory / f"{second.base_offset:020d}.log"
    content = bytearray(path.read_bytes())
    content[80] ^= 1
    path.write_bytes(content)
    again = a_log(tmp_path, was_clean=False)
    again.check()
    assert again.log_end_offset == second.base_offset
    assert offsets_in(again) == list(range(second.base_offset))
    assert len(list(log.directory.glob("*.log"))) == 2


def test_what_lies_below_the_recovery_point_is_not_read_again(tmp_path):
    log = filled(tmp_path, batches=12, segment_bytes=400)
    first = log.directory / f"{0:020d}.log"
    content = bytearray(first.read_bytes())
    content[80] ^= 1
    first.write_bytes(content)
    assert a_log(tmp_path, was_clean=False, recovery_point=log.active.base_offset).log_end_offset == 24


def test_recovery_inside_a_segment_starts_at_the_last_indexed_batch(tmp_path):
    log = filled(tmp_path, batches=50, index_interval_bytes=500)
    log.flush()
    log.append_as_leader(a_batch(2), 3, NOW_MS)
    path = active_file(log)
    content = bytearray(path.read_bytes())
    content[80] ^= 1  # the first batch: not looked at when only the end is suspect
    path.write_bytes(content[:-1])
    for point in (log.recovery_point, TRUST_ALL):
        again = a_log(tmp_path, was_clean=False, recovery_point=point)
        assert again.log_end_offset == 100
        again.check()
    assert a_log(tmp_path, was_clean=False, recovery_point=0).log_end_offset == 0


def test_an_index_that_lies_is_not_believed(tmp_path):
    log = filled(tmp_path, batches=50, index_interval_bytes=500)
    log.close()
    index = log.directory / f"{0:020d}.index"
    content = bytearray(index.read_bytes())
    content[-1] += 1
    index.write_bytes(content)
    again = a_log(tmp_path, was_clean=False, recovery_point=TRUST_ALL, index_interval_bytes=500)
    assert again.log_end_offset == 100
    assert offsets_in(again) == list(range(100))


@pytest.mark.parametrize("suffix", ["index", "timeindex", "snapshot", "txnindex"])
@pytest.mark.parametrize("fate", ["removed", "emptied", "garbled"])
def test_side_files_are_made_anew(tmp_path, suffix, fate):
    log = filled(tmp_path, batches=12, segment_bytes=400, index_interval_bytes=100)
    log.close()
    for path in log.directory.glob(f"*.{suffix}"):
        if fate == "removed":
            path.unlink()
        else:
            path.write_bytes(b"" if fate == "emptied" else b"\x00" * 35)
    again = a_log(tmp_path, was_clean=False, index_interval_bytes=100)
    again.check()
    assert offsets_in(again) == list(range(24))
    assert again.producers.encode() == log.producers.encode()
    assert again.offset_for_timestamp(NOW_MS, 24) == (0, NOW_MS, 3)
    again.close()
    for path in log.directory.glob("*.timeindex"):
        assert path.stat().st_size % 12 == 0


def test_a_lost_epoch_checkpoint_is_made_from_the_batches(tmp_path):
    log = a_log(tmp_path)
    for epoch in (1, 2, 6):
        log.append_as_leader(a_batch(2), epoch, NOW_MS)
    for content in (b"", b"0\n9\n1 1\n"):
        (log.directory / "leader-epoch-checkpoint").write_bytes(content)
        assert a_log(tmp_path, was_clean=False).leader_epochs.entries == [(1, 0), (2, 2), (6, 4)]


def test_a_checkpointed_start_holds_after_a_restart(tmp_path):
    log = filled(tmp_path)
    log.advance_log_start(5)
    log.close()
    again = a_log(tmp_path, log_start_offset=5)
    assert (again.log_start_offset, again.log_end_offset) == (5, 12)
    assert offsets_in(again) == list(range(5, 12))


def test_a_start_beyond_what_is_left_begins_an_empty_log_there(tmp_path):
    filled(tmp_path)
    again = a_log(tmp_path, was_clean=False, log_start_offset=50)
    assert (again.log_start_offset, again.log_end_offset) == (50, 50)
    again.append_as_leader(a_batch(2), 3, NOW_MS)
    assert offsets_in(a_log(tmp_path, was_clean=False, log_start_offset=50)) == [50, 51]


def test_leftovers_of_a_crash_are_removed(tmp_path):
    log = filled(tmp_path)
    for name in ("x.deleted", f"{99:020d}.index", "leader-epoch-checkpoint.tmp", f"{0:020d}.log.cleaned"):
        (log.directory / name).write_bytes(b"old")
    a_log(tmp_path, was_clean=False)
    names = {path.name for path in log.directory.iterdir()}
    assert names == {f"{0:020d}.log", "leader-epoch-checkpoint"} | {
        n for n in names if n.endswith((".index", ".timeindex"))
    }
    assert f"{99:020d}.index" not in names


def test_a_stop_that_was_not_clean_after_all_is_noticed(tmp_path):
    log = filled(tmp_path)
    path = active_file(log)
    path.write_bytes(path.read_bytes()[:-3])
    assert a_log(tmp_path, was_clean=True).log_end_offset == 10


def test_a_hole_that_a_power_loss_left_between_two_segments_ends_the_log(tmp_path):
    log = filled(tmp_path, segment_bytes=400)
    first, second = log.segments[:2]
    last_of_first = list(first.headers())[-1]
    with open(first.log_path, "r+b") as file:
        file.truncate(last_of_first.position)
    again = a_log(tmp_path, was_clean=False, segment_bytes=400)
    again.check()
    assert again.log_end_offset == last_of_first.base_offset < second.base_offset
    assert len(again.segments) == 1


def test_a_compacted_log_may_have_holes(tmp_path):
    log = filled(tmp_path, segment_bytes=400)
    first = log.segments[0]
    with open(first.log_path, "r+b") as file:
        file.truncate(list(first.headers())[-1].position)
    assert a_log(tmp_path, was_clean=False, is_compacted=True).log_end_offset == 12


def test_an_end_that_was_cut_and_came_back_does_not_hide_what_was_written_since(tmp_path):
    log = filled(tmp_path, segment_bytes=400)
    first = log.segments[0]
    stale = a_batch(2, base_offset=log.segments[1].base_offset, leader_epoch=2)
    with open(first.log_path, "ab") as file:
        file.write(stale)
    again = a_log(tmp_path, was_clean=False)
    assert again.log_end_offset == log.segments[1].base_offset
    assert offsets_in(again) == list(range(again.log_end_offset))


def test_a_checkpoint_ahead_of_the_batches_knows_that_they_were_cut_and_written_over(tmp_path):
    log = filled(tmp_path)
    log.leader_epochs.assign(5, 8)  # written by a later leader's follower; of the log the old end has come back
    again = a_log(tmp_path, was_clean=False)
    assert (again.log_end_offset, again.leader_epochs.entries) == (8, [(3, 0)])


def test_what_was_synced_is_believed_more_than_a_checkpoint(tmp_path):
    log = filled(tmp_path)
    log.leader_epochs.assign(5, 8)
    again = a_log(tmp_path, was_clean=False, recovery_point=TRUST_ALL)
    assert again.log_end_offset == 12


def test_no_old_end_is_followed_by_a_new_segment(tmp_path):
    log = filled(tmp_path)
    first = active_file(log)
    old = first.read_bytes()
    log.truncate_to(8)
    log.append_as_follower(a_batch(2, base_offset=8, leader_epoch=4))
    log.append_as_follower(a_batch(2, base_offset=10, leader_epoch=4))
    log.roll(0)
    log.append_as_follower(a_batch(2, base_offset=12, leader_epoch=4))
    log.start_epoch(6, 14)
    first.write_bytes(old)  # a power loss, which spares the new segment
    epochs = tmp_path / "events-0" / "leader-epoch-checkpoint"
    whole = epochs.read_bytes()
    epochs.write_bytes(whole[: whole.index(b"6 14")])  # and tears the last change of the epochs
    again = a_log(tmp_path, was_clean=False)
    again.check()
    assert (again.log_end_offset, again.leader_epochs.entries) == (8, [(3, 0)])


class SyncNotes(OsDisk):
    """Notes which files are durable as they are: synced since they last changed."""

    def __init__(self):
        super().__init__()
        self.unsynced = set()
        self.synced_directories = []

    def write(self, path, buffer, position):
        super().write(path, buffer, position)
        self.unsynced.add(str(path))

    def truncate(self, path, size):
        super().truncate(path, size)
        self.unsynced.add(str(path))

    def sync(self, path):
        super().sync(path)
        self.unsynced.discard(str(path))

    def sync_directory(self, directory):
        super().sync_directory(directory)
        self.synced_directories.append(directory)


@pytest.mark.parametrize("recovery_point", [12, TRUST_ALL])
def test_what_recovery_cuts_stays_cut_after_a_power_loss(tmp_path, recovery_point):
    """It lies in a segment that the next recovery trusts, when the log has gone on in another one."""
    log = filled(tmp_path, segment_bytes=400)
    with open(active_file(log), "ab") as file:
        file.write(a_batch(2, base_offset=12)[:19])
    disk = SyncNotes()
    again = a_log(tmp_path, was_clean=False, segment_bytes=400, recovery_point=recovery_point, disk=disk)
    assert again.torn_bytes == 19
    assert [path for path in disk.unsynced if path.endswith((".log", "index"))] == []
    assert disk.synced_directories[-1] == again.directory


def test_indexes_that_recovery_has_written_anew_are_synced_after_a_power_loss(tmp_path):
    """Their old rows must not come back: below the recovery point they are believed."""
    log = filled(tmp_path, batches=30, index_interval_bytes=100)
    log.flush()
    disk = SyncNotes()
    again = a_log(tmp_path, was_clean=False, index_interval_bytes=100, recovery_point=12, disk=disk)
    assert len(again.active.offset_index) > 5
    assert [path for path in disk.unsynced if path.endswith("index")] == []


def test_segments_that_begin_below_the_log_start_stay_removed(tmp_path):
    filled(tmp_path, segment_bytes=400)
    disk = SyncNotes()
    again = a_log(tmp_path, was_clean=False, log_start_offset=50, disk=disk)
    assert (again.log_start_offset, again.log_end_offset) == (50, 50)
    assert again.directory in disk.synced_directories


def test_a_batch_older_than_the_one_before_ends_the_log(tmp_path):
    log = filled(tmp_path)
    with open(active_file(log), "ab") as file:
        file.write(a_batch(2, base_offset=12, leader_epoch=1))
    assert a_log(tmp_path, was_clean=False).log_end_offset == 12


def test_a_log_starts_where_its_epochs_do_when_the_checkpoint_of_log_starts_is_older(tmp_path):
    log = filled(tmp_path, segment_bytes=400)
    log.advance_log_start(3)
    again = a_log(tmp_path, was_clean=False, recovery_point=TRUST_ALL)
    again.check()
    assert (again.log_start_offset, again.leader_epochs.entries) == (3, [(3, 3)])


def test_epochs_that_a_power_loss_took_are_found_again_in_the_batches(tmp_path):
    log = filled(tmp_path)
    (log.directory / "leader-epoch-checkpoint").unlink()
    again = a_log(tmp_path, was_clean=False, recovery_point=10)
    assert (again.log_start_offset, again.leader_epochs.entries) == (0, [(3, 0)])
