"""The shells of groups over a partition that is a list of batches: what a broker gives them, and nothing more."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from actors.actor import Actor
from actors.actor_system import ActorSystem
from actors.alarms import Alarms
from actors.append_request import AppendRequest
from actors.group_mail import GroupCall
from actors.offsets_partition import GroupPorts, OffsetsPartition
from machines.group_events import FetchOffsets, GroupConfig
from machines.topic_view import NO_TOPICS
from model.errors import ErrorCode
from protocol.records import iter_batches, patch

LEADER = "/replica/__consumer_offsets-0"
SHELL = "/offsets/0"


class FakeLog:
    """`read` hands out three batches at most, whatever fits."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, bytes]] = []
        self.log_start_offset = self.log_end_offset = 0

    def append(self, batch: Any) -> int:
        """The offset after it."""
        copy = bytearray(batch)
        patch(copy, 0, self.log_end_offset, 0)
        (header,) = iter_batches(copy)
        self.batches.append((header.base_offset, bytes(copy)))
        self.log_end_offset = header.next_offset
        return self.log_end_offset

    def read(self, offset: int, max_bytes: int, *, up_to: int) -> bytes:
        found = [data for base, data in self.batches if offset <= base < up_to]
        return b"".join(found[:3])


class FakeLeader(Actor):
    """The partition's leader: takes records in at once and acknowledges them, unless it `holds` or `refuses`."""

    def __init__(self, partition: FakePartition) -> None:
        super().__init__()
        self.partition = partition

    def on_receive(self, message: AppendRequest) -> None:
        stage = self.partition
        if stage.refuses is not None:
            message.answer(stage.refuses)
            return
        stage.replica.log.append(message.records)
        if stage.holds:
            stage.held.append(message)
        else:
            stage.replica.high_watermark = stage.replica.log.log_end_offset
            message.answer(ErrorCode.NONE)


class FakePartition:
    """One partition of `__consumer_offsets` and its shell, on the running loop."""

    def __init__(self, log: FakeLog | None = None, **config: int) -> None:
        self.system = ActorSystem.of_running_loop()
        self.holds = False
        self.refuses: ErrorCode | None = None
        self.held: list[AppendRequest] = []
        self._numbers = itertools.count()
        self.replica: Any = SimpleNamespace(
            log=log or FakeLog(),
            waiters=set(),
            address=LEADER,
            high_watermark=log.log_end_offset if log else 0,
            cause=0,
        )
        self.alarms = Alarms(self.system.loop)
        self.settings = GroupConfig(**config)
        self.ports = GroupPorts(
            alarms=self.alarms,
            wall_ms=lambda: 1_700_000_000_000,
            config=lambda _: self.settings,
            commit_timeout_ms=5_000,
            topics=NO_TOPICS,
            pace_ms=lambda _: 1_000,
        )
        self.system.start(LEADER, lambda: FakeLeader(self))
        self.start()

    @property
    def shell(self) -> OffsetsPartition:
        actor = self.system._actors[SHELL]
        assert isinstance(actor, OffsetsPartition)
        return actor

    def start(self) -> None:
        self.system.start(SHELL, lambda: OffsetsPartition(self.replica, self.ports))

    def stop(self) -> None:
        """The role ends."""
        self.system.stop(SHELL)

    def release(self, error: ErrorCode = ErrorCode.NONE) -> None:
        """Every replica has what was held, or never will."""
        self.replica.high_watermark = self.replica.log.log_end_offset
        held, self.held = self.held, []
        for request in held:
            request.answer(error)
        for waiter in list(self.replica.waiters):
            waiter()

    def call(self, body: Any, version: int, group_id: str = "g", *, may_wait: bool = False) -> GroupCall:
        """Sent; `call.future` has the answer when there is one."""
        future: asyncio.Future[Any] = self.system.loop.create_future()
        call = GroupCall(body, version, future, "client", "/host", f"{next(self._numbers)}", may_wait)
        self.shell.deliver(group_id, call)
        return call

    async def ask(self, body: Any, version: int, group_id: str = "g") -> Any:
        return await asyncio.wait_for(self.call(body, version, group_id).future, 5)

    async def committed(self, topic: str = "t") -> int:
        answer = await self.ask(FetchOffsets([(topic, [0])]), 9)
        offset: int = answer.topics[0].partitions[0].committed_offset
        return offset

    async def until(self, claim: Callable[[], bool]) -> None:
        """A few turns of the loop, until it is so."""
        for _ in range(200):
            if claim():
                return
            await asyncio.sleep(0)
        raise AssertionError("it never came to that")
