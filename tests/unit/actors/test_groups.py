"""The shells of groups: replies wait for records, a replay gives the groups back, nobody is left without an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

import pytest
from group_shells import LEADER, FakePartition

from machines.group_events import GroupConfig, TransactionEnded
from model.errors import ErrorCode
from protocol.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from protocol.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from protocol.k12_heartbeat import HeartbeatRequest
from protocol.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from protocol.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from protocol.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest


def on_a_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


def commit(offset: int, topic: str = "t") -> OffsetCommitRequest:
    row = OffsetCommitRequestPartition(partition_index=0, committed_offset=offset, committed_metadata="")
    return OffsetCommitRequest(
        group_id="g",
        generation_id_or_member_epoch=-1,
        member_id="",
        topics=[OffsetCommitRequestTopic(name=topic, partitions=[row])],
    )


def error_of(answer: Any) -> ErrorCode:
    return ErrorCode(answer.topics[0].partitions[0].error_code)


def join(member_id: str = "", group_id: str = "g") -> JoinGroupRequest:
    return JoinGroupRequest(
        group_id=group_id,
        session_timeout_ms=10_000,
        rebalance_timeout_ms=30_000,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequestProtocol(name="range", metadata=b"m")],
    )


async def a_member(stage: FakePartition) -> str:
    """Of a stable group, alone in it."""
    joined = await stage.ask(join(), 3)
    assignments = [SyncGroupRequestAssignment(member_id=joined.member_id, assignment=b"all")]
    sync = SyncGroupRequest(group_id="g", generation_id=1, member_id=joined.member_id, assignments=assignments)
    assert (await stage.ask(sync, 3)).assignment == b"all"
    return str(joined.member_id)


@on_a_loop
async def test_a_commit_is_answered_when_its_record_is_safe():
    stage = FakePartition()
    stage.holds = True
    call = stage.call(commit(7), 9)
    await stage.until(lambda: bool(stage.held))
    assert not call.future.done()
    stage.release()
    assert error_of(await call.future) is ErrorCode.NONE
    assert await stage.committed() == 7


@on_a_loop
async def test_what_comes_after_a_commit_is_answered_after_it():
    stage = FakePartition()
    stage.holds = True
    first, second = stage.call(commit(1), 9), stage.call(commit(2), 9)
    await stage.until(lambda: len(stage.held) == 2)
    late, early = stage.held.pop(), stage.held.pop()
    late.answer(ErrorCode.NONE)
    await stage.until(lambda: True)
    assert not second.future.done()
    early.answer(ErrorCode.NONE)
    await asyncio.gather(first.future, second.future)


@on_a_loop
async def test_a_new_coordinator_knows_what_the_old_one_wrote():
    stage = FakePartition()
    for offset in range(1, 9):
        await stage.ask(commit(offset), 9)
    stage.stop()
    stage.start()
    assert await stage.committed() == 8


@on_a_loop
async def test_nobody_is_shown_what_may_still_be_lost():
    stage = FakePartition()
    await stage.ask(commit(1), 9)
    stage.holds = True
    stage.call(commit(2), 9)
    await stage.until(lambda: bool(stage.held))
    stage.stop()
    stage.start()
    fetched = asyncio.ensure_future(stage.committed())
    await stage.until(lambda: bool(stage.replica.waiters))
    assert not fetched.done()
    stage.release()
    assert await fetched == 2


@on_a_loop
async def test_who_waits_when_the_role_ends_is_sent_away():
    stage = FakePartition()
    stage.holds = True
    call = stage.call(commit(1), 9)
    await stage.until(lambda: bool(stage.held))
    stage.stop()
    assert error_of(await call.future) is ErrorCode.NOT_COORDINATOR


@on_a_loop
async def test_a_record_that_can_not_be_written_is_not_remembered():
    stage = FakePartition()
    await stage.ask(commit(1), 9)
    stage.refuses = ErrorCode.NOT_ENOUGH_REPLICAS
    assert error_of(await stage.ask(commit(2), 9)) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    stage.refuses = None
    assert await stage.committed() == 1


@on_a_loop
async def test_a_record_that_is_in_the_log_but_late_is_kept():
    stage = FakePartition()
    await stage.ask(commit(1), 9)
    stage.holds = True
    call = stage.call(commit(2), 9)
    await stage.until(lambda: bool(stage.held))
    stage.release(ErrorCode.REQUEST_TIMED_OUT)
    stage.holds = False
    assert error_of(await call.future) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert await stage.committed() == 2


@on_a_loop
async def test_a_record_refused_behind_one_that_is_late_is_not_remembered():
    """Simulated seed 5707: the late one was known to be in the log, and the refused one taken for it as well."""
    stage = FakePartition()
    await stage.ask(commit(1), 9)
    stage.holds = True
    late = stage.call(commit(2), 9)
    await stage.until(lambda: len(stage.held) == 1)
    stage.holds, stage.refuses = False, ErrorCode.NOT_ENOUGH_REPLICAS
    refused = stage.call(commit(3), 9)
    handled = stage.system.statistics()[LEADER].handled
    await stage.until(lambda: stage.system.statistics()[LEADER].handled > handled)
    stage.refuses = None
    stage.release(ErrorCode.REQUEST_TIMED_OUT)
    for call in (late, refused):
        assert error_of(await call.future) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert await stage.committed() == 2


@on_a_loop
async def test_a_group_of_which_nothing_is_known_leaves_no_actor_behind():
    stage = FakePartition()
    assert await stage.committed() == -1
    await stage.until(lambda: not stage.shell.groups and not stage.system.is_running("/group/g"))


@on_a_loop
async def test_a_group_whose_actor_fails_starts_anew_from_the_log():
    stage = FakePartition()
    await stage.ask(commit(3), 9)
    stage.shell.groups["g"].offsets.committed["t"] = None  # type: ignore[assignment]
    call = stage.call(commit(4), 9)
    assert error_of(await call.future) is ErrorCode.NOT_COORDINATOR
    await asyncio.sleep(0.1)
    assert await stage.committed() == 3


@on_a_loop
async def test_a_held_heartbeat_is_answered_when_a_rebalance_begins():
    stage = FakePartition()
    member = await a_member(stage)
    beat = stage.call(HeartbeatRequest(group_id="g", generation_id=1, member_id=member), 3, may_wait=True)
    await stage.committed()
    assert not beat.future.done()
    stage.call(join(), 3)
    assert (await beat.future).error_code == ErrorCode.REBALANCE_IN_PROGRESS


@on_a_loop
async def test_a_held_heartbeat_is_answered_when_its_client_is_in_a_hurry():
    stage = FakePartition()
    member = await a_member(stage)
    beat = stage.call(HeartbeatRequest(group_id="g", generation_id=1, member_id=member), 3, may_wait=True)
    await stage.committed()
    beat.hurry(8)
    assert (await beat.future).error_code == ErrorCode.NONE
    hasty = stage.call(HeartbeatRequest(group_id="g", generation_id=1, member_id=member), 3, may_wait=True)
    hasty.hurry(8)  # before the group has taken it in
    assert (await hasty.future).error_code == ErrorCode.NONE


@on_a_loop
async def test_of_two_heartbeats_of_one_member_the_older_is_answered():
    stage = FakePartition()
    member = await a_member(stage)
    older, newer = (
        stage.call(HeartbeatRequest(group_id="g", generation_id=1, member_id=member), 3, may_wait=True)
        for _ in range(2)
    )
    assert (await older.future).error_code == ErrorCode.NONE
    assert not newer.future.done()


@on_a_loop
async def test_a_config_of_the_group_counts_from_the_next_heartbeat_on():
    stage = FakePartition()
    join = ConsumerGroupHeartbeatRequest(
        group_id="g", member_id="m", rebalance_timeout_ms=1, subscribed_topic_names=["t"], topic_partitions=[]
    )
    assert (await stage.ask(join, 1)).heartbeat_interval_ms == 1_000  # the pace that the broker can afford
    stage.settings = GroupConfig(consumer_heartbeat_interval_ms=300)
    assert (await stage.ask(join, 1)).heartbeat_interval_ms == 300


class Told:
    """Events, as the timeline gets them."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def tell(self, kind: str, subject: str, *, cause: int = 0, own_id: int = 0, **details: Any) -> int:
        self.rows.append({"kind": kind, "cause": cause, **details})
        return 1


def heartbeat(member_id: str, epoch: int = 0) -> ConsumerGroupHeartbeatRequest:
    return ConsumerGroupHeartbeatRequest(
        group_id="g", member_id=member_id, member_epoch=epoch, rebalance_timeout_ms=1, subscribed_topic_names=["t"],
        topic_partitions=[],
    )  # fmt: skip


@on_a_loop
async def test_a_rebalance_is_told_with_who_came_who_left_and_who_was_not_heard():
    stage = FakePartition(consumer_session_timeout_ms=50)
    stage.system.events = told = Told()  # type: ignore[assignment]
    for member_id, epoch in (("m1", 0), ("m2", 0), ("m1", -1)):
        await stage.ask(heartbeat(member_id, epoch), 1)
    for _ in range(500):
        if len(told.rows) > 3:
            break
        await asyncio.sleep(0.01)
    moves = [(row["joined"], row["left"], row["silent"]) for row in told.rows]
    assert moves == [(["m1"], [], []), (["m2"], [], []), ([], ["m1"], []), ([], [], ["m2"])]
    assert {row["cause"] for row in told.rows} == {0}, "the group did not come from elsewhere"


@on_a_loop
async def test_a_rebalance_just_after_a_group_came_follows_from_its_coming():
    stage = FakePartition()
    await stage.ask(heartbeat("m1"), 1)
    stage.stop()
    stage.start()
    stage.replica.cause = 77
    stage.system.events = told = Told()  # type: ignore[assignment]
    await stage.ask(heartbeat("m2"), 1)
    assert [(row["joined"], row["cause"]) for row in told.rows] == [(["m2"], 77)]


def commit_in_transaction(offset: int) -> TxnOffsetCommitRequest:
    row = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=offset, committed_metadata="")
    topics = [TxnOffsetCommitRequestTopic(name="t", partitions=[row])]
    return TxnOffsetCommitRequest(transactional_id="tx", group_id="g", producer_id=7, producer_epoch=0, topics=topics)


@on_a_loop
async def test_offsets_of_a_transaction_count_when_it_has_ended():
    stage = FakePartition()
    await stage.ask(commit_in_transaction(5), 3)
    assert await stage.committed() == -1
    stage.shell.broadcast(TransactionEnded(8, True))
    assert await stage.committed() == -1
    stage.shell.broadcast(TransactionEnded(7, True))
    assert await stage.committed() == 5


@pytest.mark.parametrize(("is_commit", "expected"), [(True, 5), (False, 1)])
def test_a_transaction_may_end_before_the_group_has_heard_that_its_offsets_are_in_the_log(
    is_commit: bool, expected: int
):
    @on_a_loop
    async def run() -> None:
        stage = FakePartition()
        await stage.ask(commit(1), 9)
        stage.holds = True
        call = stage.call(commit_in_transaction(5), 3)
        await stage.until(lambda: bool(stage.held))
        stage.holds = False
        stage.release()  # offsets and marker are on every replica with one advance of the high watermark
        stage.shell.broadcast(TransactionEnded(7, is_commit))
        await call.future
        assert await stage.committed() == expected
        assert not stage.shell.groups["g"].offsets.pending

    run()
