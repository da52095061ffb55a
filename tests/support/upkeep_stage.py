"""A stage for the actors that keep logs: real logs in a real directory, a fake broker around them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from actors.log_directory import LogDirectory
from actors.replica import Replica
from machines.metadata import PartitionInfo
from model.configs import BrokerConfig, LogConfig
from model.ids import TopicPartition
from storage.disk import OsDisk
from storage.log import Log

TOPIC_ID = bytes(range(16))


class Stage:
    """What LogUpkeep and LogCleaner see of `Replicas`; `failed` has the replicas that were reported."""

    def __init__(self, directory: Path, *, now_ms: int = 1_700_000_000_000, disk: OsDisk | None = None, **configs: str):
        self.broker = SimpleNamespace(config=BrokerConfig({k.replace("_", "."): v for k, v in configs.items()}))
        self.disk = disk or OsDisk()
        self.logs = LogDirectory(directory, self.disk, 1)
        self.hosted: dict[TopicPartition, Replica] = {}
        self.failed: list[tuple[Replica, BaseException]] = []
        self.cleaner: Any = None
        self.now_ms = now_ms
        self.ports = SimpleNamespace(wall_ms=lambda: self.now_ms)

    def replica_failed(self, replica: Replica, failure: BaseException) -> None:
        replica.is_offline = True
        self.failed.append((replica, failure))

    def host(self, name: str = "t", number: int = 0, **config: Any) -> Replica:
        """A replica with its log opened, its high watermark following `commit`."""
        partition = TopicPartition(name, number)
        log = self.logs.open(partition, TOPIC_ID, LogConfig(**config), self.now_ms)
        info = PartitionInfo(name, number, (1,), (1,), 1, 0, 0)
        replica = self.hosted[partition] = Replica(partition, TOPIC_ID, info, log, self.logs.high_watermark(partition))
        return replica

    async def close(self) -> None:
        marks: Mapping[TopicPartition, int] = {p: r.high_watermark for p, r in self.hosted.items()}
        await self.logs.close([replica.log for replica in self.hosted.values()], marks, 5)


def append(log: Log, *batches: bytearray, now_ms: int = 1_700_000_000_000) -> None:
    for batch in batches:
        log.append_as_leader(batch, 0, now_ms)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(_run(scenario), 20))


async def _run(scenario: Callable[[], Awaitable[None]]) -> None:
    await scenario()


async def until(claim: Callable[[], Any]) -> None:
    while not claim():
        await asyncio.sleep(0.001)
