"""Faults of single requests: the Nth Produce fails, is late, or loses its connection; or no client is heard at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from machines.group_refusals import refusal
from model.errors import ErrorCode
from protocol.api_keys import API_KEYS
from protocol.cluster_chaos import RequestFault
from protocol.codec import Struct
from protocol.k00_produce import PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

Serve = Callable[["RequestContext", Any], Any]

_PRODUCE = 0
_COMMITS = (8, 28, 47)  # OffsetCommit, TxnOffsetCommit, OffsetDelete
_ERRORS = ("error_code", "partition_error_code")
"""Fields that carry an error, in responses and in their parts."""


class _Armed:
    """A fault that still counts requests."""

    __slots__ = ("fault", "left", "wait")

    def __init__(self, fault: RequestFault) -> None:
        self.fault = fault
        self.wait = fault.nth - 1
        self.left = fault.count


class RequestFaults:
    """Asked by the dispatcher for every request while it is there."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._armed: list[_Armed] = []
        self._unheard: list[tuple[RequestContext, asyncio.Future[None]]] = []
        self.is_deaf = False
        self.met = 0  # requests that ran into a fault

    def add(self, fault: RequestFault) -> None:
        self._armed.append(_Armed(fault))

    def disarm(self) -> int:
        """No fault waits any more; how many requests have met one since this was asked last."""
        self._armed.clear()
        met, self.met = self.met, 0
        return met

    def hear_again(self) -> None:
        """Whoever spoke meanwhile waits in vain: as after a real partition, its connection ends."""
        self.is_deaf = False
        unheard, self._unheard = self._unheard, []
        for context, answer in unheard:
            if not context.connection.is_closed:
                context.connection.close()
            if not answer.done():
                answer.set_result(None)

    def serve(self, context: RequestContext, request: Any, serve: Serve) -> Any:
        """The handler's answer, or what the fault makes of it."""
        if self.is_deaf:
            answer = self._loop.create_future()
            self._unheard.append((context, answer))
            return answer
        fault = self._due(context.header.api_key)
        if fault is None:
            return serve(context, request)
        if fault.disconnects and not fault.after_serving:
            context.connection.close()
            return None
        return self._suffer(fault, context, request, serve)

    def _due(self, api_key: int) -> RequestFault | None:
        for armed in self._armed:
            if armed.fault.api_key != api_key:
                continue
            if armed.wait:
                armed.wait -= 1
                continue
            armed.left -= 1
            if armed.left <= 0:
                self._armed.remove(armed)
            self.met += 1
            return armed.fault
        return None

    async def _suffer(self, fault: RequestFault, context: RequestContext, request: Any, serve: Serve) -> Any:
        answer = refused(context, request, ErrorCode(fault.error)) if fault.error >= 0 else None
        if answer is None:
            answer = serve(context, request)
            if isinstance(answer, Awaitable):
                answer = await answer
            if fault.error >= 0:
                spoil(answer, ErrorCode(fault.error))
        if fault.delay_ms:
            await asyncio.sleep(fault.delay_ms / 1000)
        if fault.disconnects:
            context.connection.close()
            return None
        return answer


def refused(context: RequestContext, request: Any, error: ErrorCode) -> Any:
    """The response to a request that was not served. None: only an answer that exists can be spoilt (`spoil`)."""
    key, version = context.header.api_key, context.api_version
    if key == _PRODUCE:
        return _refused_produce(request, error)
    if key in _COMMITS:
        return refusal(request, version, error)
    try:
        response = API_KEYS[key].response()
    except TypeError:  # it has fields that must be given
        return None
    if not hasattr(response, "error_code"):
        return None
    response.error_code = int(error)
    return response


def spoil(answer: Any, error: ErrorCode) -> None:
    """Put `error` wherever the answer says how it went."""
    if isinstance(answer, list):
        for each in answer:
            spoil(each, error)
    elif isinstance(answer, Struct):
        for name in _fields_of(answer):
            if name in _ERRORS:
                setattr(answer, name, int(error))
            else:
                spoil(getattr(answer, name), error)


def _fields_of(answer: Struct) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for kind in type(answer).__mro__ for name in getattr(kind, "__slots__", ())))


def _refused_produce(request: ProduceRequest, error: ErrorCode) -> ProduceResponse:
    return ProduceResponse(
        responses=[
            TopicProduceResponse(
                name=topic.name,
                topic_id=topic.topic_id,
                partition_responses=[
                    PartitionProduceResponse(index=part.index, error_code=int(error), base_offset=-1)
                    for part in topic.partition_data
                ],
            )
            for topic in request.topic_data
        ]
    )
