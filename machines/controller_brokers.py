"""Brokers come, go and die. A broker is one incarnation of a process: what died never comes back, a new one does."""

from __future__ import annotations

from collections.abc import Mapping

from machines.controller_elections import settle, settle_leaderless
from machines.controller_state import PRODUCER_ID_BLOCK, ControllerState
from machines.metadata import BrokerInfo
from model.errors import ErrorCode
from protocol.cluster_control import (
    AllocateProducerIds,
    AllocateProducerIdsReply,
    ControlledShutdown,
    ControlledShutdownReply,
    RegisterBroker,
    RegisterBrokerReply,
    ReplicasOffline,
    ReplicasOfflineReply,
    UnregisterBroker,
    UnregisterBrokerReply,
)
from protocol.metadata_records import BrokerRecord, BrokerRemoved, ProducerIdsRecord


def register(state: ControllerState, request: RegisterBroker) -> RegisterBrokerReply:
    """Idempotent for the same incarnation. A new one whose predecessor seems alive is that one's death as well."""
    epoch = state.image.controller_epoch
    known = state.image.brokers.get(request.broker_id)
    if request.incarnation <= state.dead.get(request.broker_id, -1) or (
        known is not None and not known.is_fenced and known.incarnation > request.incarnation
    ):
        return _answered(request, ErrorCode.STALE_BROKER_EPOCH, epoch)
    is_same = known is not None and not known.is_fenced and known.incarnation == request.incarnation
    if known is not None and not known.is_fenced and not is_same:
        broker_down(state, known.broker_id, known.incarnation)
    now = BrokerRecord(
        request.broker_id,
        request.incarnation,
        request.host,
        request.port,
        request.rack,
        is_fenced=False,
        is_shutting_down=known.is_shutting_down if known is not None and is_same else False,
    )
    if now != known:
        state.record(now)
        if known is None or known.incarnation != request.incarnation:  # one that was only unheard has lost nothing
            _bring_online(state, request.broker_id)
            if request.has_doubts:
                _leave_to_others(state, request.broker_id)
        settle_leaderless(state)
    return _answered(request, ErrorCode.NONE, epoch)


def _answered(request: RegisterBroker, error: ErrorCode, controller_epoch: int) -> RegisterBrokerReply:
    return RegisterBrokerReply(request.correlation_id, int(error), controller_epoch, request.incarnation)


def broker_down(state: ControllerState, broker_id: int, incarnation: int) -> None:
    """The supervisor saw this incarnation die, and with it any older one."""
    state.dead[broker_id] = max(incarnation, state.dead.get(broker_id, -1))
    broker = state.image.brokers.get(broker_id)
    if broker is not None and not broker.is_fenced and broker.incarnation <= incarnation:
        fence(state, broker)


def fence(state: ControllerState, broker: BrokerInfo) -> None:
    """Others lead from now on. Unless it is known to be dead, the same incarnation may register again."""
    state.record(_fenced(broker))
    settle(state, state.image.partitions_of(broker.broker_id))


def replicas_offline(state: ControllerState, request: ReplicasOffline) -> ReplicasOfflineReply:
    """The broker goes on with its other replicas. Where it is the last in the ISR, nobody leads until it is back."""
    if state.is_current(request.broker_id, request.incarnation) is None:
        return ReplicasOfflineReply(request.correlation_id, int(ErrorCode.STALE_BROKER_EPOCH))
    touched = []
    for topic_id, number in request.replicas:
        topic = state.image.topics_by_id.get(topic_id)
        partition = topic.partitions.get(number) if topic is not None else None
        if partition is not None and request.broker_id in partition.replicas:
            offline = {*partition.offline_replicas, request.broker_id}
            touched.append(state.change(partition, offline=tuple(sorted(offline))))
    settle(state, touched)
    return ReplicasOfflineReply(request.correlation_id, int(ErrorCode.NONE))


def _bring_online(state: ControllerState, broker_id: int) -> None:
    """A new incarnation has opened its logs anew; what still fails, it reports again."""
    for partition in state.image.partitions_of(broker_id):
        if broker_id in partition.offline_replicas:
            offline = tuple(replica for replica in partition.offline_replicas if replica != broker_id)
            state.change(partition, offline=offline)


def _leave_to_others(state: ControllerState, broker_id: int) -> None:
    """A member that may have lost the end of its log vouches for nothing while another may still have it (KIP-966)."""
    for partition in state.image.partitions_of(broker_id):
        others = tuple(member for member in partition.isr if member != broker_id)
        if others and len(others) < len(partition.isr):
            state.change(partition, isr=others)


def fence_the_missing(state: ControllerState, alive: Mapping[int, int]) -> None:
    """A new controller's first deed: whoever died while nobody watched is fenced, all in one event.

    `alive` is broker -> incarnation. These may register again: the view may simply be older than the registration.
    """
    missing = [
        broker
        for broker in state.image.brokers.values()
        if not broker.is_fenced and alive.get(broker.broker_id) != broker.incarnation
    ]
    for broker in missing:
        state.record(_fenced(broker))
    settle(state, list(state.image.all_partitions()))


def controlled_shutdown(state: ControllerState, request: ControlledShutdown) -> ControlledShutdownReply:
    broker = state.is_current(request.broker_id, request.incarnation)
    if broker is None:
        return ControlledShutdownReply(request.correlation_id, int(ErrorCode.STALE_BROKER_EPOCH))
    if not broker.is_shutting_down:
        state.record(
            BrokerRecord(
                broker.broker_id, broker.incarnation, broker.host, broker.port, broker.rack, is_shutting_down=True
            )
        )
    settle(state, state.image.partitions_of(request.broker_id))
    remaining = [(p.topic, p.partition) for p in state.image.all_partitions() if p.leader == request.broker_id]
    return ControlledShutdownReply(request.correlation_id, int(ErrorCode.NONE), remaining)


def unregister(state: ControllerState, request: UnregisterBroker) -> UnregisterBrokerReply:
    """Meant for brokers that are gone for good; one that still runs is told STALE_BROKER_EPOCH from then on."""
    broker = state.image.brokers.get(request.broker_id)
    if broker is None:
        message = f"broker {request.broker_id} is not registered"
        return UnregisterBrokerReply(request.correlation_id, int(ErrorCode.BROKER_ID_NOT_REGISTERED), message)
    broker_down(state, broker.broker_id, broker.incarnation)
    state.record(BrokerRemoved(broker.broker_id))
    return UnregisterBrokerReply(request.correlation_id, int(ErrorCode.NONE))


def allocate_producer_ids(state: ControllerState, request: AllocateProducerIds) -> AllocateProducerIdsReply:
    if state.is_current(request.broker_id, request.incarnation) is None:
        return AllocateProducerIdsReply(request.correlation_id, int(ErrorCode.STALE_BROKER_EPOCH))
    first = state.image.next_producer_id
    state.record(ProducerIdsRecord(first + PRODUCER_ID_BLOCK))
    return AllocateProducerIdsReply(request.correlation_id, int(ErrorCode.NONE), first, PRODUCER_ID_BLOCK)


def _fenced(broker: BrokerInfo) -> BrokerRecord:
    return BrokerRecord(broker.broker_id, broker.incarnation, broker.host, broker.port, broker.rack, is_fenced=True)
