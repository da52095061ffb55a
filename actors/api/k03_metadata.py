"""3 Metadata, v0-13.

Brokers, topics, leaders, from this broker's image of the cluster.
- A topic that does not exist is created when the client allows it and `auto.create.topics.enable` is on.
- While the election after a broker's death is under way, the answer waits for it (some 10 ms).
- The encoded answer is kept until the image changes: a thousand clients that refresh cost one encoding.
- A broker that died is listed for a session timeout longer, see `Peers.listed`.
- v10, v11: topics have ids in the answer, but can't be asked for by id (Kafka refuses the same).
- v8+: what the client may do, when it asks: everything, for there are no ACLs.
Left out: nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from actors.api.errors import ask_controller
from actors.api.lookup import why_unknown
from actors.gateways import address_for
from machines.metadata import NO_LEADER, BrokerInfo, MetadataImage, PartitionInfo, TopicInfo
from model.errors import ErrorCode
from protocol.cluster_admin import CreateTopics, NewTopic
from protocol.codec import Buffer
from protocol.k03_metadata import (
    MetadataRequest,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

INTERNAL_TOPICS = frozenset({"__consumer_offsets", "__transaction_state"})
ALL_TOPICS_WHEN_EMPTY = 0
IDS_FROM = 12
TOPIC_OPERATIONS = sum(1 << code for code in (3, 4, 5, 6, 7, 8, 10, 11))
"""Read, write, create, delete, alter, describe, describe configs, alter configs: all that can be done to a topic."""

CLUSTER_OPERATIONS = sum(1 << code for code in (5, 7, 8, 9, 10, 11, 12))
"""Create, alter, describe, cluster action, describe configs, alter configs, idempotent write."""

NOT_ASKED = -0x80000000
_MAX_KEPT = 64


class Encoded:
    """A response that was encoded before."""

    __slots__ = ("body",)

    def __init__(self, body: bytes) -> None:
        self.body = body

    def encode_chunks(self, version: int) -> list[Buffer]:
        """The kept bytes; `version` is the one they were encoded for."""
        return [self.body]


class _Kept:
    """Encoded answers for one version of one image."""

    image: MetadataImage | None = None
    image_version = -1
    answers: dict[tuple[object, ...], Encoded]


_kept = _Kept()


def handle(context: RequestContext, request: MetadataRequest) -> Encoded | Awaitable[Encoded]:
    """Answer from the image; create topics first where that is asked for."""
    if not context.broker.peers.is_settled:
        return _wait_and_answer(context, request)
    return _look_up(context, request)


async def _wait_and_answer(context: RequestContext, request: MetadataRequest) -> Encoded:
    await context.broker.peers.settled()
    answer = _look_up(context, request)
    return answer if isinstance(answer, Encoded) else await answer


def _look_up(context: RequestContext, request: MetadataRequest) -> Encoded | Awaitable[Encoded]:
    image = context.broker.image
    wants_all = request.topics is None or (not request.topics and context.api_version == ALL_TOPICS_WHEN_EMPTY)
    if wants_all:
        return _answer(context, request, None)
    assert request.topics is not None
    if context.api_version < IDS_FROM and any(t.name is None or any(t.topic_id) for t in request.topics):
        return _refuse_ids(request, context.api_version)
    # Java leaves the name empty, not null, when it asks by id.
    wanted = [(None if any(topic.topic_id) else topic.name, topic.topic_id) for topic in request.topics]
    may_create = request.allow_auto_topic_creation or context.api_version < 4
    missing = [name for name, _ in wanted if name and name not in image.topics]
    if missing and may_create and context.broker.config.get_bool("auto.create.topics.enable"):
        return _create_and_answer(context, request, wanted, missing)
    return _answer(context, request, wanted)


def _refuse_ids(request: MetadataRequest, version: int) -> Encoded:
    rows = [
        MetadataResponseTopic(error_code=ErrorCode.INVALID_REQUEST, name=topic.name or "", topic_id=topic.topic_id)
        for topic in request.topics or ()
    ]
    return Encoded(MetadataResponse(topics=rows).encode(version))


async def _create_and_answer(
    context: RequestContext, request: MetadataRequest, wanted: list[tuple[str | None, bytes]], missing: list[str]
) -> Encoded:
    topics = [NewTopic(name) for name in dict.fromkeys(missing)]
    _, reply = await ask_controller(context, lambda number: CreateTopics(number, topics))
    errors = {topic.name: ErrorCode(topic.error) for topic in reply.topics} if reply is not None else {}
    return _answer(context, request, wanted, errors)


def _answer(
    context: RequestContext,
    request: MetadataRequest,
    wanted: list[tuple[str | None, bytes]] | None,
    errors: dict[str, ErrorCode] | None = None,
) -> Encoded:
    image, version = context.broker.image, context.api_version
    if _kept.image is not image or _kept.image_version != image.version or len(_kept.answers) > _MAX_KEPT:
        _kept.image, _kept.image_version, _kept.answers = image, image.version, {}
    brokers = context.broker.peers.listed()
    for_topics = TOPIC_OPERATIONS if request.include_topic_authorized_operations else NOT_ASKED
    for_cluster = CLUSTER_OPERATIONS if request.include_cluster_authorized_operations else NOT_ASKED
    names = None if wanted is None else tuple(wanted)
    is_zmq = context.connection.is_zmq
    key = (version, brokers, names, tuple((errors or {}).items()), for_topics, for_cluster, is_zmq)
    found = _kept.answers.get(key)
    if found is None:
        response = MetadataResponse(
            brokers=[_broker(context, broker) for broker in brokers],
            cluster_id=context.broker.spec.cluster_id,
            controller_id=image.controller_id,
            topics=_topics(image, wanted, errors or {}),
            cluster_authorized_operations=for_cluster,
        )
        for row in response.topics:
            row.topic_authorized_operations = for_topics if row.error_code == ErrorCode.NONE else NOT_ASKED
        found = _kept.answers[key] = Encoded(response.encode(version))
    return found


def _broker(context: RequestContext, broker: BrokerInfo) -> MetadataResponseBroker:
    host, port = address_for(context, broker)
    return MetadataResponseBroker(node_id=broker.broker_id, host=host, port=port, rack=broker.rack)


def _topics(
    image: MetadataImage, wanted: list[tuple[str | None, bytes]] | None, errors: dict[str, ErrorCode]
) -> list[MetadataResponseTopic]:
    if wanted is None:
        return [_topic(image, topic) for topic in image.topics.values()]
    rows: list[MetadataResponseTopic] = []
    for name, topic_id in wanted:
        topic = image.topics_by_id.get(topic_id) if name is None else image.topics.get(name)
        if topic is not None:
            rows.append(_topic(image, topic))
        elif name is None:
            rows.append(MetadataResponseTopic(error_code=ErrorCode.UNKNOWN_TOPIC_ID, name=None, topic_id=topic_id))
        else:
            error = errors.get(name, why_unknown(name))
            if error in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
                error = ErrorCode.LEADER_NOT_AVAILABLE
            elif error is not ErrorCode.INVALID_TOPIC_EXCEPTION:
                error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            rows.append(MetadataResponseTopic(error_code=error, name=name))
    return rows


def _topic(image: MetadataImage, topic: TopicInfo) -> MetadataResponseTopic:
    return MetadataResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.name in INTERNAL_TOPICS,
        partitions=[_partition(image, partition) for partition in topic.partitions.values()],
    )


def _partition(image: MetadataImage, info: PartitionInfo) -> MetadataResponsePartition:
    return MetadataResponsePartition(
        error_code=ErrorCode.LEADER_NOT_AVAILABLE if info.leader == NO_LEADER else ErrorCode.NONE,
        partition_index=info.partition,
        leader_id=info.leader,
        leader_epoch=info.leader_epoch,
        replica_nodes=list(info.replicas),
        isr_nodes=list(info.isr),
        offline_replicas=[replica for replica in info.replicas if not image.is_online(info, replica)],
    )
