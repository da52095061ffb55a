"""Offsets by time: ListOffsets, asked of the leaders."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from clients.cluster import ClusterClient
from clients.errors import Disconnected
from model.errors import KafkaError, LeaderNotAvailable, UnknownTopicOrPartition, kafka_error
from model.ids import TopicPartition
from protocol.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic


class OffsetAndTimestamp(NamedTuple):
    """`offset` is -1 when no record is that young; `timestamp` is -1 for the special times."""

    offset: int
    timestamp: int
    leader_epoch: int = -1


async def list_offsets(
    cluster: ClusterClient,
    times: Mapping[TopicPartition, int],
    *,
    is_committed_only: bool = False,
    timeout_s: float,
) -> dict[TopicPartition, OffsetAndTimestamp]:
    """For each partition the first offset at or after a time; -1 is the end, -2 the beginning.

    Raises RequestTimedOut, and what the leaders say against it.
    """
    found: dict[TopicPartition, OffsetAndTimestamp] = {}
    cluster.follow({place.topic for place in times})

    async def attempt() -> None:
        by_node: dict[int, dict[TopicPartition, int]] = {}
        for place, timestamp in times.items():
            if place in found:
                continue
            leader = cluster.metadata.leader_of(*place)
            if leader < 0:
                known = place.topic in cluster.metadata.topics
                raise LeaderNotAvailable(f"{place}") if known else UnknownTopicOrPartition(f"{place}")
            by_node.setdefault(leader, {})[place] = timestamp
        answers = await asyncio.gather(
            *(_ask(cluster, node, part, is_committed_only, found) for node, part in by_node.items()),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer

    await cluster.retrying(attempt, timeout_s, "looking up offsets")
    return found


async def _ask(
    cluster: ClusterClient,
    node: int,
    times: dict[TopicPartition, int],
    is_committed_only: bool,
    found: dict[TopicPartition, OffsetAndTimestamp],
) -> None:
    topics: dict[str, ListOffsetsTopic] = {}
    for (topic, partition), timestamp in times.items():
        row = topics.setdefault(topic, ListOffsetsTopic(name=topic, partitions=[]))
        epoch = cluster.metadata.epoch_of(topic, partition)
        row.partitions.append(
            ListOffsetsPartition(partition_index=partition, current_leader_epoch=epoch, timestamp=timestamp)
        )
    request = ListOffsetsRequest(
        replica_id=-1, isolation_level=int(is_committed_only), topics=list(topics.values()), timeout_ms=30_000
    )
    answer = await cluster.ask(node, request)
    failure: KafkaError | None = None
    for topic_row in answer.topics:
        for row_ in topic_row.partitions:
            place = TopicPartition(topic_row.name, row_.partition_index)
            if row_.error_code:
                failure = kafka_error(row_.error_code, str(place))
            else:
                found[place] = OffsetAndTimestamp(row_.offset, row_.timestamp, row_.leader_epoch)
    if failure is not None:
        raise failure
    if any(place not in found for place in times):
        raise Disconnected(f"broker {node} left partitions out of its answer")
