"""Small pieces that the admin handlers share: names for errors, waiting for the controller."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from model.errors import ErrorCode, RequestTimedOut

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

MAX_WAIT_MS = 30_000


async def ask_controller(
    context: RequestContext, make: Callable[[int], Any], timeout_ms: int = MAX_WAIT_MS
) -> tuple[ErrorCode, Any]:
    """The controller's reply, or REQUEST_TIMED_OUT with None: then the change may or may not happen later."""
    try:
        return ErrorCode.NONE, await context.broker.link.ask(make, min(max(timeout_ms, 1), MAX_WAIT_MS))
    except RequestTimedOut:
        return ErrorCode.REQUEST_TIMED_OUT, None
