"""AlterIsr: a leader proposes a new ISR, the controller compares epochs and sets it.

The leader counts on a member only once this says yes, so a record that is acknowledged is on every replica that an
election could choose. A replica joins under the incarnation that the leader heard from (KIP-903); one that restarted
meanwhile may lack the log's end.
"""

from __future__ import annotations

from machines.controller_elections import settle
from machines.controller_reassign import complete_if_caught_up
from machines.controller_state import ControllerState
from machines.metadata import PartitionInfo
from model.errors import ErrorCode
from protocol.cluster_control import AlterIsr, AlterIsrReply, IsrProposal, IsrResult


def alter_isr(state: ControllerState, request: AlterIsr) -> AlterIsrReply:
    is_current = state.is_current(request.broker_id, request.incarnation) is not None
    results: list[IsrResult] = []
    for proposal in request.partitions:
        topic = state.image.topics_by_id.get(proposal.topic_id)
        partition = topic.partitions.get(proposal.partition) if topic is not None else None
        if topic is None:
            results.append(_unknown(proposal, ErrorCode.UNKNOWN_TOPIC_ID))
        elif partition is None:
            results.append(_unknown(proposal, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
        else:
            error = ErrorCode.STALE_BROKER_EPOCH
            if is_current:
                error = _judge(state, request.broker_id, proposal, partition)
            if error is ErrorCode.NONE:
                _accept(state, partition, proposal.isr)
            results.append(_result(proposal, error, topic.partitions[proposal.partition]))
    return AlterIsrReply(request.correlation_id, results)


def _judge(state: ControllerState, leader: int, proposal: IsrProposal, partition: PartitionInfo) -> ErrorCode:
    if proposal.leader_epoch < partition.leader_epoch:
        return ErrorCode.FENCED_LEADER_EPOCH
    if proposal.leader_epoch > partition.leader_epoch or proposal.partition_epoch > partition.partition_epoch:
        return ErrorCode.NOT_CONTROLLER  # the broker knows more than we do: we are not the controller any more
    if partition.leader != leader:
        return ErrorCode.INVALID_REQUEST
    if proposal.partition_epoch < partition.partition_epoch:
        return ErrorCode.INVALID_UPDATE_VERSION
    members = set(proposal.isr)
    if leader not in members or len(members) != len(proposal.isr) or not members.issubset(partition.replicas):
        return ErrorCode.INVALID_REQUEST
    if proposal.incarnations and len(proposal.incarnations) != len(proposal.isr):
        return ErrorCode.INVALID_REQUEST
    incarnations = proposal.incarnations or (-1,) * len(proposal.isr)
    for member, incarnation in zip(proposal.isr, incarnations, strict=True):
        broker = state.image.brokers.get(member)
        if broker is None or broker.is_fenced or incarnation not in (-1, broker.incarnation):
            return ErrorCode.INELIGIBLE_REPLICA
        if member in partition.offline_replicas or (broker.is_shutting_down and member not in partition.isr):
            return ErrorCode.INELIGIBLE_REPLICA
    return ErrorCode.NONE


def _accept(state: ControllerState, partition: PartitionInfo, isr: tuple[int, ...]) -> None:
    # what is, proposed again, is how a leader withdraws: any older proposal that still travels must fail
    changed = state.change(partition, isr=isr, must_bump_partition_epoch=True)
    changed = complete_if_caught_up(state, changed)
    settle(state, [changed])  # a leader that shuts down hands over as soon as somebody has caught up


def _unknown(proposal: IsrProposal, error: ErrorCode) -> IsrResult:
    return IsrResult(proposal.topic, proposal.topic_id, proposal.partition, int(error))


def _result(proposal: IsrProposal, error: ErrorCode, now: PartitionInfo) -> IsrResult:
    state = (now.leader, now.leader_epoch, now.partition_epoch, now.isr)
    return IsrResult(now.topic, proposal.topic_id, now.partition, int(error), *state)
