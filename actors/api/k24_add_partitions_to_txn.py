"""24 AddPartitionsToTxn, v0-5.

Takes partitions into a transaction, opening it with the first ones.
- v0-3: from a client, one transaction. A partition that doesn't exist fails the others with OPERATION_NOT_ATTEMPTED.
- v4+: between brokers in Kafka, several transactions, possibly to verify only. Ours ask over ZeroMQ instead.
Left out: nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING

from actors.api.transactional import Token, ask, worded
from machines.transaction_events import AddPartitions, Answer, Request, VerifyPartitions
from model.errors import ErrorCode
from model.ids import TopicPartition
from protocol.k24_add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

FENCED_FROM = 2
BATCHED_FROM = 4
ABORTABLE_FROM = 5


def handle(context: RequestContext, request: AddPartitionsToTxnRequest) -> Awaitable[AddPartitionsToTxnResponse]:
    """Ask the coordinator, in arrival order."""
    if context.api_version >= BATCHED_FROM:
        return _batched(context, [(each, _ask(context, each)) for each in request.transactions])
    transaction = AddPartitionsToTxnTransaction(
        transactional_id=request.v3_and_below_transactional_id,
        producer_id=request.v3_and_below_producer_id,
        producer_epoch=request.v3_and_below_producer_epoch,
        verify_only=False,
        topics=request.v3_and_below_topics,
    )
    return _single(context, transaction.topics, _ask(context, transaction))


Asked = tuple[frozenset[TopicPartition], Awaitable[Answer] | None]


def _ask(context: RequestContext, transaction: AddPartitionsToTxnTransaction) -> Asked:
    """(unknown partitions, the coordinator's answer, or None when there are unknown ones)."""
    partitions = frozenset(TopicPartition(topic.name, p) for topic in transaction.topics for p in topic.partitions)
    image = context.broker.image
    unknown = frozenset(p for p in partitions if image.partition(p.topic, p.partition) is None)
    if unknown and not transaction.verify_only:
        return unknown, None

    def make(token: Token) -> Request:
        kind = VerifyPartitions if transaction.verify_only else AddPartitions
        return kind(token, transaction.producer_id, transaction.producer_epoch, partitions)

    return frozenset(), ask(context.broker, transaction.transactional_id, make)


async def _single(
    context: RequestContext, topics: Sequence[AddPartitionsToTxnTopic], asked: Asked
) -> AddPartitionsToTxnResponse:
    return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=await _rows(context, topics, asked))


async def _batched(
    context: RequestContext, transactions: Sequence[tuple[AddPartitionsToTxnTransaction, Asked]]
) -> AddPartitionsToTxnResponse:
    results = [
        AddPartitionsToTxnResult(
            transactional_id=each.transactional_id, topic_results=await _rows(context, each.topics, asked)
        )
        for each, asked in transactions
    ]
    return AddPartitionsToTxnResponse(results_by_transaction=results)


async def _rows(
    context: RequestContext, topics: Sequence[AddPartitionsToTxnTopic], asked: Asked
) -> list[AddPartitionsToTxnTopicResult]:
    unknown, answer = asked
    error, absent = ErrorCode.OPERATION_NOT_ATTEMPTED, frozenset[TopicPartition]()
    if answer is not None:
        settled = await answer
        error, absent = worded(settled.error, context.api_version, FENCED_FROM), settled.absent
    is_abortable = context.api_version >= ABORTABLE_FROM
    missing = ErrorCode.TRANSACTION_ABORTABLE if is_abortable else ErrorCode.INVALID_TXN_STATE

    def error_of(partition: TopicPartition) -> ErrorCode:
        if partition in unknown:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        return missing if partition in absent else error

    return [
        AddPartitionsToTxnTopicResult(
            name=topic.name,
            results_by_partition=[
                AddPartitionsToTxnPartitionResult(
                    partition_index=index, partition_error_code=error_of(TopicPartition(topic.name, index))
                )
                for index in topic.partitions
            ],
        )
        for topic in topics
    ]
