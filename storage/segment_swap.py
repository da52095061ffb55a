"""Putting one compacted segment in the place of several, so that a crash at any moment leaves the old or the new ones.

1. The new segment's files are written as `.cleaned` and synced. A start removes such files.
2. They are renamed to `.swap`, the `.log` last: with `<base>.log.swap` in place, the change is decided.
3. The files of the segments that it replaces go; the `.swap` files take their final names, the `.log` last.
A start that finds a `<base>.log.swap` does step 3 again; other `.swap` files are from an unfinished step 2 and go.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from protocol.records import HEADER_SIZE, parse_header
from storage.disk import Disk
from storage.segment import INDEX_SUFFIX, LOG_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, Segment

CLEANED, SWAP = ".cleaned", ".swap"
_SUFFIXES = (INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, LOG_SUFFIX)  # the order of every renaming
_SWAP_NAME = re.compile(r"(\d{20})(\.[a-z]+)\.swap")


def new_cleaned_segment(directory: Path, base_offset: int, disk: Disk) -> Segment:
    """An empty segment whose files bear `.cleaned`; all of them exist from the start, so that all get renamed."""
    segment = Segment(directory, base_offset, disk, is_new=True)
    _set_paths(segment, directory, CLEANED)
    for path in _paths(segment):
        disk.truncate(path, 0)
    return segment


def decide(segment: Segment, directory: Path, disk: Disk) -> None:
    """Step 2, for a cleaned segment that is written and synced. Sync the directory before step 3."""
    old = _paths(segment)
    _set_paths(segment, directory, SWAP)
    for before, after in zip(old, _paths(segment), strict=True):
        disk.rename(before, after)


def swap_in(segment: Segment, replaced: Sequence[Segment], directory: Path, disk: Disk) -> None:
    """Step 3. The replaced segments are not to be used any more; but for the first, their producer snapshots may go."""
    for old in replaced:
        if old.base_offset != segment.base_offset:
            old.delete()
    staged = _paths(segment)
    _set_paths(segment, directory, "")
    for before, after in zip(staged, _paths(segment), strict=True):
        disk.rename(before, after)


def abandon(segment: Segment, disk: Disk) -> None:
    """Remove the files of a segment that is not swapped in, whichever step it is at, the decision first."""
    for path in reversed(_paths(segment)):
        disk.remove(path)


def complete_swaps(directory: Path, disk: Disk) -> None:
    """Finish or undo what a crash interrupted. Called at the start, before anything else looks at the directory."""
    staged: dict[int, set[str]] = {}
    names = disk.list(directory)
    for name in names:
        if match := _SWAP_NAME.fullmatch(name):
            staged.setdefault(int(match[1]), set()).add(match[2])
    for base_offset, suffixes in staged.items():
        stem = f"{directory}/{base_offset:020d}"
        if LOG_SUFFIX not in suffixes or f"{base_offset:020d}{LOG_SUFFIX}" not in names:
            for suffix in reversed(_SUFFIXES):
                disk.remove(f"{stem}{suffix}{SWAP}")
            continue
        end = _end_offset(f"{stem}{LOG_SUFFIX}{SWAP}", base_offset, disk)
        for name in names:
            offset, dot, _ = name.partition(".")
            if dot and offset.isdigit() and base_offset < int(offset) < end and not name.endswith(SWAP):
                disk.remove(directory / name)
        for suffix in _SUFFIXES:
            if suffix in suffixes:
                disk.rename(f"{stem}{suffix}{SWAP}", stem + suffix)
    if staged:
        disk.sync_directory(directory)


def _end_offset(path: str, base_offset: int, disk: Disk) -> int:
    """Where the batches of a swap file end. Segments above that stay; the next cleaning takes them again."""
    position, end, size = 0, base_offset, disk.size(path)
    while position + HEADER_SIZE <= size:
        header = parse_header(disk.read(path, HEADER_SIZE, position))
        position, end = position + header.size, header.next_offset
    return end


def _paths(segment: Segment) -> list[str]:
    """In the order of _SUFFIXES."""
    return [segment.offset_index.path, segment.time_index.path, str(segment.txn_index.path), segment.log_path]


def _set_paths(segment: Segment, directory: Path, suffix: str) -> None:
    stem = f"{directory}/{segment.base_offset:020d}"
    segment.offset_index.path = f"{stem}{INDEX_SUFFIX}{suffix}"
    segment.time_index.path = f"{stem}{TIME_INDEX_SUFFIX}{suffix}"
    segment.txn_index.path = Path(f"{stem}{TXN_INDEX_SUFFIX}{suffix}")
    segment.log_path = f"{stem}{LOG_SUFFIX}{suffix}"
