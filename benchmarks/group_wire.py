"""A thousand members of a thousand groups on bare connections: what their heartbeats cost, and a failover of them all.

Real consumers would take the machine for themselves: each is two threads and a few sockets. These are one coroutine and
one socket each, and say on the wire what librdkafka says.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
import time
import uuid
from collections import Counter
from typing import Any

from protocol.api_keys import API_KEYS
from protocol.codec import Message
from protocol.consumer_protocol import ConsumerProtocolSubscription
from protocol.frames import parse_response_header, request_frame
from protocol.k10_find_coordinator import FindCoordinatorRequest
from protocol.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from protocol.k12_heartbeat import HeartbeatRequest
from protocol.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from protocol.k18_api_versions import ApiVersionsRequest
from protocol.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from protocol.version_prefix import encode_with_version

HEARTBEAT_S = 3.0  # the default of librdkafka and Java in a classic group
MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS = 79, 27
Place = tuple[int, str, int]  # broker id, host, port


class Link:
    """One connection, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._numbers = itertools.count(1)

    @classmethod
    async def open(cls, host: str, port: int, *, software: str = "librdkafka") -> Link:
        link = cls(*await asyncio.open_connection(host, port))
        await link.ask(ApiVersionsRequest(client_software_name=software, client_software_version="2.16.0"), 3)
        return link

    async def ask(self, request: Message, version: int) -> Any:
        """Raises ConnectionError or asyncio.IncompleteReadError when the broker is gone."""
        pieces = request_frame(request, version, next(self._numbers), "bench")
        self._writer.write(b"".join(bytes(piece) for piece in pieces))
        (size,) = struct.unpack(">i", await self._reader.readexactly(4))
        answer = await self._reader.readexactly(size)
        key = type(request).api_key
        return API_KEYS[key].response.decode(answer, version, parse_response_header(answer, key, version)[1])

    def close(self) -> None:
        self._writer.close()


GONE = (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError)


async def coordinators(bootstrap: str, groups: list[str]) -> dict[str, Place]:
    """Who coordinates each group; those without a coordinator just now are left out. Any broker that lives is asked."""
    for address in bootstrap.split(","):
        host, _, port = address.rpartition(":")
        try:
            link = await Link.open(host, int(port))
            answer = await link.ask(FindCoordinatorRequest(key_type=0, coordinator_keys=groups), 4)
        except GONE:
            continue
        link.close()
        return {row.key: (row.node_id, row.host, row.port) for row in answer.coordinators if not row.error_code}
    return {}


class Member:
    """The only member of its group."""

    def __init__(self, topic: str, protocol: str) -> None:
        self.group, self.topic, self.protocol = uuid.uuid4().hex, topic, protocol
        self.member_id = "" if protocol == "classic" else uuid.uuid4().hex
        self.epoch = 0
        self.interval_s = HEARTBEAT_S
        self.place: Place = (-1, "", -1)
        self._link: Link | None = None

    async def link(self) -> Link:
        if self._link is None:
            self._link = await Link.open(*self.place[1:])
        return self._link

    def unlink(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    async def join(self) -> None:
        if self.protocol == "consumer":
            await self._check(self.beat(owned=[]))
            return
        metadata = encode_with_version(ConsumerProtocolSubscription(topics=[self.topic]), 1)
        request = JoinGroupRequest(
            group_id=self.group, session_timeout_ms=45_000, rebalance_timeout_ms=300_000, protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=metadata)],
        )  # fmt: skip
        link = await self.link()
        answer = await link.ask(request, 5)
        request.member_id = self.member_id = answer.member_id
        if answer.error_code == MEMBER_ID_REQUIRED:
            answer = await link.ask(request, 5)
        self.epoch = answer.generation_id
        shares = [SyncGroupRequestAssignment(member_id=self.member_id, assignment=b"all")]
        sync = SyncGroupRequest(
            group_id=self.group, generation_id=self.epoch, member_id=self.member_id, assignments=shares
        )
        if answer.error_code or (await link.ask(sync, 3)).error_code:
            raise RuntimeError(f"a member of {self.group} was not let in: {answer.error_code}")

    @staticmethod
    async def _check(beat: Any) -> None:
        error = await beat
        if error:
            raise RuntimeError(f"a member was not let in: {error}")

    async def beat(self, owned: list[Any] | None = None) -> int:
        """One heartbeat; its error code."""
        link = await self.link()
        if self.protocol == "classic":
            request = HeartbeatRequest(group_id=self.group, generation_id=self.epoch, member_id=self.member_id)
            return int((await link.ask(request, 3)).error_code)
        is_first = self.epoch == 0
        answer = await link.ask(
            ConsumerGroupHeartbeatRequest(
                group_id=self.group, member_id=self.member_id, member_epoch=self.epoch,
                rebalance_timeout_ms=300_000 if is_first else -1,
                subscribed_topic_names=[self.topic] if is_first else None, topic_partitions=owned,
            ), 1,
        )  # fmt: skip
        if not answer.error_code:
            self.epoch, self.interval_s = answer.member_epoch, answer.heartbeat_interval_ms / 1000
        return int(answer.error_code)

    async def live(self, until: float, delay_s: float) -> int:
        """Heartbeats until then; how many."""
        await asyncio.sleep(delay_s)
        count = 0
        while time.perf_counter() < until:
            due = time.perf_counter() + self.interval_s
            await self._check(self.beat())
            count += 1
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        return count

    async def recover(self, bootstrap: str, dead: int, until: float) -> float:
        """Look for another coordinator until one takes a heartbeat; when that was."""
        while time.perf_counter() < until:
            found = await coordinators(bootstrap, [self.group])
            if self.group in found and found[self.group][0] != dead:
                self.unlink()
                self.place = found[self.group]
                try:
                    async with asyncio.timeout(5):
                        # librdkafka's heartbeats Odradek answers when there are news
                        self._link = await Link.open(*self.place[1:], software="bench")
                        if await self.beat() in (0, REBALANCE_IN_PROGRESS):
                            return time.perf_counter()
                except GONE:
                    pass
            await asyncio.sleep(0.02)
        raise RuntimeError("no new coordinator")


class Crowd:
    """`count` groups of one member each."""

    def __init__(self, bootstrap: str, topic: str, protocol: str, count: int) -> None:
        self.bootstrap = bootstrap
        self.members = [Member(topic, protocol) for _ in range(count)]

    async def join(self) -> None:
        missing = {member.group: member for member in self.members}
        deadline = time.perf_counter() + 60
        while missing and time.perf_counter() < deadline:
            for group, place in (await coordinators(self.bootstrap, list(missing))).items():
                missing.pop(group).place = place
            await asyncio.sleep(0.1 if missing else 0)
        turns = asyncio.Semaphore(20)

        async def one(member: Member) -> None:
            async with turns:
                await member.join()

        await asyncio.gather(*(one(member) for member in self.members))

    async def live(self, seconds: float) -> int:
        """Everyone beats, spread evenly; how many heartbeats there were."""
        until = time.perf_counter() + seconds
        count = len(self.members)
        beats = (m.live(until, m.interval_s * index / count) for index, m in enumerate(self.members))
        return sum(await asyncio.gather(*beats))

    def busiest(self) -> int:
        """The broker that coordinates most of them."""
        return Counter(member.place[0] for member in self.members).most_common(1)[0][0]

    async def recover(self, dead: int, limit_s: float) -> float:
        """When the last group of a dead broker has found a coordinator that takes its heartbeat."""
        until = time.perf_counter() + limit_s
        orphans = [member for member in self.members if member.place[0] == dead]
        return max(await asyncio.gather(*(member.recover(self.bootstrap, dead, until) for member in orphans)))
