"""75 DescribeTopicPartitions, v0.

Metadata page by page (KIP-966): topics by name, at most `response_partition_limit` partitions an answer, with a cursor
to go on from. Arrays are empty, never null: the Java 4.3 and 4.4 admin client crashes on null.
Left out: eligible leader replicas (there are none).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.k03_metadata import INTERNAL_TOPICS, TOPIC_OPERATIONS
from actors.api.lookup import why_unknown
from machines.metadata import NO_LEADER
from model.errors import ErrorCode
from protocol.k75_describe_topic_partitions import (
    Cursor,
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

MAX_PARTITIONS = 2_000


def handle(context: RequestContext, request: DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse:
    """One page."""
    image = context.broker.image
    cursor = request.cursor
    names = sorted({t.name for t in request.topics} or image.topics)
    if cursor is not None:
        names = [name for name in names if name >= cursor.topic_name]
    room = max(1, min(request.response_partition_limit, MAX_PARTITIONS))
    response = DescribeTopicPartitionsResponse()
    for name in names:
        topic = image.topics.get(name)
        if topic is None:
            row = DescribeTopicPartitionsResponseTopic(name=name, error_code=why_unknown(name))
            response.topics.append(row)
            continue
        start = cursor.partition_index if cursor is not None and cursor.topic_name == name else 0
        if room <= 0:
            response.next_cursor = Cursor(topic_name=name, partition_index=start)
            break
        row = DescribeTopicPartitionsResponseTopic(
            name=name,
            topic_id=topic.topic_id,
            is_internal=name in INTERNAL_TOPICS,
            topic_authorized_operations=TOPIC_OPERATIONS,
        )
        for index in range(start, min(len(topic.partitions), start + room)):
            info = topic.partitions[index]
            row.partitions.append(
                DescribeTopicPartitionsResponsePartition(
                    error_code=ErrorCode.LEADER_NOT_AVAILABLE if info.leader == NO_LEADER else ErrorCode.NONE,
                    partition_index=index,
                    leader_id=info.leader,
                    leader_epoch=info.leader_epoch,
                    replica_nodes=list(info.replicas),
                    isr_nodes=list(info.isr),
                    eligible_leader_replicas=[],
                    last_known_elr=[],
                    offline_replicas=[r for r in info.replicas if not image.is_online(info, r)],
                )
            )
        response.topics.append(row)
        room -= len(row.partitions)
        if start + len(row.partitions) < len(topic.partitions):
            response.next_cursor = Cursor(topic_name=name, partition_index=start + len(row.partitions))
            break
    return response
