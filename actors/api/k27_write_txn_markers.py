"""27 WriteTxnMarkers, v1-2.

Ends transactions in partitions that this broker leads: for an administrator who has to end a transaction that its
coordinator knows nothing of. Our own coordinators send markers over ZeroMQ.
Left out: nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.append_request import AppendRequest, MarkerRequest
from model.errors import ErrorCode
from model.ids import TopicPartition
from protocol.k27_write_txn_markers import (
    WritableTxnMarker,
    WritableTxnMarkerPartitionResult,
    WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


async def handle(context: RequestContext, request: WriteTxnMarkersRequest) -> WriteTxnMarkersResponse:
    """Write them all, then answer."""
    results = []
    written: list[asyncio.Future[ErrorCode]] = []
    for marker in request.markers:
        rows = [
            (
                topic.name,
                [
                    (index, _write(context, marker, TopicPartition(topic.name, index)))
                    for index in topic.partition_indexes
                ],
            )
            for topic in marker.topics
        ]
        results.append((marker.producer_id, rows))
        written += [future for _, row in rows for _, future in row]
    await asyncio.gather(*written)
    return WriteTxnMarkersResponse(
        markers=[
            WritableTxnMarkerResult(
                producer_id=producer_id,
                topics=[
                    WritableTxnMarkerTopicResult(
                        name=name,
                        partitions=[
                            WritableTxnMarkerPartitionResult(partition_index=index, error_code=future.result())
                            for index, future in row
                        ],
                    )
                    for name, row in rows
                ],
            )
            for producer_id, rows in results
        ]
    )


def _write(context: RequestContext, marker: WritableTxnMarker, partition: TopicPartition) -> asyncio.Future[ErrorCode]:
    future: asyncio.Future[ErrorCode] = context.broker.loop.create_future()

    def written(request: AppendRequest) -> None:
        if not future.done():
            future.set_result(request.error)

    if context.broker.image.partition(partition.topic, partition.partition) is None:
        future.set_result(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        return future
    request = MarkerRequest(
        b"",
        -1,
        written,
        producer_id=marker.producer_id,
        producer_epoch=marker.producer_epoch,
        is_commit=marker.transaction_result,
        coordinator_epoch=marker.coordinator_epoch,
        version=marker.transaction_version,
    )
    context.broker.transactions.write_marker(partition, request)
    return future
