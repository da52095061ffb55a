"""Offsets of transactions in the shells of groups: what the log says counts, in the order of the log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from group_shells import FakePartition

from machines.group_events import TransactionEnded
from model.errors import ErrorCode
from protocol.control_batches import control_batch
from protocol.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)

SLOW, QUICK = 7, 8


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


def commit_in_transaction(producer_id: int, offset: int, topic: str = "t") -> TxnOffsetCommitRequest:
    row = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=offset, committed_metadata="")
    return TxnOffsetCommitRequest(
        transactional_id=f"x-{producer_id}",
        group_id="g",
        producer_id=producer_id,
        producer_epoch=0,
        member_id="",
        topics=[TxnOffsetCommitRequestTopic(name=topic, partitions=[row])],
    )


@on_a_loop
async def test_a_transaction_that_ends_while_another_one_is_verified_leaves_nothing_behind() -> None:
    """Simulated seed 22: the aborted offset came to count with the producer's next transaction."""
    stage = FakePartition()
    stage.holds = True
    stage.call(commit_in_transaction(SLOW, 1, "other"), 5)  # its leader still asks the transaction's coordinator
    quick = stage.call(commit_in_transaction(QUICK, 11), 5)
    await stage.until(lambda: len(stage.held) == 2)
    slow, appended = stage.held
    stage.held = [appended]
    stage.release()
    await stage.until(lambda: QUICK in stage.shell.groups["g"].offsets.pending)
    stage.shell.broadcast(TransactionEnded(QUICK, False))
    await stage.until(lambda: not stage.shell.groups["g"].offsets.pending)
    slow.answer(ErrorCode.INVALID_PRODUCER_EPOCH)
    await quick.future
    await stage.until(lambda: "g" not in stage.shell.groups)  # nothing is left that a next transaction could commit


@on_a_loop
async def test_a_marker_that_is_written_during_the_replay_is_taken_in() -> None:
    stage = FakePartition()
    await stage.ask(commit_in_transaction(QUICK, 11), 5)
    log = stage.replica.log
    stage.replica.high_watermark = 0  # a new leader: its followers have not said yet what they have
    stage.stop()
    stage.start()
    await stage.until(lambda: bool(stage.replica.waiters))
    log.append(
        control_batch(is_commit=True, producer_id=QUICK, producer_epoch=0, coordinator_epoch=0, timestamp=0)
    )
    stage.replica.high_watermark = log.log_end_offset
    stage.shell.broadcast(TransactionEnded(QUICK, True))
    for waiter in list(stage.replica.waiters):
        waiter()
    assert await stage.committed() == 11
