"""AlterPartitionReassignments: moving replicas while the partition stays in use.

`replicas` becomes the target followed by those to remove, so the leader begins to feed the new ones. Once every added
replica is in the ISR (an AlterIsr brings that news) the removed ones are let go and the leader epoch grows, which
makes them stop. A second request replaces the first, reckoned from the replicas before the move; None cancels.
"""

from __future__ import annotations

from machines.controller_state import ControllerState
from machines.metadata import PartitionInfo
from model.errors import (
    ErrorCode,
    InvalidReplicaAssignment,
    InvalidReplicationFactor,
    KafkaError,
    UnknownTopicOrPartition,
)
from protocol.cluster_admin import (
    AlterReassignments,
    AlterReassignmentsReply,
    ListReassignments,
    ListReassignmentsReply,
    PartitionResult,
    Reassignment,
)


def alter_reassignments(state: ControllerState, request: AlterReassignments) -> AlterReassignmentsReply:
    results: list[PartitionResult] = []
    for asked in request.partitions:
        try:
            _reassign(state, asked, request.allow_replication_factor_change)
            results.append(PartitionResult(asked.topic, asked.partition))
        except KafkaError as refusal:
            results.append(PartitionResult(asked.topic, asked.partition, int(refusal.code), refusal.message))
    return AlterReassignmentsReply(request.correlation_id, results)


def list_reassignments(state: ControllerState, request: ListReassignments) -> ListReassignmentsReply:
    moving = state.image.reassignments()
    if request.partitions is not None:
        asked = set(request.partitions)
        moving = [partition for partition in moving if (partition.topic, partition.partition) in asked]
    return ListReassignmentsReply(request.correlation_id, moving)


def _reassign(state: ControllerState, asked: Reassignment, allow_factor_change: bool) -> None:
    partition = state.image.partition(asked.topic, asked.partition)
    if partition is None:
        raise UnknownTopicOrPartition(f"there is no partition {asked.topic}-{asked.partition}")
    if asked.replicas is None and not (partition.adding_replicas or partition.removing_replicas):
        raise KafkaError("the partition is not on the move", code=ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    before = tuple(replica for replica in partition.replicas if replica not in partition.adding_replicas)
    target = before if asked.replicas is None else asked.replicas
    check_replicas(state, target)
    if not allow_factor_change and len(target) != len(before):
        raise InvalidReplicationFactor(f"the partition has {len(before)} replicas, the target {len(target)}")
    adding = tuple(replica for replica in target if replica not in before)
    removing = tuple(replica for replica in before if replica not in target)
    replicas = target + removing
    isr = tuple(member for member in partition.isr if member in replicas)
    if not isr:
        raise InvalidReplicaAssignment("nobody in the ISR would be left among the replicas")
    leader = partition.leader
    if leader != -1 and leader not in isr:
        leader = _first_leader(state, partition, replicas, isr)
    has_dropped = any(replica not in replicas for replica in partition.replicas)
    changed = state.change(
        partition,
        leader=leader,
        isr=isr,
        replicas=replicas,
        adding=adding,
        removing=removing,
        must_bump_leader_epoch=has_dropped,
    )
    complete_if_caught_up(state, changed)


def check_replicas(state: ControllerState, replicas: tuple[int, ...]) -> None:
    """Raises InvalidReplicaAssignment when a partition cannot have these replicas."""
    if not replicas:
        raise InvalidReplicaAssignment("a partition needs at least one replica")
    if len(set(replicas)) != len(replicas):
        raise InvalidReplicaAssignment(f"a broker appears twice among the replicas {list(replicas)}")
    for replica in replicas:
        if replica not in state.image.brokers:
            raise InvalidReplicaAssignment(f"broker {replica} is not registered")


def complete_if_caught_up(state: ControllerState, partition: PartitionInfo) -> PartitionInfo:
    """End the move when all added replicas are in the ISR; the partition as it is afterwards."""
    if not (partition.adding_replicas or partition.removing_replicas):
        return partition
    target = tuple(replica for replica in partition.replicas if replica not in partition.removing_replicas)
    isr = tuple(member for member in partition.isr if member in target)
    if not isr or any(replica not in isr for replica in partition.adding_replicas):
        return partition
    leader = partition.leader
    if leader not in isr:
        leader = _first_leader(state, partition, target, isr)
    return state.change(
        partition,
        leader=leader,
        isr=isr,
        replicas=target,
        adding=(),
        removing=(),
        must_bump_leader_epoch=bool(partition.removing_replicas),
    )


def _first_leader(
    state: ControllerState, partition: PartitionInfo, replicas: tuple[int, ...], isr: tuple[int, ...]
) -> int:
    """The first that means to stay, else the first that is online, else nobody."""
    candidates = [replica for replica in replicas if replica in isr]
    alive = [replica for replica in candidates if state.image.is_online(partition, replica)]
    return next((replica for replica in alive if state.can_lead(replica)), alive[0] if alive else -1)
