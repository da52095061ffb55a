"""Who leads: what happens to partitions when brokers come and go, and elections that were asked for.

`settle` is the one rule, applied to every partition that an event may have touched. It is idempotent, so an event that
is seen twice, or by two controllers one after the other, does no harm:
- dead brokers leave the ISR, as do replicas whose disk failed, and brokers that shut down as long as somebody stays;
- if nobody stays, the ISR is kept as it is: its members have every acknowledged record, so the first of them to come
  back leads again. Several that die in one event stay in it together, but one that comes back after a power loss leaves
  it to the others;
- the leader stays if it may, else the first of `replicas` that is in the ISR leads;
- a replica outside the ISR leads only where `unclean.leader.election.enable` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from machines.controller_state import ControllerState
from machines.metadata import NO_LEADER, PartitionInfo
from model.errors import ErrorCode
from protocol.cluster_admin import PREFERRED, UNCLEAN, ElectLeaders, ElectLeadersReply, PartitionResult


def settle(state: ControllerState, partitions: Iterable[PartitionInfo]) -> None:
    image = state.image
    brokers = image.brokers.values()
    alive = {broker.broker_id for broker in brokers if not broker.is_fenced}
    staying = {broker.broker_id for broker in brokers if not broker.is_fenced and not broker.is_shutting_down}
    for partition in partitions:
        online = partition.isr
        if partition.offline_replicas:
            online = tuple([member for member in online if member not in partition.offline_replicas])
        isr = tuple([member for member in online if member in staying]) or tuple(
            [member for member in online if member in alive]
        )
        if isr:
            leader = partition.leader
            if leader not in isr:
                leader = next(replica for replica in partition.replicas if replica in isr)
            if leader != partition.leader or isr != partition.isr:
                state.change(partition, leader=leader, isr=isr)
        else:
            _settle_without_isr(state, partition, staying)


def settle_leaderless(state: ControllerState) -> None:
    """Somebody came back, or a config now permits unclean elections."""
    settle(state, [partition for partition in state.image.all_partitions() if partition.leader == NO_LEADER])


def _settle_without_isr(state: ControllerState, partition: PartitionInfo, staying: set[int]) -> None:
    if state.allows_unclean(partition.topic):
        for replica in partition.replicas:
            if replica in staying and replica not in partition.offline_replicas:
                state.change(partition, leader=replica, isr=(replica,))
                return
    if partition.leader != NO_LEADER:
        state.change(partition, leader=NO_LEADER)


def elect_leaders(state: ControllerState, request: ElectLeaders) -> ElectLeadersReply:
    if request.partitions is None:
        asked = [(partition.topic, partition.partition) for partition in state.image.all_partitions()]
    else:
        asked = request.partitions
    results = [_elect(state, request.election_type, topic, partition) for topic, partition in asked]
    if request.partitions is None:
        results = [result for result in results if result.error != ErrorCode.ELECTION_NOT_NEEDED]
    return ElectLeadersReply(request.correlation_id, results)


def _elect(state: ControllerState, election_type: int, topic: str, number: int) -> PartitionResult:
    partition = state.image.partition(topic, number)
    error: ErrorCode
    message: str | None
    if partition is None:
        error, message = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no partition {topic}-{number}"
    elif election_type == PREFERRED:
        error, message = _elect_preferred(state, partition)
    elif election_type == UNCLEAN:
        error, message = _elect_unclean(state, partition)
    else:
        error, message = ErrorCode.INVALID_REQUEST, f"there is no election type {election_type}"
    return PartitionResult(topic, number, int(error), message)


def _elect_preferred(state: ControllerState, partition: PartitionInfo) -> tuple[ErrorCode, str | None]:
    preferred = partition.replicas[0]
    if partition.leader == preferred:
        return ErrorCode.ELECTION_NOT_NEEDED, "the preferred replica leads already"
    if not _may_be_preferred(state, partition):
        return ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, f"broker {preferred} is not alive and in the ISR"
    state.change(partition, leader=preferred)
    return ErrorCode.NONE, None


def _elect_unclean(state: ControllerState, partition: PartitionInfo) -> tuple[ErrorCode, str | None]:
    if partition.leader != NO_LEADER:
        return ErrorCode.ELECTION_NOT_NEEDED, "the partition has a leader"
    for replica in partition.replicas:
        if state.can_lead(replica) and replica not in partition.offline_replicas:
            state.change(partition, leader=replica, isr=(replica,))
            return ErrorCode.NONE, None
    return ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, "none of the replicas is alive"


def rebalance(state: ControllerState) -> None:
    """Give preferred leaders their partitions back (`auto.leader.rebalance.enable`).

    A broker is worth it when it leads too few of those that prefer it: more than
    `leader.imbalance.per.broker.percentage` of them are led by another.
    """
    preferring: Counter[int] = Counter()
    astray: dict[int, list[PartitionInfo]] = {}
    for partition in state.image.all_partitions():
        preferred = partition.replicas[0]
        preferring[preferred] += 1
        if partition.leader != preferred:
            astray.setdefault(preferred, []).append(partition)
    tolerated_percentage = state.config.get_int("leader.imbalance.per.broker.percentage")
    for broker_id, partitions in astray.items():
        if 100 * len(partitions) > tolerated_percentage * preferring[broker_id]:
            for partition in partitions:
                if _may_be_preferred(state, partition):
                    state.change(partition, leader=broker_id)


def _may_be_preferred(state: ControllerState, partition: PartitionInfo) -> bool:
    return partition.replicas[0] in partition.isr and state.can_lead(partition.replicas[0])
