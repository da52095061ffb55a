"""12 Heartbeat, v0-4.

Keeps a member of a classic group alive; the answer tells it of a rebalance. A client that beats beside its other work
gets its answer when there are news, so that a rebalance begins at once and not with the next beat.
- Java wants its answers in order: anything else that it sends sets the heartbeat's answer free.
- librdkafka finds the request of an answer by its number, so a commit may be answered before the heartbeat.
- Others (kafkajs, for one) do nothing while they wait for it, and are answered at once.
Left out: nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.api.group_calls import call_group
from machines.group_refusals import refusal
from model.errors import ErrorCode
from protocol.k12_heartbeat import HeartbeatRequest, HeartbeatResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


PATIENT = ("apache-kafka-java",)
PATIENT_OUT_OF_ORDER = ("confluent-kafka", "librdkafka")
"""Clients, by the beginning of the name they give themselves."""


def handle(context: RequestContext, request: HeartbeatRequest) -> asyncio.Future[HeartbeatResponse] | object:
    """Heartbeat; None when the answer comes aside."""
    if not request.group_id:
        return refusal(request, context.api_version, ErrorCode.INVALID_GROUP_ID)
    software = context.connection.software
    if software.startswith(PATIENT_OUT_OF_ORDER):
        context.answer_aside(call_group(context, request.group_id, request, may_wait=True))
        return None
    if software.startswith(PATIENT):
        return call_group(context, request.group_id, request, may_wait=True, hurries=True)
    return call_group(context, request.group_id, request)
