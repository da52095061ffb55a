"""55 DescribeQuorum, v0-2.

Who decides on the cluster's metadata, in the words of KRaft: the leader is the broker that holds the controller's
lease, its epoch the controller's, the voters are the live brokers, any of which may take the lease. How far each has
come is known of this broker only; the others are shown where its image ends.
Left out: anything but `__cluster_metadata` 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.errors import ErrorCode
from protocol.k55_describe_quorum import (
    AnsweredPartitionData,
    AnsweredTopicData,
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    Listener,
    Node,
    ReplicaState,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

METADATA_TOPIC = "__cluster_metadata"
NODES_FROM = 2


def handle(context: RequestContext, request: DescribeQuorumRequest) -> DescribeQuorumResponse:
    """From the image."""
    image = context.broker.image
    response = DescribeQuorumResponse(
        topics=[
            AnsweredTopicData(
                topic_name=topic.topic_name,
                partitions=[
                    _describe(context, p.partition_index, is_metadata=topic.topic_name == METADATA_TOPIC)
                    for p in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
    if context.api_version >= NODES_FROM:
        response.nodes = [
            Node(node_id=b.broker_id, listeners=[Listener(name="PLAINTEXT", host=b.host, port=b.port)])
            for b in image.live_brokers()
        ]
    return response


def _describe(context: RequestContext, index: int, *, is_metadata: bool) -> AnsweredPartitionData:
    if not is_metadata or index != 0:
        return AnsweredPartitionData(
            partition_index=index,
            error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            error_message=f"only {METADATA_TOPIC} 0 has a quorum",
        )
    image = context.broker.image
    end = max(image.version, 0)
    return AnsweredPartitionData(
        partition_index=index,
        error_message=None,
        leader_id=image.controller_id,
        leader_epoch=image.controller_epoch,
        high_watermark=end,
        current_voters=[ReplicaState(replica_id=b.broker_id, log_end_offset=end) for b in image.live_brokers()],
    )
