"""What of a task's files is believed after a restart."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from streams.live import checkpoint as module
from streams.live.checkpoint import Checkpoint, is_trusted

LOG = "app-counts-changelog"


def a_checkpoint(folder: Path) -> Checkpoint:
    (folder / "rocksdb" / "counts").mkdir(parents=True)
    (folder / "rocksdb" / "unlogged").mkdir()
    return Checkpoint(folder, ["counts"])


def test_what_was_written_is_read_until_it_is_written_anew(tmp_path: Path) -> None:
    checkpoint = a_checkpoint(tmp_path)
    checkpoint.write({LOG: 12})
    assert checkpoint.read() == checkpoint.read() == {LOG: 12}
    checkpoint.write({LOG: 13})
    assert checkpoint.read() == {LOG: 13}


def test_files_without_a_checkpoint_are_removed_unless_no_changelog_could_replace_them(tmp_path: Path) -> None:
    assert a_checkpoint(tmp_path).read() == {}
    assert [path.name for path in (tmp_path / "rocksdb").iterdir()] == ["unlogged"]


def test_a_torn_checkpoint_is_none(tmp_path: Path) -> None:
    checkpoint = a_checkpoint(tmp_path)
    (tmp_path / "checkpoint.json").write_text('{"offsets": {"a"')
    assert checkpoint.read() == {}


@pytest.mark.parametrize(("is_clean", "expected"), [(False, {}), (True, {LOG: 12})])
def test_after_another_boot_only_what_was_closed_in_order_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_clean: bool, expected: dict[str, int]
) -> None:
    checkpoint = a_checkpoint(tmp_path)
    checkpoint.write({LOG: 12}, is_clean=is_clean)
    monkeypatch.setattr(module, "this_host", lambda: "another boot")
    assert checkpoint.read() == expected


def test_one_older_than_a_topic_keeps_deletions_is_void(tmp_path: Path) -> None:
    checkpoint = a_checkpoint(tmp_path)
    checkpoint.write({LOG: 12}, is_clean=True)
    said = msgspec.json.decode((tmp_path / "checkpoint.json").read_bytes())
    said["written_ms"] -= module.MOST_AGE_MS + 1
    (tmp_path / "checkpoint.json").write_bytes(msgspec.json.encode(said))
    assert checkpoint.read() == {}


@pytest.mark.parametrize(("position", "expected"), [(4, False), (5, True), (9, True), (10, False)])
def test_a_position_must_lie_in_the_changelog_as_it_is(position: int, expected: bool) -> None:
    assert is_trusted(position, start=5, end=9) is expected


def test_without_a_folder_there_is_nothing_to_remember() -> None:
    Checkpoint(None).write({LOG: 1})
    assert Checkpoint(None).read() == {}
