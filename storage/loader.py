"""From a partition's directory to a log: a quick look after a clean stop, a check of the last batches after any other.

After an unclean stop everything from the recovery point on is read and checked, at least the end of the last segment;
the log ends before the first batch that is torn, fails its CRC or goes back in offsets. What lies below the recovery
point was synced and is trusted; so that it stays so, what recovery has cut is synced before anything follows it.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from model.errors import StorageFailure
from protocol.records import BatchHeader
from storage.disk import Disk
from storage.leader_epochs import FILE_NAME as EPOCHS_FILE
from storage.leader_epochs import LeaderEpochs
from storage.producer_state import CompletedTransaction, ProducerStateMap
from storage.segment import INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, Segment
from storage.segment_swap import SWAP, complete_swaps
from storage.snapshots import SUFFIX as SNAPSHOT_SUFFIX
from storage.snapshots import ProducerSnapshots, rebuild
from storage.txn_index import AbortedTransaction

logger = logging.getLogger(__name__)

TRUST_ALL = (1 << 63) - 1
"""A recovery point that says: only the process died, the machine did not, so no completed write is lost."""

_NUMBERED = re.compile(r"(\d{20})(\.[a-z]+)")
_LEFTOVERS = (".deleted", ".cleaned", ".tmp")
_DEFAULT_INDEX_INTERVAL = 4096


@dataclass(slots=True)
class LoadedLog:
    """What `Log` needs to go on. `truncated_bytes` counts what recovery cut off.

    `log_start_offset` is what the epochs know of the log's start: DeleteRecords cuts them at once, while the checkpoint
    of log starts is written later. What lies before has no epochs any more, so no replica could be compared with it.
    """

    segments: list[Segment]
    log_end_offset: int
    epochs: LeaderEpochs
    producers: ProducerStateMap
    snapshots: ProducerSnapshots
    truncated_bytes: int = 0
    log_start_offset: int = 0


@dataclass(frozen=True, slots=True)
class _Check:
    """How the end of a log is to be checked: from `recovery_point` on; below `durable_to` everything was synced."""

    recovery_point: int
    durable_to: int
    index_interval_bytes: int
    may_have_holes: bool


def load(
    directory: Path,
    disk: Disk,
    *,
    was_clean: bool,
    recovery_point: int,
    log_start_offset: int,
    index_interval_bytes: int = _DEFAULT_INDEX_INTERVAL,
    may_have_holes: bool = False,
) -> LoadedLog:
    """Open what is in `directory`, which is made if there is none. Raises StorageFailure.

    Offsets may be missing only where compaction took records away (`may_have_holes`). Elsewhere a hole means that a
    power loss has kept a segment and forgotten the end of the one before: the log then ends at the hole.
    """
    if not disk.exists(directory):
        disk.make_directory(directory)
        return _empty(directory, disk, log_start_offset)
    files = _numbered_files(directory, disk)
    sizes = files.get(LOG_SUFFIX, {})
    if not sizes:
        for suffix, offsets in files.items():
            for offset in offsets:
                disk.remove(f"{directory}/{offset:020d}{suffix}")
        return _empty(directory, disk, log_start_offset)
    segments = [Segment(directory, base, disk, size=sizes[base]) for base in sorted(sizes)]
    epochs = LeaderEpochs(directory / EPOCHS_FILE, disk)
    snapshots = ProducerSnapshots(directory, disk, files.get(SNAPSHOT_SUFFIX, {}))
    durable_to, must_sync = recovery_point, False
    if epochs.is_suspect or (epochs.latest() is None and any(sizes.values())):
        was_clean, recovery_point = False, 0
    loaded = LoadedLog(segments, segments[-1].base_offset, epochs, ProducerStateMap(), snapshots)
    if was_clean and _find_end(loaded):
        scanned_from = loaded.log_end_offset
    else:
        check = _Check(0 if was_clean else recovery_point, durable_to, index_interval_bytes, may_have_holes)
        scanned_from = _recover(loaded, check)
        must_sync = loaded.truncated_bytes > 0 or recovery_point < TRUST_ALL
    if loaded.log_end_offset < log_start_offset:
        logger.warning("%s ends at %d, before its start %d", directory, loaded.log_end_offset, log_start_offset)
        for segment in segments:
            segment.delete()
        snapshots.remove_above(-1)
        empty = _empty(directory, disk, log_start_offset)
        disk.sync_directory(directory)
        return empty
    if epochs.latest() is not None:
        loaded.log_start_offset = min(epochs.entries[0].start_offset, loaded.log_end_offset)
        epochs.truncate_from_end(loaded.log_end_offset)
    snapshots.remove_above(loaded.log_end_offset)
    loaded.producers = _replay_producers(loaded, scanned_from)
    snapshots.remove_strays(segments)
    if must_sync:
        _sync_what_was_checked(loaded, scanned_from, directory, disk)
    return loaded


def _empty(directory: Path, disk: Disk, log_start_offset: int) -> LoadedLog:
    segment = Segment(directory, log_start_offset, disk, is_new=True)
    if log_start_offset:
        segment.create()
    epochs = LeaderEpochs(directory / EPOCHS_FILE, disk)
    if epochs.latest() is not None:
        epochs.clear()
    snapshots = ProducerSnapshots(directory, disk)
    return LoadedLog([segment], log_start_offset, epochs, ProducerStateMap(), snapshots)


def _numbered_files(directory: Path, disk: Disk) -> dict[str, dict[int, int]]:
    """suffix → {offset: size}. Ends or removes what an interrupted deletion, cleaning or atomic write left behind."""
    files: dict[str, dict[int, int]] = {}
    names = disk.list(directory)
    if any(name.endswith(SWAP) for name in names):
        complete_swaps(directory, disk)
        names = disk.list(directory)
    for name, size in names.items():
        if name.endswith(_LEFTOVERS):
            disk.remove(directory / name)
        elif match := _NUMBERED.fullmatch(name):
            files.setdefault(match[2], {})[int(match[1])] = size
    bases = files.get(LOG_SUFFIX, {})
    for suffix in (INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX):
        for offset in files.get(suffix, {}):
            if offset not in bases:
                disk.remove(f"{directory}/{offset:020d}{suffix}")
    return files


def _find_end(loaded: LoadedLog) -> bool:
    """The log was closed in order: only look up where it ends. False when that can't be true."""
    active = loaded.segments[-1]
    try:
        last_row = active.offset_index.last().position
        end = last_row
        for header in active.headers(last_row):
            end = header.position + header.size
            loaded.log_end_offset = header.next_offset
            active.positions.add(header.base_offset, header.next_offset, header.position)
            active.bytes_since_index_row = end - last_row
    except StorageFailure as error:
        logger.warning("%s does not look as if it was closed in order: %s", active.log_path, error)
        return False
    return end == active.size


def _recover(loaded: LoadedLog, check: _Check) -> int:
    """Check what may have been lost and cut what is. Returns the offset from which batches were checked."""
    segments = loaded.segments
    scanned_from = -1
    for index, segment in enumerate(segments):
        is_last = index == len(segments) - 1
        if not is_last and segments[index + 1].base_offset <= check.recovery_point:
            continue
        start = _trusted_position(segment, check.recovery_point)
        if scanned_from < 0:
            floor = segment.offset_index.floor(check.recovery_point)
            scanned_from = segment.base_offset if start == 0 else floor.offset + 1
        following = None if is_last else segments[index + 1].base_offset
        end_of_sound = _recover_segment(loaded, segment, start, check, following)
        is_followed = following is None or check.may_have_holes or loaded.log_end_offset == following
        if end_of_sound == segment.size and is_followed:
            if not is_last:
                segment.seal()
            continue
        loaded.truncated_bytes = segment.size - end_of_sound + sum(later.size for later in segments[index + 1 :])
        logger.warning("%s: cutting %d bytes that are torn or damaged", segment.log_path, loaded.truncated_bytes)
        segment.truncate(end_of_sound, loaded.log_end_offset)
        for later in segments[index + 1 :]:
            later.delete()
        del segments[index + 1 :]
        break
    return max(scanned_from, 0)


def _sync_what_was_checked(loaded: LoadedLog, scanned_from: int, directory: Path, disk: Disk) -> None:
    """A power loss must not bring back what was cut: the log goes on in the next segment, and this one is trusted."""
    for segment in reversed(loaded.segments):
        segment.write_indexes()
        segment.sync()
        for path in segment.offset_index.take_unsynced() + segment.time_index.take_unsynced():
            if disk.exists(path):
                disk.sync(path)
        if disk.exists(segment.txn_index.path):
            disk.sync(segment.txn_index.path)
        if segment.base_offset < scanned_from:
            break
    disk.sync_directory(directory)


def _trusted_position(segment: Segment, recovery_point: int) -> int:
    """Where checking starts: the last indexed batch below the recovery point, if the index tells the truth."""
    if recovery_point <= segment.base_offset:
        return 0
    row = segment.offset_index.floor(recovery_point)
    if 0 < row.position < segment.size:
        header = next(segment.sound_batches(row.position), None)
        if header is not None and header.last_offset == row.offset:
            return row.position
    return 0


def _recover_segment(loaded: LoadedLog, segment: Segment, start: int, check: _Check, following: int | None) -> int:
    """Index the sound batches from `start` on anew; returns where they end and moves the log end there."""
    segment.offset_index.truncate_to_position(start + 1 if start else 0)
    segment.time_index.truncate_to_offset(segment.offset_index.last().offset + 1 if start else segment.base_offset)
    segment.forget_end()
    next_offset = segment.base_offset
    end = start
    for header in segment.sound_batches(start):
        is_first = header.position == start > 0
        has_hole, goes_back = header.base_offset > next_offset, header.base_offset < next_offset
        if not is_first and (goes_back or (has_hole and not check.may_have_holes)):
            break
        if following is not None and header.next_offset > following:
            break  # this end was cut, and a power loss has brought it back
        if header.last_offset_delta < 0 or not _agrees(loaded.epochs, header, check.durable_to):
            break
        if is_first:
            segment.bytes_since_index_row = header.size  # it has its row
        else:
            segment.take_in(header, header.position, check.index_interval_bytes)
        segment.positions.add(header.base_offset, header.next_offset, header.position)
        next_offset = header.next_offset
        end = header.position + header.size
    loaded.log_end_offset = next_offset
    return end


def _agrees(epochs: LeaderEpochs, header: BatchHeader, durable_to: int) -> bool:
    """Make the epochs say of this batch what it says itself; False when it was written over, or is older than the last.

    The checkpoint may be behind the log, which the batches themselves make good. Where it is ahead, above what was
    synced (`durable_to`), a power loss has brought the log's old end back, which was cut and written anew by a later
    leader: the log ends there, for what follows in the next segment would follow on the wrong batches.
    """
    epoch = header.leader_epoch
    if epoch < 0:
        return True
    known = epochs.epoch_for_offset(header.base_offset)
    if known == epoch:
        return True
    following = epochs.first_above(header.base_offset)
    is_between = known >= 0 and following is not None and following.epoch > epoch
    if header.base_offset >= durable_to and (known > epoch or is_between):
        return False
    epochs.truncate_from_end(header.base_offset)
    if epoch < epochs.latest_epoch:
        return False
    epochs.assign(epoch, header.base_offset)
    return True


def _replay_producers(loaded: LoadedLog, scanned_from: int) -> ProducerStateMap:
    """Producers as of the log end; the transaction indexes of what was checked are written anew on the way."""
    for segment in reversed(loaded.segments):
        segment.txn_index.truncate_to(scanned_from)
        if segment.base_offset < scanned_from:
            break  # checking began inside this one; those before were not touched

    def note(segment: Segment, ended: CompletedTransaction) -> None:
        if ended.is_aborted and ended.last_offset >= scanned_from:
            segment.txn_index.append(
                AbortedTransaction(ended.producer_id, ended.first_offset, ended.last_offset, ended.last_stable_offset)
            )

    return rebuild(
        loaded.segments,
        loaded.snapshots,
        up_to=loaded.log_end_offset,
        not_after=scanned_from,
        on_transaction=note,
    )
