"""The index of aborted transactions."""

from pathlib import Path

import pytest

from model.errors import StorageFailure
from storage.disk import OsDisk
from storage.txn_index import AbortedTransaction, TxnIndex

FIRST = AbortedTransaction(producer_id=1, first_offset=0, last_offset=10, last_stable_offset=2)
SECOND = AbortedTransaction(producer_id=2, first_offset=2, last_offset=20, last_stable_offset=21)
THIRD = AbortedTransaction(producer_id=1, first_offset=25, last_offset=30, last_stable_offset=31)


def index_in(directory: Path, *rows: AbortedTransaction) -> TxnIndex:
    index = TxnIndex(directory / "0.txnindex", OsDisk())
    for row in rows:
        index.append(row)
    return index


def test_no_file_before_the_first_abort(tmp_path: Path) -> None:
    index = index_in(tmp_path)
    assert index.aborted_between(0, 100) == ([], False)
    index.truncate_to(0)
    index.flush()
    index.clear()
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_kafkas(tmp_path: Path) -> None:
    index_in(tmp_path, SECOND).flush()
    expected = "0000" + "0000000000000002" * 2 + "0000000000000014" + "0000000000000015"
    assert (tmp_path / "0.txnindex").read_bytes().hex() == expected
    assert index_in(tmp_path).entries == [SECOND]


@pytest.mark.parametrize(
    ("start", "end", "found", "is_complete"),
    [
        (0, 1, [FIRST], True),
        (0, 3, [FIRST, SECOND], True),
        (11, 20, [SECOND], True),
        (11, 22, [SECOND], True),
        (21, 25, [], True),
        (25, 50, [THIRD], False),
        (31, 50, [], False),
    ],
)
def test_a_fetch_gets_the_aborts_that_overlap_it(
    tmp_path: Path, start: int, end: int, found: list[AbortedTransaction], is_complete: bool
) -> None:
    assert index_in(tmp_path, FIRST, SECOND, THIRD).aborted_between(start, end) == (found, is_complete)


def test_truncation_reopens_transactions(tmp_path: Path) -> None:
    index = index_in(tmp_path, FIRST, SECOND, THIRD)
    index.truncate_to(20)
    assert index.entries == index_in(tmp_path).entries == [FIRST]
    index.append(SECOND)
    assert index_in(tmp_path).entries == [FIRST, SECOND]


def test_a_torn_row_is_overwritten(tmp_path: Path) -> None:
    index_in(tmp_path, FIRST)
    with open(tmp_path / "0.txnindex", "ab") as file:
        file.write(b"\x00" * 20)
    assert index_in(tmp_path, SECOND).entries == [FIRST, SECOND]
    assert (tmp_path / "0.txnindex").stat().st_size == 2 * 34


def test_rows_must_rise_and_be_of_our_version(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not follow"):
        index_in(tmp_path, SECOND, FIRST)
    (tmp_path / "0.txnindex").write_bytes(b"\x00\x09" + bytes(32))
    with pytest.raises(StorageFailure):
        index_in(tmp_path).aborted_between(0, 1)
    index = index_in(tmp_path)
    index.clear()
    index.append(FIRST)
    index.check(base_offset=0)
    assert index_in(tmp_path).entries == [FIRST]
