"""The sparse indexes, in memory and on disk."""

from __future__ import annotations

import pytest

from storage.disk import OsDisk
from storage.index import OffsetIndex, TimeIndex


@pytest.fixture(params=["in memory", "loaded"])
def offset_index(request, tmp_path):
    index = OffsetIndex(str(tmp_path / "i"), 100, OsDisk(), is_new=True)
    for n in range(1, 6):
        index.append(100 + 10 * n, 1_000 * n)
    if request.param == "loaded":
        index.unload()
    return index


@pytest.fixture(params=["in memory", "loaded"])
def time_index(request, tmp_path):
    index = TimeIndex(str(tmp_path / "t"), 100, OsDisk(), is_new=True)
    for n in range(1, 6):
        index.maybe_append(5_000 + 10 * n, 100 + 10 * n)
    if request.param == "loaded":
        index.unload()
    return index


def test_offsets_find_the_row_at_or_below(offset_index):
    assert [offset_index.floor(offset).position for offset in (0, 109, 110, 119, 120, 999)] == [
        0,
        0,
        1000,
        1000,
        2000,
        5000,
    ]
    assert offset_index.last() == (150, 5_000)


def test_timestamps_find_the_row_strictly_before(time_index):
    assert [time_index.floor(stamp).offset for stamp in (0, 5_010, 5_011, 5_020, 9_999)] == [100, 100, 110, 110, 150]
    assert time_index.last() == (5_050, 150)


def test_a_timestamp_that_is_no_news_gets_no_row(time_index):
    time_index.maybe_append(5_050, 170)
    time_index.maybe_append(5_000, 180)
    time_index.maybe_append(-1, 190)
    assert len(time_index) == 5


def test_truncated_rows_are_gone_from_disk_too(offset_index, time_index, tmp_path):
    for index in (offset_index, time_index):
        index.write()
    offset_index.truncate_to_position(3_000)
    time_index.truncate_to_offset(130)
    assert (len(offset_index), len(time_index)) == (2, 2)
    assert ((tmp_path / "i").stat().st_size, (tmp_path / "t").stat().st_size) == (16, 24)
    offset_index.append(170, 7_000)
    offset_index.write()
    assert OffsetIndex(str(tmp_path / "i"), 100, OsDisk()).last() == (170, 7_000)


def test_rows_are_big_endian_and_relative(offset_index, time_index, tmp_path):
    for index in (offset_index, time_index):
        index.write()
    assert (tmp_path / "i").read_bytes()[:8] == (10).to_bytes(4, "big") + (1_000).to_bytes(4, "big")
    assert (tmp_path / "t").read_bytes()[:12] == (5_010).to_bytes(8, "big") + (10).to_bytes(4, "big")


def test_preallocated_zeroes_and_torn_rows_are_ignored(offset_index, time_index, tmp_path):
    for index in (offset_index, time_index):
        index.write()
    for name in ("i", "t"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + bytes(31))
    assert OffsetIndex(str(tmp_path / "i"), 100, OsDisk()).last() == (150, 5_000)
    assert TimeIndex(str(tmp_path / "t"), 100, OsDisk()).last() == (5_050, 150)


def test_an_index_without_a_file_is_empty(tmp_path):
    index = OffsetIndex(str(tmp_path / "none"), 100, OsDisk())
    assert (len(index), index.floor(500), index.last()) == (0, (100, 0), (100, 0))
    index.write()
    assert not (tmp_path / "none").exists()
