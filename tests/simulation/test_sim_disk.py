"""The forgetful disk forgets what it may, and nothing else."""

from __future__ import annotations

from random import Random

import pytest

from chaos.sim_disk import SECTOR_BYTES, ForgetfulDisk, Platter
from chaos.sim_world import Killed
from model.errors import StorageFailure
from storage.checkpoints import CleanShutdownMarker, write_atomically


def a_disk(seed: int = 1) -> ForgetfulDisk:
    disk = ForgetfulDisk(Platter(Random(seed)), lambda: None)
    disk.make_directory("/d")
    return disk


def test_a_process_that_dies_leaves_all_it_has_written() -> None:
    disk = a_disk()
    disk.write("/d/f", b"hello", 0)
    again = ForgetfulDisk(disk.platter, lambda: None)
    assert again.read_all("/d/f") == b"hello"
    assert again.list("/d") == {"f": 5}


@pytest.mark.parametrize("seed", range(30))
def test_a_power_loss_keeps_what_was_synced_and_perhaps_some_of_the_rest(seed: int) -> None:
    disk = a_disk(seed)
    disk.write("/d/f", b"synced", 0)
    disk.sync("/d/f")
    disk.sync_directory("/d")
    disk.write("/d/f", b" and more", 6)
    disk.platter.lose_power()
    assert b"synced and more".startswith(disk.read_all("/d/f"))
    assert disk.read_all("/d/f").startswith(b"synced")


@pytest.mark.parametrize("seed", range(30))
def test_a_sector_that_is_written_over_is_old_or_new(seed: int) -> None:
    disk = a_disk(seed)
    disk.write("/d/f", b"a" * SECTOR_BYTES, 0)
    disk.sync("/d/f")
    disk.sync_directory("/d")
    disk.write("/d/f", b"b" * 100, 0)
    disk.platter.lose_power()
    assert disk.read_all("/d/f")[:100] in (b"a" * 100, b"b" * 100)


@pytest.mark.parametrize("seed", range(30))
def test_a_durable_replacement_survives_any_power_loss(seed: int) -> None:
    from pathlib import Path

    disk = a_disk(seed)
    write_atomically(disk, Path("/d/f"), b"old", durable=True)
    write_atomically(disk, Path("/d/f"), b"new", durable=True)
    write_atomically(disk, Path("/d/f"), b"newest", durable=False)
    disk.platter.lose_power()
    assert disk.read_all("/d/f") in (b"new", b"newest") or b"newest".startswith(disk.read_all("/d/f"))


@pytest.mark.parametrize("seed", range(30))
def test_a_power_loss_does_not_bring_the_mark_of_a_clean_stop_back(seed: int) -> None:
    """Simulated seed 3710: the start after the power loss believed logs that nobody had recovered."""
    from pathlib import Path

    disk = a_disk(seed)
    marker = CleanShutdownMarker(Path("/d"), disk)
    marker.write()
    assert marker.take()
    disk.platter.lose_power()
    assert not marker.take()


def test_a_fuse_ends_the_process_amid_a_write() -> None:
    disk = a_disk()
    disk.fuse = 2
    disk.write("/d/f", b"one", 0)
    with pytest.raises(Killed):
        disk.write("/d/f", b"two", 3)
    assert b"onetwo".startswith(disk.platter.names["/d/f"].content)
    with pytest.raises(Killed):
        disk.write("/d/f", b"three", 6)


@pytest.mark.parametrize("seed", range(20))
def test_a_killed_process_has_written_over_a_page_or_not(seed: int) -> None:
    disk = a_disk(seed)
    disk.fuse = 2
    disk.write("/d/f", b"a" * 100, 0)
    with pytest.raises(Killed):
        disk.write("/d/f", b"b" * 100, 0)
    assert bytes(disk.platter.names["/d/f"].content) in (b"a" * 100, b"b" * 100)


def test_a_full_disk_says_so() -> None:
    disk = a_disk()
    disk.failures = 1
    with pytest.raises(StorageFailure):
        disk.write("/d/f", b"x", 0)
    disk.write("/d/f", b"x", 0)
