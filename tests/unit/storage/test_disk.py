"""The machine's disk: few descriptors, whole writes, one kind of error."""

from __future__ import annotations

import os

import pytest

from model.errors import StorageFailure
from storage.disk import OsDisk


def test_descriptors_stay_bounded_and_files_whole(tmp_path):
    disk = OsDisk(max_open_files=4)
    for turn in range(3):
        for number in range(20):
            disk.write(tmp_path / f"f{number}", b"%d" % (number % 10), turn)
            assert disk.open_files <= 4
    assert all(disk.read(tmp_path / f"f{n}", 99, 0) == b"%d" % (n % 10) * 3 for n in range(20))
    disk.close_all()
    assert disk.open_files == 0


def test_reads_are_short_only_at_the_end(tmp_path):
    disk = OsDisk()
    disk.write(tmp_path / "f", b"abcdef", 0)
    assert (disk.read(tmp_path / "f", 4, 3), disk.read(tmp_path / "f", 4, 6)) == (b"def", b"")


def test_a_write_that_stops_short_is_finished(tmp_path, monkeypatch):
    disk = OsDisk()
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, buffer, at: pwrite(fd, memoryview(buffer)[:3], at))
    disk.write(tmp_path / "f", b"0123456789", 2)
    monkeypatch.undo()
    assert disk.read_all(tmp_path / "f") == b"\0\0" + b"0123456789"


def test_every_trouble_is_a_storage_failure(tmp_path):
    disk, missing = OsDisk(), tmp_path / "no" / "such"
    for deed in (
        lambda: disk.read(missing, 1, 0),
        lambda: disk.read_all(missing),
        lambda: disk.write(missing, b"x", 0),
        lambda: disk.sync(missing),
        lambda: disk.sync_directory(missing),
        lambda: disk.truncate(missing, 0),
        lambda: disk.rename(missing, tmp_path / "x"),
        lambda: disk.list(missing),
    ):
        with pytest.raises(StorageFailure, match="such"):
            deed()


def test_a_full_disk_is_a_storage_failure():
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with pytest.raises(StorageFailure, match="No space"):
        OsDisk().write("/dev/full", b"x", 0)


def test_absent_things_are_no_trouble_to_remove(tmp_path):
    disk = OsDisk()
    disk.remove(tmp_path / "none")
    disk.remove_tree(tmp_path / "none")
    assert (disk.exists(tmp_path / "none"), disk.size(tmp_path / "none")) == (False, 0)


def test_renamed_directories_take_their_open_files_along(tmp_path):
    disk = OsDisk()
    disk.make_directory(tmp_path / "old")
    disk.write(tmp_path / "old" / "f", b"one", 0)
    disk.rename(tmp_path / "old", tmp_path / "new")
    assert disk.open_files == 0
    assert disk.list(tmp_path) == {"new": -1}
    assert disk.list(tmp_path / "new") == {"f": 3}
    disk.sync(tmp_path / "new" / "f")
    disk.sync_directory(tmp_path / "new")


@pytest.mark.parametrize("is_open", [True, False])
def test_large_files_go_at_once_by_name_and_their_blocks_behind_our_back(tmp_path, is_open):
    disk = OsDisk()
    directory = tmp_path / "t-0"
    directory.mkdir()
    for name in ("a", "b"):
        disk.truncate(directory / name, 20 << 20)
        if not is_open:
            disk.close(directory / name)
    disk.remove(directory / "a")
    assert disk.list(directory) == {"b": 20 << 20}
    disk.remove_tree(directory)
    assert not directory.exists() and disk.open_files == 0
