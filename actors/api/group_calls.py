"""What the group handlers share: getting a request to its group, and the topics in it that it may not see."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from actors.group_mail import GroupCall
from machines.group_events import DeleteGroup, FetchOffsets
from model.errors import ErrorCode
from protocol.codec import Struct

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

GROUP_OPERATIONS = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11
"""Read, delete, describe, describe configs, alter configs: what may be done to a group when there are no ACLs."""

NOT_ASKED = -0x80000000


def call_group(
    context: RequestContext,
    group_id: str,
    body: Struct | FetchOffsets | DeleteGroup,
    *,
    needs_id: bool = False,
    may_wait: bool = False,
    hurries: bool = False,
) -> asyncio.Future[Any]:
    """Hand the request to the group's coordinator on this broker; the future gets its response, be it a refusal.

    `may_wait`: the coordinator may hold the answer until it has news; with `hurries` only until the client asks for
    anything else.
    """
    call = GroupCall(
        body,
        context.api_version,
        context.broker.loop.create_future(),
        context.header.client_id or "",
        f"/{context.connection.peer_host}",
        str(uuid.uuid4()) if needs_id else "",
        may_wait,
    )
    if hurries:
        context.connection.before_next.append(call.hurry)
    context.broker.groups.deliver(group_id, call)
    return call.future


class _Topic(Protocol):
    name: str
    topic_id: bytes
    partitions: list[Any]


T = TypeVar("T", bound=_Topic)


class Unknown(NamedTuple):
    """Partitions of a request that do not exist, under the name and id that the client used."""

    name: str
    topic_id: bytes
    partitions: Sequence[int]
    error: ErrorCode


def admit_topics(context: RequestContext, topics: Iterable[T], *, by_id: bool) -> tuple[list[T], list[Unknown]]:
    """Name the topics that are given by id, and take out of the rows what does not exist."""
    image = context.broker.image
    admitted: list[T] = []
    unknown: list[Unknown] = []
    for topic in topics:
        info = image.topics_by_id.get(topic.topic_id) if by_id else image.topics.get(topic.name)
        if info is None:
            error = ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            indexes = [row.partition_index for row in topic.partitions]
            unknown.append(Unknown(topic.name, topic.topic_id, indexes, error))
            continue
        missing = [row.partition_index for row in topic.partitions if row.partition_index not in info.partitions]
        if missing:
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            unknown.append(Unknown(topic.name, topic.topic_id, missing, error))
            topic.partitions = [row for row in topic.partitions if row.partition_index in info.partitions]
        topic.name = info.name
        if topic.partitions:
            admitted.append(topic)
    return admitted, unknown


def topic_id_of(context: RequestContext, name: str) -> bytes:
    """The id under which a client that speaks of topics by id knows it; zeros once it is gone."""
    info = context.broker.image.topics.get(name)
    return info.topic_id if info is not None else bytes(16)
