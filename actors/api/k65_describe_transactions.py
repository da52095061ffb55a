"""65 DescribeTransactions, v0.

The state of transactional ids, as their coordinators here know it.
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.errors import ErrorCode
from protocol.k65_describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    TopicData,
    TransactionState,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext
    from actors.broker import Broker


def handle(context: RequestContext, request: DescribeTransactionsRequest) -> DescribeTransactionsResponse:
    """Look each of them up."""
    return DescribeTransactionsResponse(
        transaction_states=[_describe(context.broker, each) for each in request.transactional_ids]
    )


def _describe(broker: Broker, transactional_id: str) -> TransactionState:
    answer = TransactionState(
        transactional_id=transactional_id,
        transaction_state="",
        transaction_timeout_ms=-1,
        transaction_start_time_ms=-1,
        producer_id=-1,
        producer_epoch=-1,
        topics=[],
    )
    coordinator = broker.transactions.find(transactional_id) if transactional_id else None
    if not transactional_id:
        answer.error_code = ErrorCode.INVALID_REQUEST
    elif coordinator is None:
        answer.error_code = ErrorCode.NOT_COORDINATOR
    elif not coordinator.is_loaded:
        answer.error_code = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    else:
        machine = coordinator.machines.get(transactional_id)
        state = None if machine is None else machine.state
        if state is None:
            answer.error_code = ErrorCode.TRANSACTIONAL_ID_NOT_FOUND
            return answer
        answer.transaction_state = state.status.label
        answer.transaction_timeout_ms = state.timeout_ms
        answer.transaction_start_time_ms = state.started_ms
        answer.producer_id, answer.producer_epoch = state.producer_id, state.producer_epoch
        topics: dict[str, list[int]] = {}
        for partition in sorted(state.partitions):
            topics.setdefault(partition.topic, []).append(partition.partition)
        answer.topics = [TopicData(topic=topic, partitions=indexes) for topic, indexes in topics.items()]
    return answer
