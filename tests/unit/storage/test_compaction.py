"""What compaction keeps, batch by batch."""

import pytest

from protocol.control_batches import control_batch
from protocol.records import CODECS, BatchHeader, Record, check_crc, decode_records, encode_batch, parse_header
from storage.compacted_batch import delete_horizon_ms, with_records, without_records
from storage.compaction import BatchFilter, KeyOffsets, LastWrite, Transactions
from storage.txn_index import AbortedTransaction

NOW_MS, RETENTION_MS = 10_000, 500


def a_batch(base: int, *pairs: tuple[str, str | None], producer: int = -1, codec: str = "none", ms: int = 100) -> bytes:
    records = [Record(-1, ms, key.encode(), None if value is None else value.encode()) for key, value in pairs]
    transactional = producer >= 0
    return bytes(
        encode_batch(
            records, base_offset=base, producer_id=producer, producer_epoch=0 if transactional else -1,
            base_sequence=0 if transactional else -1, transactional=transactional, codec=codec,
        )
    )  # fmt: skip


def a_marker(offset: int, producer: int, *, is_commit: bool) -> bytes:
    return bytes(
        control_batch(
            is_commit=is_commit, producer_id=producer, producer_epoch=0, coordinator_epoch=0, timestamp=100,
            base_offset=offset,
        )
    )  # fmt: skip


def a_filter(
    *batches: bytes,
    aborted: tuple[AbortedTransaction, ...] = (),
    last_writes: dict[int, LastWrite] | None = None,
    now_ms: int = NOW_MS,
    end: int = 1_000_000,
) -> BatchFilter:
    """After the first pass over `batches`."""
    keys, transactions = KeyOffsets(1000), Transactions(aborted)
    for batch in batches:
        header = parse_header(batch)
        if header.is_control:
            transactions.is_spent(header, batch)
        elif not transactions.is_aborted(header):
            keys.note(decode_records(batch, header), 0)
        keys.latest_offset = header.last_offset
    return BatchFilter(keys, Transactions(aborted), last_writes or {}, end, now_ms, RETENTION_MS)


def cleaned(batch_filter: BatchFilter, *batches: bytes) -> list[bytes]:
    left = [batch_filter.clean(batch, parse_header(batch)) for batch in batches]
    for each in left:
        if each is not None:
            check_crc(each, parse_header(each))
    return [bytes(each) for each in left if each is not None]


def compacted(*batches: bytes, **filter_arguments: object) -> list[bytes]:
    return cleaned(a_filter(*batches, **filter_arguments), *batches)  # type: ignore[arg-type]


def content(batches: list[bytes]) -> list[tuple[int, bytes | None, bytes | None]]:
    return [(r.offset, r.key, r.value) for each in batches for r in decode_records(each, parse_header(each))]


class TestRecords:
    def test_the_last_of_each_key_stays_where_it_was(self) -> None:
        left = compacted(a_batch(0, ("a", "1"), ("b", "1"), ("a", "2")), a_batch(3, ("b", "2")), a_batch(4, ("c", "1")))
        assert content(left) == [(2, b"a", b"2"), (3, b"b", b"2"), (4, b"c", b"1")]

    def test_what_is_complete_is_not_touched(self) -> None:
        batches = [a_batch(0, ("a", "1")), a_batch(1, ("b", "1"), ("c", "1"), codec="gzip")]
        batch_filter = a_filter(*batches)
        assert cleaned(batch_filter, *batches) == batches
        assert batch_filter.tally.changed_batches == 0

    def test_records_above_what_was_read_are_not_judged(self) -> None:
        read, unread = a_batch(0, ("a", "1"), ("a", "2")), a_batch(2, ("a", "3"), ("b", None))
        assert content(cleaned(a_filter(read), read, unread)) == [(1, b"a", b"2"), (2, b"a", b"3"), (3, b"b", None)]

    @pytest.mark.parametrize("codec", CODECS)
    def test_a_batch_keeps_its_offsets_sequences_and_codec(self, codec: str) -> None:
        batch = a_batch(10, *((f"k{n % 3}", "v" * 50) for n in range(20)), producer=7, codec=codec)
        (left,) = compacted(batch)
        before, after = parse_header(batch), parse_header(left)
        assert [offset for offset, _, _ in content([left])] == [27, 28, 29]
        kept = (after.base_offset, after.last_offset, after.base_sequence, after.last_sequence, after.producer_id)
        assert kept == (10, 29, 0, 19, 7) and after.record_count == 3
        assert after.codec == before.codec == codec and after.is_transactional

    def test_timestamps_and_headers_survive(self) -> None:
        records = [Record(-1, 50 + n, b"k%d" % (n % 2), b"v", [("h", b"x"), ("n", None)]) for n in range(4)]
        (left,) = compacted(bytes(encode_batch(records, base_offset=5)))
        assert [(r.timestamp, r.headers) for r in decode_records(left, parse_header(left))] == [
            (52, [("h", b"x"), ("n", None)]),
            (53, [("h", b"x"), ("n", None)]),
        ]
        assert parse_header(left).max_timestamp == 53

    def test_long_keys_do_not_cost_their_length(self) -> None:
        keys = KeyOffsets(10)
        keys.note([Record(3, 0, b"k" * 10_000, b"")], 0)
        assert keys.is_latest(b"k" * 10_000, 3) and not keys.is_latest(b"k" * 10_000, 2)
        assert keys.is_latest(b"k" * 9_999, 0)

    def test_a_full_map_takes_known_keys_only(self) -> None:
        keys = KeyOffsets(2)
        assert keys.note([Record(0, 0, b"a", b""), Record(1, 0, b"b", b""), Record(2, 0, b"a", b"")], 0)
        assert not keys.note([Record(3, 0, b"c", b"")], 0)
        assert len(keys) == 2


class TestTombstones:
    def test_the_first_cleaning_sets_the_horizon(self) -> None:
        batch = a_batch(0, ("a", "1"), ("a", None), ms=77)
        (left,) = compacted(batch)
        assert delete_horizon_ms(parse_header(batch)) is None
        assert delete_horizon_ms(parse_header(left)) == NOW_MS + RETENTION_MS
        assert [(r.offset, r.timestamp, r.value) for r in decode_records(left, parse_header(left))] == [(1, 77, None)]

    def test_it_stays_until_then_and_goes_from_then_on(self) -> None:
        (first,) = compacted(a_batch(0, ("a", None), ("b", "1")))
        (second,) = compacted(first, now_ms=NOW_MS + RETENTION_MS - 1)
        assert second == first, "the horizon does not move"
        (third,) = compacted(second, now_ms=NOW_MS + RETENTION_MS)
        assert content([third]) == [(1, b"b", b"1")]

    @pytest.mark.parametrize("codec", CODECS)
    def test_the_horizon_works_in_compressed_batches(self, codec: str) -> None:
        batch = a_batch(0, *((f"key-{n}", None if n % 2 else "value" * 20) for n in range(10)), codec=codec, ms=2**41)
        (left,) = compacted(batch)
        assert parse_header(left).codec == codec
        assert decode_records(left, parse_header(left)) == decode_records(batch, parse_header(batch))


class TestEmptyBatches:
    def test_a_batch_without_records_goes(self) -> None:
        assert compacted(a_batch(0, ("a", "1")), a_batch(1, ("a", "2")))[0:1] == [a_batch(1, ("a", "2"))]

    def test_the_last_write_of_a_producer_stays_as_a_header(self) -> None:
        batches = a_batch(0, ("a", "1"), ("b", "1"), producer=7), a_batch(2, ("a", "2"), ("b", "2"))
        left = compacted(*batches, last_writes={7: LastWrite(1, 0)})
        header = parse_header(left[0])
        assert (header.record_count, header.size, header.last_offset, header.last_sequence) == (0, 61, 1, 1)
        assert compacted(*left, last_writes={7: LastWrite(1, 0)}) == left
        assert compacted(*left) == [batches[1]], "once the producer is forgotten, it goes"

    def test_the_end_of_what_was_cleaned_stays(self) -> None:
        batches = a_batch(0, ("a", "1")), a_batch(1, ("a", "2"), producer=3)
        aborted = AbortedTransaction(3, 1, 2, 3)
        left = compacted(*batches, aborted=(aborted,), end=2)
        assert [parse_header(each).record_count for each in left] == [1, 0]
        assert parse_header(left[1]).next_offset == 2


class TestTransactions:
    def test_aborted_records_go_and_do_not_supersede(self) -> None:
        batches = a_batch(0, ("a", "1")), a_batch(1, ("a", "bad"), producer=7), a_marker(2, 7, is_commit=False)
        batch_filter = a_filter(*batches, aborted=(AbortedTransaction(7, 1, 2, 3),))
        left = cleaned(batch_filter, *batches)
        assert content(left[:1]) == [(0, b"a", b"1")]
        assert len(left) == 2, "the marker stays: this cleaning still saw a batch of its transaction"
        assert batch_filter.transactions.retained == [AbortedTransaction(7, 1, 2, 3)]

    def test_a_marker_goes_when_its_records_have_gone_for_the_retention_time(self) -> None:
        for is_commit in (True, False):
            marker = a_marker(2, 7, is_commit=is_commit)
            (spent,) = compacted(marker)
            assert delete_horizon_ms(parse_header(spent)) == NOW_MS + RETENTION_MS
            assert decode_records(spent, parse_header(spent)) == decode_records(marker, parse_header(marker))
            assert compacted(spent, now_ms=NOW_MS + RETENTION_MS - 1) == [spent]
            assert compacted(spent, now_ms=NOW_MS + RETENTION_MS) == []

    def test_the_marker_of_committed_records_stays_as_it_is(self) -> None:
        batches = [a_batch(0, ("a", "1"), producer=7), a_marker(1, 7, is_commit=True)]
        assert compacted(*batches, now_ms=10**15) == batches

    def test_a_producer_may_abort_then_commit(self) -> None:
        batches = (
            a_batch(0, ("a", "bad"), producer=7), a_marker(1, 7, is_commit=False),
            a_batch(2, ("a", "good"), producer=7), a_marker(3, 7, is_commit=True),
        )  # fmt: skip
        assert content(compacted(*batches, aborted=(AbortedTransaction(7, 0, 1, 2),))[1:2]) == [(2, b"a", b"good")]

    def test_a_producer_whose_last_write_is_a_marker_stays_fenced(self) -> None:
        (spent,) = compacted(a_marker(2, 7, is_commit=True))
        (empty,) = compacted(spent, now_ms=10**15, last_writes={7: LastWrite(-1, 0)})
        header = parse_header(empty)
        assert (header.record_count, header.is_control, header.producer_epoch) == (0, True, 0)
        assert compacted(empty, now_ms=10**15) == []


def test_rewriting_does_not_change_append_times() -> None:
    records = [Record(-1, 5, b"a", b"1"), Record(-1, 6, b"b", None)]
    batch = encode_batch(records, base_offset=0, append_time_ms=999)
    header: BatchHeader = parse_header(batch)
    for left in (with_records(header, decode_records(batch, header)[1:], 5_000), without_records(header)):
        after = parse_header(left)
        assert (after.max_timestamp, after.timestamp_type) == (999, "LogAppendTime")
        assert all(record.timestamp == 999 for record in decode_records(left, after))
