"""66 ListTransactions, v0-2.

The transactional ids that this broker coordinates.
- v1+: only those open for longer than `duration_filter`.
- v2+: only those whose id matches a pattern (Google RE2 in Kafka; Python's `re` here).
Left out: nothing.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from machines.transaction_state import Status
from model.errors import ErrorCode
from protocol.k66_list_transactions import ListTransactionsRequest, ListTransactionsResponse, TransactionState

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

_LABELS = {status.label: status for status in Status}


def handle(context: RequestContext, request: ListTransactionsRequest) -> ListTransactionsResponse:
    """Go through the coordinators that live here."""
    coordinators = list(context.broker.transactions.coordinators.values())
    if any(not coordinator.is_loaded for coordinator in coordinators):
        return ListTransactionsResponse(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    try:
        pattern = re.compile(request.transactional_id_pattern or "")
    except re.error:
        return ListTransactionsResponse(error_code=ErrorCode.INVALID_REGULAR_EXPRESSION)
    now_ms = time.time_ns() // 1_000_000
    wanted = {_LABELS[name] for name in request.state_filters if name in _LABELS}
    response = ListTransactionsResponse(
        unknown_state_filters=[name for name in request.state_filters if name not in _LABELS]
    )
    for coordinator in coordinators:
        for transactional_id, machine in coordinator.machines.items():
            state = machine.state
            if state is None or (request.state_filters and state.status not in wanted):
                continue
            if request.producer_id_filters and state.producer_id not in request.producer_id_filters:
                continue
            if request.duration_filter >= 0 and not (
                state.status is Status.ONGOING and now_ms - state.started_ms > request.duration_filter
            ):
                continue
            if request.transactional_id_pattern and not pattern.fullmatch(transactional_id):
                continue
            response.transaction_states.append(
                TransactionState(
                    transactional_id=transactional_id,
                    producer_id=state.producer_id,
                    transaction_state=state.status.label,
                )
            )
    return response
