"""Leader epochs: assignment, the KIP-320 answer, truncation at both ends, the file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.disk import OsDisk
from storage.leader_epochs import FILE_NAME, LeaderEpochs


class CountingDisk(OsDisk):
    def __init__(self) -> None:
        super().__init__()
        self.syncs = 0
        self.renames = 0

    def sync(self, path: str | Path) -> None:
        self.syncs += 1
        super().sync(path)

    def rename(self, old: str | Path, new: str | Path) -> None:
        self.renames += 1
        super().rename(old, new)


def epochs_in(directory: Path, *entries: tuple[int, int]) -> LeaderEpochs:
    epochs = LeaderEpochs(directory / FILE_NAME, OsDisk())
    for epoch, start_offset in entries:
        epochs.assign(epoch, start_offset)
    return epochs


def test_the_file_is_kafkas(tmp_path: Path) -> None:
    epochs_in(tmp_path, (0, 0), (2, 11))
    assert (tmp_path / FILE_NAME).read_text() == "0\n2\n0 0\n2 11\n"
    assert epochs_in(tmp_path).entries == [(0, 0), (2, 11)]


def test_an_empty_one_does_not_touch_the_disk(tmp_path: Path) -> None:
    disk = CountingDisk()
    epochs = LeaderEpochs(tmp_path / FILE_NAME, disk)
    epochs.truncate_from_end(0)
    epochs.truncate_from_start(5)
    epochs.clear()
    epochs.flush()
    assert (disk.renames, list(tmp_path.iterdir()), epochs.latest()) == (0, [], None)


def test_an_epoch_is_synced_only_on_demand(tmp_path: Path) -> None:
    disk = CountingDisk()
    epochs = LeaderEpochs(tmp_path / FILE_NAME, disk)
    assert epochs.assign(1, 0)
    assert not epochs.assign(1, 7), "later batches of the same epoch are no news"
    assert (disk.renames, disk.syncs) == (0, 0)
    epochs.flush()
    epochs.flush()
    assert disk.syncs == 1
    epochs.assign(2, 9, durable=True)
    assert disk.syncs == 2


@pytest.mark.parametrize(
    ("late", "left"),
    [
        ((3, 5), [(0, 0), (3, 5)]),  # starts where an older one did, which therefore wrote nothing
        ((1, 30), [(0, 0), (1, 30)]),  # an epoch that went back replaces those above it
        ((2, 9), [(0, 0), (1, 5), (2, 9)]),  # the same epoch from earlier on
        ((4, 40), [(0, 0), (1, 5), (2, 10), (4, 40)]),
    ],
)
def test_a_new_entry_drops_those_it_contradicts(
    tmp_path: Path, late: tuple[int, int], left: list[tuple[int, int]]
) -> None:
    epochs = epochs_in(tmp_path, (0, 0), (1, 5), (2, 10), late)
    assert epochs.entries == left
    epochs.check()


@pytest.mark.parametrize(
    ("epoch", "answer"),
    [
        (-1, (-1, -1)),
        (0, (0, 10)),  # older than all: it ended where the first known one starts
        (2, (2, 20)),
        (3, (2, 20)),  # unknown in between: the one before it
        (5, (5, 30)),
        (7, (7, 99)),  # the latest ends at the log end
        (8, (-1, -1)),
    ],
)
def test_where_an_epoch_ended(tmp_path: Path, epoch: int, answer: tuple[int, int]) -> None:
    epochs = epochs_in(tmp_path, (2, 10), (5, 20), (7, 30))
    assert epochs.end_offset_for(epoch, log_end=99) == answer


def test_nothing_known_ends_nowhere(tmp_path: Path) -> None:
    assert epochs_in(tmp_path).end_offset_for(0, 10) == (-1, -1)
    assert epochs_in(tmp_path).epoch_for_offset(0) == -1


def test_which_epoch_wrote_an_offset(tmp_path: Path) -> None:
    epochs = epochs_in(tmp_path, (2, 10), (5, 20))
    assert [epochs.epoch_for_offset(offset) for offset in (9, 10, 19, 20, 1000)] == [-1, 2, 2, 5, 5]


def test_truncation_from_the_end_forgets_epochs_that_lost_all_records(tmp_path: Path) -> None:
    epochs = epochs_in(tmp_path, (1, 0), (2, 10), (3, 20))
    epochs.truncate_from_end(20)
    assert epochs.entries == [(1, 0), (2, 10)]
    epochs.truncate_from_end(15)
    assert epochs_in(tmp_path).entries == [(1, 0), (2, 10)]


def test_truncation_from_the_start_moves_the_epoch_that_holds_the_new_start(tmp_path: Path) -> None:
    epochs = epochs_in(tmp_path, (1, 0), (2, 10), (3, 20))
    epochs.truncate_from_start(15)
    assert epochs.entries == [(2, 15), (3, 20)]
    epochs.truncate_from_start(20)
    assert epochs_in(tmp_path).entries == [(3, 20)]


@pytest.mark.parametrize("content", ["0\n2\n1 0\n", "0\n2\n1 0\n2 1"])
def test_of_a_torn_file_the_whole_lines_count(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    epochs = epochs_in(tmp_path)
    assert (epochs.entries, epochs.is_suspect) == ([(1, 0)], True)


@pytest.mark.parametrize("content", ["", "0\n", "9\n0\n", "0\n1\nx y\n", "\x00\x00\x00"])
def test_a_damaged_file_starts_empty_and_says_so(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    epochs = epochs_in(tmp_path)
    assert epochs.entries == []
    assert epochs.is_suspect == (content != "")
    epochs.assign(4, 0)
    assert epochs_in(tmp_path).entries == [(4, 0)]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 50), st.sampled_from(["assign", "end", "start"]))))
def test_entries_rise_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, str]]
) -> None:
    directory = tmp_path_factory.mktemp("epochs")
    epochs = epochs_in(directory)
    for epoch, offset, step in steps:
        if step == "assign":
            epochs.assign(epoch, offset)
            assert epochs.latest() is not None and epochs.latest_epoch >= 0
        elif step == "end":
            epochs.truncate_from_end(offset)
        else:
            epochs.truncate_from_start(offset)
        epochs.check()
    assert epochs_in(directory).entries == epochs.entries


def test_small_changes_are_written_in_place_and_leave_a_file_that_reads(tmp_path: Path) -> None:
    disk = CountingDisk()
    epochs = LeaderEpochs(tmp_path / FILE_NAME, disk)
    for epoch, start in [(1, 0), (2, 90), (13, 1_000)]:
        epochs.assign(epoch, start)
    epochs.truncate_from_end(50)
    assert LeaderEpochs(tmp_path / FILE_NAME, disk).entries == [(1, 0)]
    epochs.clear()
    assert LeaderEpochs(tmp_path / FILE_NAME, disk).entries == []
    epochs.assign(14, 7)
    assert LeaderEpochs(tmp_path / FILE_NAME, disk).entries == [(14, 7)]
    assert disk.renames == 0


def test_the_first_flush_after_an_open_is_durable_since_the_writer_may_have_died(tmp_path: Path) -> None:
    epochs_in(tmp_path, (0, 0), (2, 11))
    disk = CountingDisk()
    epochs = LeaderEpochs(tmp_path / FILE_NAME, disk)
    epochs.flush()
    assert disk.syncs == 1
    epochs.flush()
    assert disk.syncs == 1
