"""Producers: retries, gaps, fencing, transactions, snapshots."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.coordinator_errors import InvalidTxnState, TransactionCoordinatorFenced
from model.errors import CorruptMessage, InvalidProducerEpoch, OutOfOrderSequenceNumber
from protocol.control_batches import EndTxnMarker
from protocol.records import BatchHeader
from storage.producer_state import CompletedTransaction, ProducerStateMap

MAX_SEQUENCE = 2**31 - 1
COMMIT, ABORT = EndTxnMarker(True, 0), EndTxnMarker(False, 0)


def batch(
    sequence: int,
    count: int = 1,
    *,
    offset: int = 0,
    epoch: int = 0,
    producer: int = 7,
    txn: bool = False,
    ms: int = 100,
) -> BatchHeader:
    return BatchHeader(
        position=0, base_offset=offset, batch_length=49, leader_epoch=0, magic=2, crc=0, attributes=0x10 if txn else 0,
        last_offset_delta=count - 1, base_timestamp=ms, max_timestamp=ms, producer_id=producer, producer_epoch=epoch,
        base_sequence=sequence, record_count=count,
    )  # fmt: skip


def marker(offset: int, *, epoch: int = 0, producer: int = 7, ms: int = 100) -> BatchHeader:
    return batch(-1, offset=offset, epoch=epoch, producer=producer, ms=ms)._replace(attributes=0x30)


def a_state(*batches: BatchHeader) -> ProducerStateMap:
    state = ProducerStateMap()
    for each in batches:
        state.update(each)
    return state


def ten_in_a_row() -> ProducerStateMap:
    return a_state(*(batch(10 * n, 10, offset=100 + 10 * n) for n in range(10)))


class TestSequences:
    def test_an_unknown_producer_may_start_anywhere(self) -> None:
        assert ProducerStateMap().check(batch(42)) is None

    def test_the_next_sequence_is_accepted(self) -> None:
        assert ten_in_a_row().check(batch(100)) is None

    @pytest.mark.parametrize("n", [5, 6, 7, 8, 9])
    def test_each_of_the_last_five_batches_is_recognised_as_a_retry(self, n: int) -> None:
        first_copy = ten_in_a_row().check(batch(10 * n, 10))
        assert first_copy is not None
        assert (first_copy.first_offset, first_copy.last_offset) == (100 + 10 * n, 109 + 10 * n)

    @pytest.mark.parametrize(
        ("sequence", "count"),
        [(40, 10), (90, 9), (95, 5), (101, 1), (0, 1)],
        ids=["older than five", "shorter", "part of one", "gap", "start over"],
    )
    def test_anything_else_is_out_of_order(self, sequence: int, count: int) -> None:
        with pytest.raises(OutOfOrderSequenceNumber):
            ten_in_a_row().check(batch(sequence, count))

    def test_sequences_wrap_to_zero(self) -> None:
        state = a_state(batch(MAX_SEQUENCE - 1, 2))
        assert state.check(batch(0)) is None
        state = a_state(batch(MAX_SEQUENCE - 1, 5))  # ends at 2
        assert state.check(batch(3)) is None
        assert state.check(batch(MAX_SEQUENCE - 1, 5)) is not None
        with pytest.raises(OutOfOrderSequenceNumber):
            state.check(batch(0))

    def test_a_new_epoch_starts_at_zero_and_forgets_the_old_batches(self) -> None:
        state = ten_in_a_row()
        with pytest.raises(OutOfOrderSequenceNumber):
            state.check(batch(100, epoch=1))
        assert state.check(batch(0, epoch=1)) is None
        state.update(batch(0, epoch=1))
        assert state.check(batch(1, epoch=1)) is None
        with pytest.raises(InvalidProducerEpoch):
            state.check(batch(90, 10, epoch=0))

    def test_after_a_marker_of_a_new_epoch_data_starts_at_zero(self) -> None:
        state = a_state(batch(0, 5, txn=True))
        state.update(marker(5, epoch=1), COMMIT)
        assert state.check(batch(0, epoch=1, txn=True)) is None
        with pytest.raises(OutOfOrderSequenceNumber):
            state.check(batch(5, epoch=1, txn=True))

    def test_after_a_marker_of_the_same_epoch_sequences_go_on(self) -> None:
        state = a_state(batch(0, 5, txn=True))
        state.update(marker(5), COMMIT)
        assert state.check(batch(5, txn=True)) is None

    def test_batches_of_coordinators_have_only_an_epoch(self) -> None:
        state = a_state(batch(-1, 3, epoch=2, txn=True))
        assert state.check(batch(-1, 3, epoch=2, txn=True)) is None
        with pytest.raises(InvalidProducerEpoch):
            state.check(batch(-1, 3, epoch=1, txn=True))

    def test_replicas_take_what_the_leader_took(self) -> None:
        state = ten_in_a_row()
        state.update(batch(500, offset=200))
        assert state.check(batch(501)) is None


class TestTransactions:
    def test_the_first_open_transaction_is_unstable(self) -> None:
        state = a_state(batch(0, offset=10, txn=True), batch(1, offset=11, txn=True))
        state.update(batch(0, offset=20, producer=8, txn=True))
        assert state.first_unstable_offset == 10
        done = state.update(marker(30), COMMIT)
        assert done == CompletedTransaction(7, 10, 30, last_stable_offset=20, is_aborted=False)
        assert state.first_undecided_offset == 20
        state.check_invariants()

    def test_a_decided_one_stays_unstable_until_its_marker_is_replicated(self) -> None:
        state = a_state(batch(0, offset=10, txn=True))
        done = state.update(marker(11), ABORT)
        assert done == CompletedTransaction(7, 10, 11, last_stable_offset=12, is_aborted=True)
        state.on_high_watermark(11)
        assert state.first_unstable_offset == 10
        state.on_high_watermark(12)
        assert state.first_unstable_offset is None

    def test_a_marker_without_data_completes_nothing(self) -> None:
        state = ProducerStateMap()
        assert state.update(marker(3), ABORT) is None
        assert state.first_unstable_offset is None

    def test_a_marker_emptied_by_compaction_still_fences(self) -> None:
        state = ProducerStateMap()
        assert state.update(marker(3, epoch=4), None) is None
        with pytest.raises(InvalidProducerEpoch):
            state.check(batch(0, epoch=3))

    def test_a_plain_batch_amid_a_transaction_is_refused(self) -> None:
        with pytest.raises(InvalidTxnState):
            a_state(batch(0, txn=True)).check(batch(1))

    def test_markers_of_old_epochs_and_old_coordinators_are_fenced(self) -> None:
        state = a_state(batch(0, epoch=3, txn=True))
        with pytest.raises(InvalidProducerEpoch):
            state.check_marker(marker(1, epoch=2), COMMIT)
        state.update(marker(1, epoch=3), EndTxnMarker(True, coordinator_epoch=6))
        with pytest.raises(TransactionCoordinatorFenced):
            state.check_marker(marker(2, epoch=3), EndTxnMarker(True, coordinator_epoch=5))
        state.check_marker(marker(2, epoch=3), EndTxnMarker(True, coordinator_epoch=6))

    def test_from_version_2_a_marker_bumps_the_epoch_unless_it_repeats(self) -> None:
        state = a_state(batch(0, epoch=3, txn=True))
        with pytest.raises(InvalidProducerEpoch):
            state.check_marker(marker(1, epoch=3), COMMIT, transaction_version=2)
        state.check_marker(marker(1, epoch=4), COMMIT, transaction_version=2)
        state.update(marker(1, epoch=4), COMMIT)
        state.check_marker(marker(2, epoch=4), COMMIT, transaction_version=2)


class TestMemory:
    def test_silent_producers_expire_but_not_amid_a_transaction(self) -> None:
        state = a_state(
            batch(0, producer=1, ms=100), batch(0, producer=2, ms=100, txn=True), batch(0, producer=3, ms=150)
        )
        assert state.expire(now_ms=1_100, expiration_ms=1_000) == 1
        assert [entry.producer_id for entry in state] == [2, 3]

    def test_the_snapshot_is_kafkas(self) -> None:
        state = a_state(batch(3, 2, offset=10, epoch=1, producer=1000, txn=True, ms=1_700_000_000_000))
        assert state.encode().hex() == (
            "0001" "b3eb0a52" "00000001"
            "00000000000003e8" "0001" "00000004" "000000000000000b" "00000001" "0000018bcfe56800" "ffffffff"
            "000000000000000a"
        )  # fmt: skip

    def test_a_snapshot_keeps_the_last_batch_of_each(self) -> None:
        state = ten_in_a_row()
        state.update(batch(MAX_SEQUENCE, 3, offset=300, producer=8, txn=True))
        state.update(marker(400, producer=9, epoch=5), EndTxnMarker(True, 12))
        restored = ProducerStateMap.decode(state.encode())
        restored.check_invariants()
        assert restored.check(batch(90, 10)) == state.check(batch(90, 10))
        assert restored.check(batch(100)) is None
        assert restored.check(batch(MAX_SEQUENCE, 3, producer=8, txn=True)) is not None
        assert restored.first_unstable_offset == 300
        with pytest.raises(TransactionCoordinatorFenced):
            restored.check_marker(marker(500, producer=9, epoch=5), EndTxnMarker(True, 11))

    def test_a_damaged_snapshot_is_refused(self) -> None:
        snapshot = ten_in_a_row().encode()
        flipped = bytearray(snapshot)
        flipped[20] ^= 1
        for damaged in (b"", snapshot[:-1], bytes(flipped), b"\x00\x02" + snapshot[2:]):
            with pytest.raises(CorruptMessage):
                ProducerStateMap.decode(damaged)

    def test_reset_forgets_all(self) -> None:
        state = a_state(batch(0, txn=True))
        state.reset()
        assert (len(state), state.first_unstable_offset) == (0, None)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["send", "retry", "commit", "abort", "bump"])), max_size=40),
    st.integers(0, 39),
)
def test_a_snapshot_plus_the_rest_equals_a_full_replay(steps: list[tuple[int, str]], cut: int) -> None:
    """The state after a restart decides as the state that never stopped, for what a snapshot holds."""
    live, restored = ProducerStateMap(), ProducerStateMap()
    next_sequence = dict.fromkeys(range(4), 0)
    epochs = dict.fromkeys(range(4), 0)
    for offset, (producer, step) in enumerate(steps):
        if offset == cut:
            restored = ProducerStateMap.decode(live.encode())
        if step == "bump":
            epochs[producer] += 1
            next_sequence[producer] = 0
            continue
        if step in ("commit", "abort"):
            header, end = (
                marker(offset, producer=producer, epoch=epochs[producer]),
                COMMIT if step == "commit" else ABORT,
            )
            assert live.update(header, end) == restored.update(header, end)
        else:
            if step == "retry" and next_sequence[producer]:
                again = batch(next_sequence[producer] - 1, producer=producer, epoch=epochs[producer], txn=True)
                assert live.check(again) is not None
            header = batch(next_sequence[producer], offset=offset, producer=producer, epoch=epochs[producer], txn=True)
            assert live.check(header) is None and restored.check(header) is None
            live.update(header)
            restored.update(header)
            next_sequence[producer] += 1
        if offset < cut:
            restored = ProducerStateMap.decode(live.encode())
        live.check_invariants()
        restored.check_invariants()
        assert live.encode() == restored.encode()
        assert live.first_undecided_offset == restored.first_undecided_offset
