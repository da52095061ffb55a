"""10 FindCoordinator, v0-6.

The coordinator of a group or a transactional id is the leader of its partition of `__consumer_offsets` or
`__transaction_state`; the topic is created when it is first asked for. v4+ asks for many keys at once.
Left out: share groups (key type 2).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.api.errors import ask_controller
from actors.gateways import address_for
from model.errors import ErrorCode
from protocol.cluster_admin import CreateTopics, NewTopic
from protocol.k10_find_coordinator import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

BATCHED_FROM = 4
PATIENCE_ROUNDS, ROUND_S = 50, 0.1
GROUP, TRANSACTION = 0, 1
TOPICS = {
    GROUP: ("__consumer_offsets", "offsets.topic"),
    TRANSACTION: ("__transaction_state", "transaction.state.log"),
}


async def handle(context: RequestContext, request: FindCoordinatorRequest) -> FindCoordinatorResponse:
    """Create the internal topic when there is none, then look the leaders up."""
    if request.key_type in TOPICS:
        await context.broker.peers.settled()
        await ensure_topic(context, request.key_type)
    if context.api_version >= BATCHED_FROM:
        found = [find(context, request.key_type, key) for key in request.coordinator_keys]
        return FindCoordinatorResponse(coordinators=found)
    one = find(context, request.key_type, request.key)
    return FindCoordinatorResponse(
        error_code=one.error_code, error_message=one.error_message, node_id=one.node_id, host=one.host, port=one.port
    )


def partition_for(key: str, count: int) -> int:
    """The partition of an internal topic that a key belongs to: Java's String.hashCode, made positive."""
    value = 0
    encoded = key.encode("utf-16-be")
    for position in range(0, len(encoded), 2):
        value = (31 * value + (encoded[position] << 8 | encoded[position + 1])) & 0xFFFFFFFF
    return (value & 0x7FFFFFFF) % count


def find(context: RequestContext, key_type: int, key: str) -> Coordinator:
    """The coordinator's address, or the error that makes the client ask again."""
    broker = context.broker
    none = Coordinator(key=key, node_id=-1, host="", port=-1)
    if key_type not in TOPICS:
        none.error_code = ErrorCode.INVALID_REQUEST
        none.error_message = f"key type {key_type} has no coordinator here"
        return none
    if not key and key_type == GROUP:
        none.error_code = ErrorCode.INVALID_GROUP_ID
        return none
    topic = broker.image.topics.get(TOPICS[key_type][0])
    info = topic.partitions.get(partition_for(key, len(topic.partitions))) if topic else None
    leader = broker.image.brokers.get(info.leader) if info is not None else None
    if leader is None or leader.is_fenced:
        none.error_code = ErrorCode.COORDINATOR_NOT_AVAILABLE
        none.error_message = "the coordinator's partition has no leader yet; ask again"
        return none
    host, port = address_for(context, leader)
    return Coordinator(key=key, node_id=leader.broker_id, host=host, port=port)


async def ensure_topic(context: RequestContext, key_type: int) -> None:
    """Create the internal topic: as many replicas as asked for and as there are brokers.

    One that is just being restarted is waited for: the topic would have a replica too few for ever.
    """
    broker = context.broker
    name, prefix = TOPICS[key_type]
    if name in broker.image.topics:
        return
    config = broker.config
    factor = min(config.get_int(f"{prefix}.replication.factor"), broker.peers.cluster_size)
    for _ in range(PATIENCE_ROUNDS):
        if len(broker.image.live_brokers()) >= factor:
            break
        await asyncio.sleep(ROUND_S)
    factor = min(factor, max(1, len(broker.image.live_brokers())))
    configs: dict[str, str | None] = {
        "cleanup.policy": "compact",
        "segment.bytes": str(config.get_int(f"{prefix}.segment.bytes")),
        "compression.type": "producer",
    }
    if key_type == TRANSACTION:
        least = min(config.get_int("transaction.state.log.min.isr"), factor)
        configs |= {"min.insync.replicas": str(least), "unclean.leader.election.enable": "false"}
    topic = NewTopic(name, config.get_int(f"{prefix}.num.partitions"), factor, {}, configs)
    await ask_controller(context, lambda number: CreateTopics(number, [topic]))
