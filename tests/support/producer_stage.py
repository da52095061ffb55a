"""A sender with a pretended cluster: the test sees each Produce request and answers it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from clients.accumulator import Accumulator, TopicQueues
from clients.addresses import Address
from clients.delivery import Delivery
from clients.errors import Disconnected
from clients.identity import IdempotentIdentity
from clients.metadata import Metadata, PartitionView, TopicView
from clients.producer_configs import producer_config
from clients.sender import Sender
from model.errors import ErrorCode
from protocol.k00_produce import PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceResponse
from protocol.records import decode_records, parse_header

TOPIC_ID = b"t" * 16


class Sent:
    """One request under way."""

    def __init__(self, node: int, request: ProduceRequest) -> None:
        self.node = node
        self.request = request
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    @property
    def rows(self) -> list[Any]:
        return [row for topic in self.request.topic_data for row in topic.partition_data]

    @property
    def batches(self) -> list[tuple[int, int, int, list[bytes]]]:
        """(partition, epoch, base sequence, values)"""
        found = []
        for row in self.rows:
            header = parse_header(row.records)
            values = [record.value for record in decode_records(row.records, header)]
            found.append((row.index, header.producer_epoch, header.base_sequence, values))
        return found

    async def answer(self, code: ErrorCode = ErrorCode.NONE, offset: int = 0, leader: int = -1) -> None:
        """To every partition in it."""
        rows = [PartitionProduceResponse(index=row.index, error_code=code, base_offset=offset) for row in self.rows]
        for row in rows:
            row.current_leader.leader_id = leader
            row.current_leader.leader_epoch = 9 if leader >= 0 else -1
        response = TopicProduceResponse(name="t", topic_id=TOPIC_ID, partition_responses=rows)
        self.future.set_result(ProduceResponse(responses=[response]))
        await settle()

    async def lose(self) -> None:
        """The connection ends."""
        self.future.set_exception(Disconnected("the connection ended"))
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Identity(IdempotentIdentity):
    """Has its id at once; a bump waits for the test."""

    def __init__(self, cluster: Any) -> None:
        super().__init__(cluster)
        self.stamp = (5, 0)
        self.bumps = 0

    def bump(self) -> None:
        self.bumps += 1

    async def has_bumped(self) -> None:
        self.stamp = (5, self.stamp[1] + 1)
        self.sender.pump()
        await settle()


class _Connection:
    def __init__(self, stage: Stage, node: int) -> None:
        self._stage, self._node = stage, node

    def version_of(self, request: type) -> int:
        return 13

    def send(self, request: ProduceRequest, version: int, *, is_answered: bool) -> asyncio.Future[Any]:
        sent = Sent(self._node, request)
        if not is_answered:
            sent.future.set_result(None)
        self._stage.sent.append(sent)
        return sent.future


class Stage:
    """Brokers 1 and 2; topic t has two partitions, led by broker 1. Also plays the ClusterClient."""

    def __init__(self, **configs: Any) -> None:
        given = {"bootstrap.servers": "h:1", "linger.ms": 0, "retry.backoff.ms": 0, **configs}
        self.config = producer_config(given, {})
        self.metadata = Metadata(is_zmq=False)
        self.metadata.brokers = {1: Address("h", 1), 2: Address("h", 2)}
        views = {number: PartitionView(number, 1, 1) for number in range(2)}
        self.metadata.topics["t"] = TopicView("t", TOPIC_ID, False, views)
        self.metadata.names[TOPIC_ID] = "t"
        self.connections = self
        self.on_metadata: list[Callable[[], None]] = []
        self.last_failure = ""
        self.refreshes = 0
        self.sent: list[Sent] = []
        self.unreachable: set[int] = set()
        self.accumulator = Accumulator(
            batch_size=1_000, buffer_memory=100_000, max_request_size=self.config.get_int("max.request.size"),
            codec="none", is_transactional=False, wake=lambda: None,
        )  # fmt: skip
        self.topic = self.accumulator.topics["t"] = TopicQueues("t", 2, [0, 1])
        self.identity = Identity(self)
        for number in range(2):
            self.queue(number).stamp = self.queue(number).proven = self.identity.stamp
        self.sender = Sender(self, self.accumulator, self.identity)  # type: ignore[arg-type]
        self.identity.sender = self.sender

    def at_hand(self, address: Address) -> _Connection | None:
        return None if address.port in self.unreachable else _Connection(self, address.port)

    async def connection(self, node: int) -> _Connection:
        if node in self.unreachable:
            raise Disconnected(f"broker {node} is not there")
        return _Connection(self, node)

    def want_refresh(self) -> None:
        self.refreshes += 1

    async def refreshed(self, leader: int) -> None:
        """A Metadata answer: broker `leader` leads both partitions."""
        self.metadata.version += 1
        for view in self.metadata.topics["t"].partitions.values():
            view.leader, view.leader_epoch = leader, view.leader_epoch + 1
        for listener in self.on_metadata:
            listener()
        await settle()

    def append(self, *values: bytes, partition: int = 0) -> list[Delivery]:
        """Each value in a batch of its own."""
        deliveries = []
        for value in values:
            deliveries.append(self.append_open(value, partition))
            with self.accumulator.lock:
                self.accumulator.close_due(self.topic.queue(partition), 0.0, at_once=True)
        return deliveries

    def append_open(self, value: bytes, partition: int = 0) -> Delivery:
        """Into the batch that is open."""
        return self.accumulator.append(self.topic, partition, 7, None, value, None, None)

    async def pump(self) -> None:
        self.sender.pump()
        await settle()

    async def send(self, *values: bytes, partition: int = 0) -> list[Delivery]:
        deliveries = self.append(*values, partition=partition)
        await self.pump()
        return deliveries

    def queue(self, partition: int = 0) -> Any:
        return self.topic.queue(partition)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 10))  # type: ignore[arg-type]
