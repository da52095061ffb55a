"""A cluster that is to be hurt, seen from outside: its `cluster.json`, processes, clients' ports and chaos socket.

Everything a fault needs to find its victim and everything it can do to it. Works on any cluster of this machine and
user, whoever started it.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from actors.event_log import EventLog
from model.errors import KafkaError, OdradekError, UnknownTopicOrPartition
from protocol.cluster_chaos import Fault as InnerFault
from protocol.cluster_chaos import Insight, Inspect, Order, Outcome, decode_outcome, encode_line
from protocol.events import HANDS, id_text
from testing.processes import is_alive, is_supervisor, read_state, tell_signal
from testing.waiting import ClusterFailed, wait_until

if TYPE_CHECKING:
    from clients.admin import Admin
    from clients.admin_types import PartitionDescription

ANSWER_S = 5.0
HEAL_S = 60.0
SETTLE_S = 1.0


class ChaosFailed(OdradekError):
    """The fault could not be done, e.g. because its victim does not run or the cluster does not allow it."""


class Patient:
    """`topics` are those whose partitions are chosen from, `group` the one whose coordinator is meant.

    `revive` starts the cluster again after its supervisor was killed; without it that is left to somebody else.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        topics: list[str] | None = None,
        group: str = "",
        seed: int = 0,
        revive: Callable[[], object] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.topics = topics or []
        self.group = group
        self.random = random.Random(f"{seed}/chaos")
        self.revive = revive
        self.orders = 0  # given so far: what was refused may have reached some brokers all the same
        self._supervisor = 0  # known to be this cluster's
        self._admin: Admin | None = None
        self._hands = EventLog(data_dir, f"chaos-{os.getpid()}", HANDS, time.time_ns() // 1_000_000)

    def close(self) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        self._hands.close()

    # -- what it is --------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Raises ChaosFailed when no supervisor runs."""
        state = read_state(self.data_dir)
        pid = state.get("supervisor_pid") or 0
        # asked in full once for each: it is not for a number alone that processes are killed
        if not (is_alive(pid) if pid == self._supervisor else is_supervisor(pid, self.data_dir)):
            raise ChaosFailed(f"the cluster in {self.data_dir} is not running")
        self._supervisor = pid
        return state

    def rows(self) -> dict[int, dict[str, Any]]:
        return {int(row["id"]): row for row in self.state()["brokers"]}

    def brokers(self) -> list[int]:
        """Those that have a process."""
        return sorted(broker for broker, row in self.rows().items() if row["pid"])

    def size(self) -> int:
        return len(self.state()["brokers"])

    @property
    def bootstrap(self) -> str:
        return str(self.state()["bootstrap"])

    @property
    def admin(self) -> Admin:
        if self._admin is None:
            from clients.admin import Admin

            self._admin = Admin(
                {"bootstrap.servers": self.bootstrap, "retry.backoff.ms": 10, "retry.backoff.max.ms": 50,
                 "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 50, "default.api.timeout.ms": 30_000,
                 "request.timeout.ms": 3_000, "client.id": "odradek-chaos"}
            )  # fmt: skip
        return self._admin

    def partition(self, topic: str, partition: int) -> PartitionDescription:
        """Raises ChaosFailed when there is no such topic, or it has no such partition."""
        try:
            described = self.admin.describe_topics([topic])[topic]
        except UnknownTopicOrPartition:
            raise ChaosFailed(f"there is no topic {topic}") from None
        for row in described.partitions:
            if row.partition == partition:
                return row
        raise ChaosFailed(f"{topic} has no partition {partition}")

    def a_partition(self) -> tuple[str, int]:
        """One of those under test, by the seed."""
        if not self.topics:
            raise ChaosFailed("no topic is named")
        topic = self.random.choice(self.topics)
        partitions = self.admin.describe_topics([topic])[topic].partitions
        return topic, self.random.choice([row.partition for row in partitions])

    def leader(self, topic: str, partition: int) -> int:
        """Waits for one."""
        what = f"{topic}-{partition} to be led"
        return int(wait_until(lambda: max(0, self.partition(topic, partition).leader), timeout_s=HEAL_S, what=what))

    def controller(self) -> int:
        return int(wait_until(lambda: self.state().get("controller_id"), timeout_s=HEAL_S, what="a controller"))

    def coordinator(self, group: str) -> int:
        return int(self.admin.describe_group(group).coordinator)

    def a_broker(self) -> int:
        return int(self.random.choice(wait_until(self.brokers, timeout_s=HEAL_S, what="a broker")))

    def chosen(self, broker_id: int) -> int:
        """This broker, or any if it is 0. Raises ChaosFailed when there is none of that number."""
        if broker_id and broker_id not in self.rows():
            raise ChaosFailed(f"there is no broker {broker_id}: there are {', '.join(map(str, sorted(self.rows())))}")
        return broker_id or self.a_broker()

    def a_group(self) -> str:
        """Some group that there is; "" when there is none."""
        groups = sorted(row.group for row in self.admin.list_groups())
        return str(self.random.choice(groups)) if groups else ""

    def directory(self, broker_id: int) -> Path:
        return self.data_dir / f"broker-{broker_id}"

    # -- what can be done to it --------------------------------------------------------------------------------------

    def strike(self, broker_id: int, number: signal.Signals, *, event: int = 0) -> int:
        """Send the broker's process a signal; its pid. `event` is why. Raises ChaosFailed when it has none."""
        row = self.rows().get(broker_id)
        if row is None:
            raise ChaosFailed(f"there is no broker {broker_id}: there are {', '.join(map(str, sorted(self.rows())))}")
        pid = row["pid"]
        if not pid or not is_alive(pid):
            raise ChaosFailed(f"broker {broker_id} has no process now")
        tell_signal(self.data_dir, broker_id, int(row["incarnation"]), pid, number, cause=event)
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            raise ChaosFailed(f"broker {broker_id} has just ended") from None
        return int(pid)

    def order(self, broker_id: int, fault: InnerFault, *, stays: bool = False, event: int = 0) -> Outcome:
        """Have a fault done inside a broker (0: in all of them). Raises ChaosFailed with what it answered."""
        path = self.state().get("chaos_socket")
        if not path:
            raise ChaosFailed("this cluster does not let chaos in: start it with odradek.chaos.enabled=true")
        self.orders += not isinstance(fault, Inspect)
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(ANSWER_S)
                connection.connect(path)
                connection.sendall(encode_line(Order(broker_id, fault, stays, id_text(event))))
                with connection.makefile("rb") as stream:
                    outcome = decode_outcome(stream.readline())
        except (OSError, ValueError) as error:
            raise ChaosFailed(f"the supervisor does not answer at {path}: {error}") from error
        if outcome.errors:
            said = "; ".join(f"broker {broker}: {error}" for broker, error in outcome.errors.items())
            said = said.replace("broker supervisor", "supervisor").replace("LookupError: ", "")
            if event:
                self._hands.tell("fault-refused", f"broker {broker_id}" if broker_id else "brokers",
                                 cause=event, reason=said)  # fmt: skip
                self._hands.write()
            raise ChaosFailed(said)
        return outcome

    def insight(self, broker_id: int) -> Insight:
        """The actors of a broker. Raises ChaosFailed."""
        return msgspec.json.decode(self.order(broker_id, Inspect()).said[str(broker_id)], type=Insight)

    def tell(self, fault: str, subject: str, deed: str = "inject", *, event: int = 0, **details: Any) -> int:
        """For the timeline; the event's id, to be named as a cause. `event` is its own."""
        told = self._hands.tell("fault", subject, cause=event, fault=fault, deed=deed, **details)
        self._hands.write()
        return told

    def tell_damage(self, partition: str, broker_id: int, said: str, event: int) -> None:
        """What became of a file, for the timeline: "tore 80 bytes off the last batch"."""
        self._hands.tell("damaged", partition, cause=event, by=said, of=broker_id)
        self._hands.write()

    # -- how it recovers ---------------------------------------------------------------------------------------------

    def wait_until_healthy(self, timeout_s: float = HEAL_S) -> None:
        """Every broker runs, and every partition under test is led and has all its replicas in sync."""
        began_s = time.monotonic()
        wait_until(self.is_running, timeout_s=timeout_s, what="all brokers to run")
        left_s = began_s + timeout_s - time.monotonic()
        wait_until(self.is_in_sync, timeout_s=left_s, what="all replicas to be in sync")

    def is_running(self) -> bool:
        state = self.state()
        return bool(state.get("controller_id")) and all(
            row["state"] == "running" and row["pid"] and is_alive(row["pid"]) for row in state["brokers"]
        )

    def is_in_sync(self) -> bool:
        if not self.topics:
            return True
        try:
            described = self.admin.describe_topics(self.topics)
        except KafkaError:  # who was asked knows too little just now, or nobody answers
            return False
        return all(
            row.leader > 0 and len(row.isr) == len(row.replicas)
            for topic in described.values()
            for row in topic.partitions
        )

    def restart_where_disks_failed(self) -> None:
        """Brokers that run and have replicas offline: room alone is not enough, as in Kafka. Raises ChaosFailed."""
        try:
            # the replicas of a broker that has just started are offline until the controller knows of it
            wait_until(lambda: not self._with_offline_replicas(), timeout_s=SETTLE_S)
        except ClusterFailed:
            for broker, life in self._with_offline_replicas().items():
                event = self.tell("disk-full", f"broker {broker}", "heal")
                self.strike(broker, signal.SIGTERM, event=event)
                self.wait_for_next_life(broker, life)

    def _with_offline_replicas(self) -> dict[int, int]:
        """Of those that run: broker → incarnation."""
        topics = self.admin.describe_topics().values()
        offline = {broker for topic in topics for row in topic.partitions for broker in row.offline}
        running = {broker: row for broker, row in self.rows().items() if row["state"] == "running"}
        return {broker: int(row["incarnation"]) for broker, row in running.items() if broker in offline}

    def wait_for_next_life(self, broker_id: int, before: int, timeout_s: float = HEAL_S) -> None:
        """Until the broker runs in an incarnation after `before`."""

        def is_back() -> bool:
            row = self.rows()[broker_id]
            return int(row["incarnation"]) > before and row["state"] == "running"

        wait_until(is_back, timeout_s=timeout_s, what=f"broker {broker_id} to come back", every_s=0.005)

    def incarnation(self, broker_id: int) -> int:
        return int(self.rows()[broker_id]["incarnation"])
