"""The shell of a follower: what arrives is in the log, whatever the leader's log looks like."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from log_builders import a_batch, a_log

from actors.actor_system import ActorSystem
from actors.follower_replica import FollowerReplica, FromLeader
from actors.replica import Replica
from machines.metadata import PartitionInfo
from model.ids import TopicPartition
from protocol.cluster_replication import Follow, Replicate, Replicated, StartAt


class Ports:
    """What a partition actor may use; `sent` are its messages."""

    broker_id = 2
    incarnation = 1
    lag_time_max_ms = 1_000
    verifies_transactions = False

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.floors: list[int] = []

    def now_ms(self) -> int:
        return 0

    def first_number(self) -> int:
        return 0

    def send(self, broker_id: int, replica: Replica, message: Any, buffers: Any = ()) -> bool:
        self.sent.append(message)
        return True

    def join_timer_round(self, replica: Replica) -> None:
        pass

    def before_truncation(self, replica: Replica, floor: int) -> None:
        self.floors.append(floor)

    def replica_failed(self, replica: Replica, failure: BaseException) -> None:
        raise failure


def test_a_follower_can_start_amid_a_batch_where_records_before_were_deleted(tmp_path: Path) -> None:
    async def scenario() -> None:
        info = PartitionInfo("events", 0, (1, 2), (1,), 1, 5, 0)
        replica = Replica(TopicPartition("events", 0), b"t" * 16, info, a_log(tmp_path), 0)
        system, ports = ActorSystem(), Ports()
        system.start("/follower", lambda: FollowerReplica(replica, ports))  # type: ignore[arg-type]
        asked = ports.sent[-1]
        assert isinstance(asked, Follow)
        system.tell("/follower", FromLeader(1, StartAt(5, 7, asked.attempt), []))
        system.mail.run_ready()
        asked = ports.sent[-1]
        assert (asked.log_end_offset, ports.floors) == (7, [7])
        pushed = a_batch(5, base_offset=5, leader_epoch=5) + a_batch(2, base_offset=10, leader_epoch=5)
        system.tell("/follower", FromLeader(1, Replicate(5, 7, 10, 7, asked.attempt), [memoryview(pushed)]))
        system.mail.run_ready()
        assert ports.sent[-1] == Replicated(5, 12)
        assert (replica.log.log_start_offset, replica.log.log_end_offset, replica.high_watermark) == (7, 12, 10)
        replica.log.check()

    asyncio.run(scenario())
