"""One transactional id: what its coordinator decides, as sentences."""

from __future__ import annotations

import pytest
from transactions import A0, A1, B0, TIMEOUT_MS, Coordinator, replayed

from machines.transaction import HOLD_MS
from machines.transaction_events import (
    AddPartitions,
    Answer,
    Loaded,
    MarkerWritten,
    ProducerIdObtained,
    SendMarkers,
    TimerFired,
    Write,
)
from machines.transaction_state import LAST_EPOCH, MAX_EPOCH, Status, TransactionState
from model.error_codes import ErrorCode

FENCED = ErrorCode.PRODUCER_FENCED
NONE = ErrorCode.NONE


def at_epoch(epoch: int, **changes: object) -> Coordinator:
    """A coordinator whose log says that producer 7 is at this epoch."""
    state = TransactionState(7, epoch, TIMEOUT_MS, updated_ms=0, **changes)  # type: ignore[arg-type]
    return Coordinator([state.to_record()])


class TestInitProducerId:
    def test_a_new_id_gets_a_fresh_producer_at_epoch_0(self) -> None:
        assert Coordinator().started() == (1000, 0)

    def test_the_answer_waits_until_the_record_is_durable(self) -> None:
        it = Coordinator()
        it.holds_writes = True
        assert it.init() is None
        token = it.token
        it.write_through()
        assert it.later(token) == Answer(token, NONE, 1000, 0)

    def test_each_start_bumps_the_epoch_and_fences_the_one_before(self) -> None:
        it = Coordinator()
        old = it.started()
        assert it.started() == (1000, 1)
        assert it.add(old, A0) is FENCED

    @pytest.mark.parametrize("timeout_ms", [0, -1, 900_001])
    def test_timeouts_beyond_the_broker_s_limit_are_refused(self, timeout_ms: int) -> None:
        answer = Coordinator().init(timeout_ms=timeout_ms)
        assert answer is not None and answer.error is ErrorCode.INVALID_TRANSACTION_TIMEOUT

    def test_no_producer_id_to_be_had_means_ask_again(self) -> None:
        it = Coordinator()
        it.obtains_ids = False
        assert it.init() is None
        token = it.token
        it.step(ProducerIdObtained(None))
        answer = it.later(token)
        assert answer is not None and answer.error is ErrorCode.COORDINATOR_NOT_AVAILABLE

    def test_a_client_that_knows_its_epoch_is_bumped_and_may_retry_the_bump(self) -> None:
        it = Coordinator()
        it.started()
        assert it.init(1000, 0) == Answer(it.token, NONE, 1000, 1)
        assert it.init(1000, 0) == Answer(it.token, NONE, 1000, 1)  # KIP-360: the answer was lost
        assert it.init(1000, 1) == Answer(it.token, NONE, 1000, 2)

    def test_that_retry_works_with_the_next_coordinator_too(self) -> None:
        it = Coordinator()
        it.started()
        it.init(1000, 0)
        other = Coordinator(it.log)
        assert other.init(1000, 0) == Answer(other.token, NONE, 1000, 1)

    def test_a_client_that_was_fenced_can_not_bump_itself_back_in(self) -> None:
        it = Coordinator()
        old = it.started()
        it.started()
        answer = it.init(*old)
        assert answer is not None and answer.error is FENCED

    def test_another_producer_id_is_fenced(self) -> None:
        it = Coordinator()
        it.started()
        answer = it.init(999, 0)
        assert answer is not None and answer.error is FENCED

    def test_used_up_epochs_bring_a_new_producer_id(self) -> None:
        it = at_epoch(LAST_EPOCH)
        assert it.started() == (1000, 0)

    def test_used_up_epochs_of_a_client_that_knows_its_own_bring_a_new_id_and_allow_the_retry(self) -> None:
        it = at_epoch(LAST_EPOCH)
        assert it.init(7, LAST_EPOCH) == Answer(it.token, NONE, 1000, 0)
        assert it.init(7, LAST_EPOCH) == Answer(it.token, NONE, 1000, 0)

    def test_an_open_transaction_is_aborted_first_and_then_the_epoch_bumped_once_more(self) -> None:
        it = Coordinator()
        old = it.started()
        it.add(old, A0)
        assert it.init() is None
        token = it.token
        assert it.sent == [SendMarkers(1000, 1, False, 0, frozenset({A0}))]
        it.markers_written()
        assert it.later(token) == Answer(token, NONE, 1000, 2)

    def test_a_zombie_does_not_abort_what_its_successor_has_open(self) -> None:
        it = Coordinator()
        old = it.started()
        new = it.started()
        it.add(new, A0)
        answer = it.init(*old)
        assert answer is not None and answer.error is FENCED
        assert it.status() is Status.ONGOING

    def test_a_client_whose_own_transaction_is_open_gets_its_bump_after_the_abort(self) -> None:
        it = Coordinator()
        who = it.started()
        it.add(who, A0)
        assert it.init(*who) is None
        token = it.token
        it.markers_written()
        assert it.later(token) == Answer(token, NONE, 1000, 2)

    def test_fencing_at_the_last_epoch_does_not_overflow(self) -> None:
        it = at_epoch(LAST_EPOCH)
        it.add((7, LAST_EPOCH), A0)
        assert it.init() is None
        token = it.token
        assert it.sent[-1].producer_epoch == MAX_EPOCH
        it.markers_written()
        assert it.later(token) == Answer(token, NONE, 1000, 0)


class TestTheOldFlow:
    def test_adding_opens_the_transaction_and_is_durable_before_it_is_answered(self) -> None:
        it = Coordinator()
        who = it.started()
        effects = it.step(AddPartitions("t", *who, frozenset({A0})))
        assert isinstance(effects[0], Write)
        assert it.answers["t"].error is NONE
        assert (it.status(), it.state.partitions) == (Status.ONGOING, {A0})

    def test_adding_again_what_is_there_writes_nothing(self) -> None:
        it = Coordinator()
        who = it.started()
        it.add(who, A0, A1)
        records = len(it.log)
        assert it.add(who, A1) is NONE
        assert len(it.log) == records

    def test_what_is_added_while_the_log_is_busy_goes_into_one_record(self) -> None:
        it = Coordinator()
        who = it.started()
        it.holds_writes = True
        records = len(it.log)
        tokens = []
        for partition in (A0, A1, B0):
            assert it.add(who, partition) is None
            tokens.append(it.token)
        it.write_through()
        assert len(it.log) == records + 2
        assert all(it.answers[token].error is NONE for token in tokens)
        assert it.state.partitions == {A0, A1, B0}

    @pytest.mark.parametrize("is_commit", [True, False])
    def test_an_end_is_answered_once_decided_and_complete_once_all_markers_are_written(self, is_commit: bool) -> None:
        it = Coordinator()
        who = it.started()
        it.add(who, A0, B0)
        assert it.end(who, is_commit) == Answer(it.token, NONE, *who)
        assert it.status() is (Status.PREPARE_COMMIT if is_commit else Status.PREPARE_ABORT)
        assert it.sent == [SendMarkers(*who, is_commit, 0, frozenset({A0, B0}))]
        it.step(MarkerWritten(A0, *who))
        assert it.status().label.startswith("Prepare")
        it.step(MarkerWritten(B0, *who))
        assert it.status() is (Status.COMPLETE_COMMIT if is_commit else Status.COMPLETE_ABORT)
        assert it.state.producer_epoch == who[1]

    def test_the_next_transaction_waits_for_the_markers_of_the_last(self) -> None:
        it = Coordinator()
        who = it.started()
        it.add(who, A0)
        it.end(who, True)
        assert it.add(who, B0) is None
        token = it.token
        it.markers_written()
        assert it.answers[token].error is NONE
        assert (it.status(), it.state.partitions) == (Status.ONGOING, {B0})

    def test_the_next_transaction_begins_in_the_record_that_would_complete_the_last(self) -> None:
        it = Coordinator()
        who = it.started()
        it.add(who, A0)
        it.end(who, True)
        it.add(who, B0)
        records = len(it.log)
        it.markers_written()
        assert len(it.log) == records + 1
        assert replayed(it) == it.machine.state

    def test_it_does_not_wait_for_ever(self) -> None:
        it = Coordinator()
        who = it.started()
        it.add(who, A0)
        it.end(who, True)
        it.add(who, B0)
        it.after(HOLD_MS)
        assert it.answers[it.token].error is ErrorCode.CONCURRENT_TRANSACTIONS

    def test_an_end_may_be_repeated_but_not_changed(self) -> None:
        it = Coordinator()
        who = it.started()
        it.add(who, A0)
        it.end(who, True)
        for _ in range(2):
            again, other = it.end(who, True), it.end(who, False)
            assert again is not None and again.error is NONE
            assert other is not None and other.error is ErrorCode.INVALID_TXN_STATE
            it.markers_written()

    def test_nothing_can_be_ended_that_was_not_begun(self) -> None:
        it = Coordinator()
        answer = it.end(it.started(), True)
        assert answer is not None and answer.error is ErrorCode.INVALID_TXN_STATE

    def test_an_unknown_id_or_producer_has_no_mapping(self) -> None:
        it = Coordinator()
        assert it.add((1, 0), A0) is ErrorCode.INVALID_PRODUCER_ID_MAPPING
        it.started()
        assert it.add((1, 0), A0) is ErrorCode.INVALID_PRODUCER_ID_MAPPING

    def test_verification_names_what_is_not_in_the_transaction(self) -> None:
        it = Coordinator()
        who = it.started()
        assert it.verify(who, A0) == Answer(it.token, absent=frozenset({A0}))
        it.add(who, A0)
        assert it.verify(who, A0, A1) == Answer(it.token, absent=frozenset({A1}))

    def test_a_refused_record_changes_nothing(self) -> None:
        it = Coordinator()
        who = it.started()
        it.holds_writes = True
        it.add(who, A0)
        token = it.token
        it.refuse_write()
        assert it.answers[token].error is ErrorCode.COORDINATOR_NOT_AVAILABLE
        assert it.status() is Status.EMPTY
        it.holds_writes = False
        assert it.add(who, A0) is NONE

    def test_a_refused_complete_is_tried_again(self) -> None:
        it = Coordinator()
        who = it.started()
        it.add(who, A0)
        it.end(who, True)
        it.holds_writes = True
        it.markers_written()
        it.refuse_write()
        assert it.status() is Status.PREPARE_COMMIT
        it.holds_writes = False
        it.after(1)
        assert it.status() is Status.COMPLETE_COMMIT


class TestEpochBumps:
    """transaction.version 2 (KIP-890)."""

    def test_every_end_gives_the_next_epoch_and_its_markers_carry_it(self) -> None:
        it = Coordinator()
        who = it.started()
        it.add(who, A0, version=2)
        assert it.end(who, True, version=2) == Answer(it.token, NONE, 1000, 1)
        assert it.sent == [SendMarkers(1000, 1, True, 2, frozenset({A0}))]
        assert it.add(who, A0, version=2) is FENCED
        assert it.add((1000, 1), A0, version=2) is None  # waits for the markers
        it.markers_written()
        assert it.answers[it.token].error is NONE

    def test_a_repeated_end_gets_the_same_epoch_before_and_after_completion(self) -> None:
        it = Coordinator()
        who = it.started()
        it.add(who, A0, version=2)
        it.end(who, True, version=2)
        for _ in range(2):
            assert it.end(who, True, version=2) == Answer(it.token, NONE, 1000, 1)
            other = it.end(who, False, version=2)
            assert other is not None and other.error is ErrorCode.INVALID_TXN_STATE
            it.markers_written()
        other_coordinator = Coordinator(it.log)
        assert other_coordinator.end(who, True, version=2) == Answer(other_coordinator.token, NONE, 1000, 1)

    def test_an_abort_of_nothing_bumps_and_a_commit_of_nothing_is_refused(self) -> None:
        it = Coordinator()
        who = it.started()
        refused = it.end(who, True, version=2)
        assert refused is not None and refused.error is ErrorCode.INVALID_TXN_STATE
        assert it.end(who, False, version=2) == Answer(it.token, NONE, 1000, 1)
        assert (it.status(), it.sent) == (Status.COMPLETE_ABORT, [])

    def test_at_the_last_epoch_an_end_gives_a_new_producer_id(self) -> None:
        it = at_epoch(LAST_EPOCH)
        who = (7, LAST_EPOCH)
        it.add(who, A0, version=2)
        assert it.end(who, True, version=2) == Answer(it.token, NONE, 1000, 0)
        assert it.sent == [SendMarkers(7, MAX_EPOCH, True, 2, frozenset({A0}))]
        assert it.end(who, True, version=2) == Answer(it.token, NONE, 1000, 0)
        assert it.add((1000, 0), B0, version=2) is None
        it.markers_written()
        assert it.answers[it.token].error is NONE
        assert it.end(who, True, version=2) is not None
        assert it.state.producer_id == 1000

    def test_a_retry_after_the_id_changed_is_known_by_its_old_id(self) -> None:
        it = at_epoch(LAST_EPOCH)
        who = (7, LAST_EPOCH)
        it.add(who, A0, version=2)
        it.end(who, True, version=2)
        it.markers_written()
        assert it.end(who, True, version=2) == Answer(it.token, NONE, 1000, 0)

    def test_the_new_id_is_obtained_before_the_end_is_decided(self) -> None:
        it = at_epoch(LAST_EPOCH)
        it.obtains_ids = False
        it.add((7, LAST_EPOCH), A0, version=2)
        assert it.end((7, LAST_EPOCH), True, version=2) is None
        token = it.token
        assert it.status() is Status.ONGOING
        it.step(ProducerIdObtained(5))
        assert it.later(token) == Answer(token, NONE, 5, 0)


class TestTime:
    def test_a_clock_that_is_set_back_does_not_keep_a_transaction_open(self) -> None:
        """Simulated seed 2399: it would have stayed open until the clock had caught up."""
        it = Coordinator()
        it.add(it.started(), A0)
        it.after(1 - TIMEOUT_MS)
        assert it.status() is Status.ONGOING
        it.after(-1)
        assert [markers.is_commit for markers in it.sent] == [False]

    @pytest.mark.parametrize("version", [0, 2])
    def test_a_transaction_that_takes_too_long_is_aborted_and_its_client_fenced(self, version: int) -> None:
        it = Coordinator()
        who = it.started()
        it.add(who, A0, version=version)
        it.after(TIMEOUT_MS - 1)
        assert it.status() is Status.ONGOING
        it.after(1)
        assert it.sent == [SendMarkers(1000, 1, False, version, frozenset({A0}))]
        for is_commit in (True, False):
            answer = it.end(who, is_commit, version=version)
            assert answer is not None and answer.error is FENCED
        it.markers_written()
        answer = it.init(*who)
        assert answer is not None and answer.error is FENCED
        assert it.started() == (1000, 2)

    def test_a_silent_id_is_forgotten(self) -> None:
        it = Coordinator()
        it.started()
        it.after(it.machine.expiration_ms - 1)
        assert it.machine.state is not None
        it.after(1)
        assert (it.machine.state, it.log[-1]) == (None, None)

    def test_an_open_transaction_is_never_forgotten(self) -> None:
        it = Coordinator()
        it.add(it.started(), A0)
        it.after(it.machine.expiration_ms)
        assert it.status() is Status.PREPARE_ABORT


class TestTheNextCoordinator:
    def test_it_sends_the_markers_again_that_were_under_way(self) -> None:
        it = Coordinator()
        who = it.started()
        it.add(who, A0, A1)
        it.end(who, True)
        it.step(MarkerWritten(A0, *who))
        other = Coordinator(it.log)
        other.step(Loaded())
        assert other.sent == [SendMarkers(*who, True, 0, frozenset({A0, A1}))]
        other.markers_written()
        assert other.status() is Status.COMPLETE_COMMIT

    def test_markers_of_another_transaction_count_for_nothing(self) -> None:
        it = Coordinator()
        who = it.started()
        it.add(who, A0)
        it.end(who, True)
        it.step(MarkerWritten(A0, who[0], who[1] + 1))
        assert it.status() is Status.PREPARE_COMMIT

    def test_live_and_replayed_are_the_same_after_each_step_of_a_life(self) -> None:
        it = Coordinator()
        who = it.started()
        for version, is_commit in ((0, True), (2, False), (2, True)):
            it.add(who, A0, B0, version=version)
            assert replayed(it) == it.machine.state
            answer = it.end(who, is_commit, version=version)
            assert answer is not None
            who = answer.producer_id, answer.producer_epoch
            assert replayed(it) == it.machine.state
            it.markers_written()
            assert replayed(it) == it.machine.state

    def test_a_timer_at_rest_does_nothing(self) -> None:
        it = Coordinator()
        it.started()
        assert it.machine.step(TimerFired(), it.now_ms) == []
        assert not it.machine.needs_timer
