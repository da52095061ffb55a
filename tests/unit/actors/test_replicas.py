"""The replicas of a broker, led for real: what the image says holds for the next record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from log_builders import a_batch

from actors.actor_system import ActorSystem
from actors.append_request import AppendRequest
from actors.coordinators import Coordinators
from actors.replicas import Replicas
from machines.metadata import MetadataImage
from model.configs import BrokerConfig
from model.errors import ErrorCode
from protocol.metadata_records import ConfigRecord, PartitionRecord, TopicRecord

TOPIC = 2


class Stage:
    """Broker 1 leads orders-0 alone: broker 2 has the other replica and is not in sync."""

    def __init__(self, directory: Path) -> None:
        self.image = MetadataImage()
        self.image.apply(TopicRecord("orders", b"o" * 16))
        self.image.apply(PartitionRecord("orders", 0, (1, 2), (1,), 1, 5, 0))
        self.system = ActorSystem()
        self.replicas = Replicas(self._broker(directory))
        self.replicas.apply(self.image.topic_partitions())

    def _broker(self, directory: Path) -> Any:
        return SimpleNamespace(
            spec=SimpleNamespace(broker_id=1, incarnation=1, data_dir=directory),
            config=BrokerConfig({}),
            loop=self.system.loop,
            system=self.system,
            image=self.image,
            coordinators=Coordinators(),
            link=SimpleNamespace(cause=0),
            bus=SimpleNamespace(tell=lambda *_, **__: True),
        )

    def alter(self, name: str, value: str) -> None:
        """What IncrementalAlterConfigs comes down to, as the broker passes it on."""
        self.image.apply(ConfigRecord(TOPIC, "orders", name, value))
        self.replicas.reconfigure("orders", self.image.topics["orders"].configs)

    def produce(self, acks: int) -> ErrorCode:
        answers: list[ErrorCode] = []
        (replica,) = self.replicas.hosted.values()
        self.system.tell(replica.address, AppendRequest(a_batch(), acks, lambda request: answers.append(request.error)))
        self.system.mail.run_ready()
        (answer,) = answers
        return answer

    @property
    def log_end_offset(self) -> int:
        (replica,) = self.replicas.hosted.values()
        return replica.log.log_end_offset


def test_an_altered_min_insync_replicas_holds_for_the_very_next_produce(tmp_path: Path) -> None:
    async def scenario() -> None:
        stage = Stage(tmp_path)
        assert stage.produce(acks=-1) is ErrorCode.NONE
        stage.alter("min.insync.replicas", "2")
        assert stage.produce(acks=-1) is ErrorCode.NOT_ENOUGH_REPLICAS
        assert stage.log_end_offset == 1
        assert stage.produce(acks=1) is ErrorCode.NONE, "only acks=all asks for them"
        stage.alter("min.insync.replicas", "1")
        assert stage.produce(acks=-1) is ErrorCode.NONE
        assert stage.log_end_offset == 3
        await stage.replicas.close(5)

    asyncio.run(scenario())
