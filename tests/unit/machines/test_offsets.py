"""Committed offsets: who may commit, what is kept, what expires, what transactions do."""

from __future__ import annotations

from typing import Any

from groups import GroupUnderTest, durable

from machines.group_events import DeleteGroup, ExpireOffsets, FetchOffsets, TopicsDeleted, TransactionEnded
from model.error_codes import ErrorCode
from protocol.internal_topics import OffsetCommitKey
from protocol.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)
from protocol.k47_offset_delete import OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic

DAY_MS = 24 * 3_600_000


def commit_in_transaction(g: GroupUnderTest, producer_id: int, offset: int, **who: Any) -> ErrorCode:
    row = TxnOffsetCommitRequestPartition(partition_index=0, committed_offset=offset, committed_metadata="")
    body = TxnOffsetCommitRequest(
        transactional_id="x",
        group_id="g",
        producer_id=producer_id,
        producer_epoch=0,
        topics=[TxnOffsetCommitRequestTopic(name="t", partitions=[row])],
        **{"member_id": "", **who},
    )
    return ErrorCode(g.answers[g.send(body, 3)].topics[0].partitions[0].error_code)


def delete_offset(g: GroupUnderTest, topic: str = "t") -> Any:
    body = OffsetDeleteRequest(
        group_id="g",
        topics=[OffsetDeleteRequestTopic(name=topic, partitions=[OffsetDeleteRequestPartition(partition_index=0)])],
    )
    answer = g.answers[g.send(body, 0)]
    return ErrorCode(answer.error_code or answer.topics[0].partitions[0].error_code)


def delete(g: GroupUnderTest) -> ErrorCode:
    return g.answers[g.send(DeleteGroup(), 2)]


def test_a_member_commits_and_a_new_coordinator_knows_it():
    g = GroupUnderTest()
    generation, [member_id] = g.stable()
    assert g.commit(member_id, generation, 42) == ErrorCode.NONE
    assert g.committed() == 42
    assert durable(g.replay()) == durable(g.group)


def test_what_was_never_committed_is_minus_one():
    assert GroupUnderTest().committed() == -1


def test_everything_is_fetched_when_no_topics_are_named():
    g = GroupUnderTest()
    g.commit(offset=1, topic="a")
    g.commit(offset=2, topic="b", partition=3)
    answer = g.answers[g.send(FetchOffsets(None), 8)]
    found = {(t.name, p.partition_index): p.committed_offset for t in answer.topics for p in t.partitions}
    assert found == {("a", 0): 1, ("b", 3): 2}


def test_a_group_without_members_takes_commits_from_outside():
    g = GroupUnderTest()
    assert g.commit(offset=7) == ErrorCode.NONE
    assert (g.group.state, g.group.protocol_type, g.group.is_blank) == ("Empty", "", False)


def test_a_group_with_members_takes_no_commits_from_outside():
    g = GroupUnderTest()
    generation, [member_id] = g.stable()
    assert g.commit() == ErrorCode.UNKNOWN_MEMBER_ID
    assert g.commit("nobody", generation) == ErrorCode.UNKNOWN_MEMBER_ID
    assert g.commit(member_id, generation + 1) == ErrorCode.ILLEGAL_GENERATION


def test_a_commit_with_a_generation_to_a_group_that_is_not_there():
    g = GroupUnderTest()
    assert g.commit("m", 3, version=8) == ErrorCode.ILLEGAL_GENERATION
    assert g.commit("m", 3, version=9) == ErrorCode.GROUP_ID_NOT_FOUND


def test_commits_are_taken_while_a_rebalance_is_prepared_but_not_while_it_completes():
    g = GroupUnderTest()
    generation, [member_id] = g.stable()
    _, waiting = g.new_member()
    assert g.commit(member_id, generation) == ErrorCode.NONE
    g.join(member_id)
    assert waiting in g.answers
    assert g.commit(member_id, generation + 1) == ErrorCode.REBALANCE_IN_PROGRESS


def test_a_commit_keeps_the_session_alive():
    g = GroupUnderTest()
    generation, [member_id] = g.stable(session_ms=10_000)
    for _ in range(3):
        g.wait(9_000)
        assert g.commit(member_id, generation) == ErrorCode.NONE


def test_metadata_has_a_limit():
    g = GroupUnderTest(offset_metadata_max_bytes=4)
    assert g.commit(metadata="12345") == ErrorCode.OFFSET_METADATA_TOO_LARGE
    assert g.commit(metadata="1234") == ErrorCode.NONE


def test_offsets_of_an_empty_group_expire_from_the_time_it_became_empty():
    g = GroupUnderTest(offsets_retention_ms=DAY_MS)
    generation, [member_id] = g.stable(session_ms=1_000_000)
    g.commit(member_id, generation, 5)
    g.wait(500_000)
    g.leave(member_id)
    g.step(ExpireOffsets(g.wall_ms + DAY_MS - 1))
    assert g.committed() == 5
    g.step(ExpireOffsets(g.wall_ms + DAY_MS))
    assert g.group.is_blank
    assert durable(g.replay()) == durable(g.group)


def test_offsets_of_a_stable_group_expire_only_for_topics_it_left():
    g = GroupUnderTest(offsets_retention_ms=DAY_MS)
    generation, [member_id] = g.stable(topics=("t",))
    g.commit(member_id, generation, 5, topic="t")
    g.commit(member_id, generation, 5, topic="left")
    g.step(ExpireOffsets(g.wall_ms + DAY_MS))
    assert (g.committed("t"), g.committed("left")) == (5, -1)


def test_offsets_of_a_group_that_only_commits_expire_from_each_commit():
    g = GroupUnderTest(offsets_retention_ms=DAY_MS)
    g.commit(offset=1, topic="a")
    g.wall_ms += DAY_MS
    g.commit(offset=1, topic="b")
    g.step(ExpireOffsets(g.wall_ms))
    assert (g.committed("a"), g.committed("b")) == (-1, 1)


def test_a_commit_may_bring_its_own_retention():
    g = GroupUnderTest()
    g.commit(offset=1, retention_ms=60_000, version=4)
    assert g.records[-1][0].version == 1
    g.step(ExpireOffsets(g.wall_ms + 59_999))
    assert g.committed() == 1
    g.step(ExpireOffsets(g.wall_ms + 60_000))
    assert g.committed() == -1


def test_deleted_topics_take_their_offsets_with_them():
    g = GroupUnderTest()
    g.commit(topic="a")
    g.commit(topic="b")
    g.step(TopicsDeleted(frozenset({"a"})))
    assert (g.committed("a"), g.committed("b")) == (-1, 1)
    assert durable(g.replay()) == durable(g.group)


def test_offsets_are_deleted_unless_somebody_reads_the_topic():
    g = GroupUnderTest()
    generation, [member_id] = g.stable(topics=("t",))
    g.commit(member_id, generation, topic="u")
    g.commit(member_id, generation, topic="t")
    assert delete_offset(g, "t") == ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC
    assert delete_offset(g, "u") == ErrorCode.NONE
    assert (g.committed("t"), g.committed("u")) == (1, -1)
    assert delete_offset(GroupUnderTest()) == ErrorCode.GROUP_ID_NOT_FOUND


def test_offsets_of_members_that_are_no_consumers_are_not_deleted():
    g = GroupUnderTest()
    g.stable(protocol_type="connect")
    assert delete_offset(g) == ErrorCode.NON_EMPTY_GROUP


def test_only_an_empty_group_can_be_deleted():
    g = GroupUnderTest()
    assert delete(g) == ErrorCode.GROUP_ID_NOT_FOUND
    generation, [member_id] = g.stable()
    g.commit(member_id, generation, 5)
    assert delete(g) == ErrorCode.NON_EMPTY_GROUP
    g.leave(member_id)
    assert delete(g) == ErrorCode.NONE
    assert g.group.is_blank and g.replay().is_blank


def test_offsets_of_a_transaction_count_when_it_commits():
    g = GroupUnderTest()
    g.commit(offset=1)
    assert commit_in_transaction(g, 9, 5) == ErrorCode.NONE
    assert g.committed() == 1
    assert g.committed(require_stable=True) == ErrorCode.UNSTABLE_OFFSET_COMMIT
    assert durable(g.replay()) == durable(g.group)
    g.step(TransactionEnded(9, True))
    assert g.committed(require_stable=True) == 5


def test_offsets_of_an_aborted_transaction_are_forgotten():
    g = GroupUnderTest()
    commit_in_transaction(g, 9, 5)
    g.step(TransactionEnded(9, False))
    assert g.committed(require_stable=True) == -1
    assert not g.group.offsets


def test_a_later_commit_outweighs_a_transaction_that_was_open_before_it():
    g = GroupUnderTest()
    commit_in_transaction(g, 9, 5)
    g.commit(offset=6)
    g.step(TransactionEnded(9, True))
    assert g.committed() == 6


def test_a_transaction_of_a_member_is_fenced_by_generation_one_from_outside_is_not():
    g = GroupUnderTest()
    generation, [member_id] = g.stable()
    old = {"member_id": member_id, "generation_id_or_member_epoch": generation - 1}
    assert commit_in_transaction(g, 9, 5, **old) == ErrorCode.ILLEGAL_GENERATION
    assert commit_in_transaction(g, 9, 5) == ErrorCode.NONE


def test_pending_offsets_do_not_expire():
    g = GroupUnderTest(offsets_retention_ms=DAY_MS)
    g.commit(offset=1)
    commit_in_transaction(g, 9, 5)
    g.step(ExpireOffsets(g.wall_ms + 10 * DAY_MS))
    assert g.committed() == 1


def test_the_records_are_keyed_by_group_topic_and_partition():
    g = GroupUnderTest()
    g.commit(offset=1, partition=3)
    assert g.records[0][0].key == OffsetCommitKey(group="g", topic="t", partition=3)
