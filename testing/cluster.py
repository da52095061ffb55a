"""`Cluster`: brokers on this machine for as long as a `with` block lasts, and the hands to hurt them.

    with Cluster(brokers=3) as c:
        producer = confluent_kafka.Producer({"bootstrap.servers": c.bootstrap})
        print(c.kill_leader("orders", 0))    # orders-0: broker 2 went, healed by broker 3 after 34 ms

Nothing here reaches into the brokers: what a test does, an operator can do by hand.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from testing.hands import Hands
from testing.in_process import InProcess
from testing.processes import Processes, is_alive
from testing.waiting import ClusterFailed, wait_until

if TYPE_CHECKING:
    from clients.admin import Admin
    from clients.admin_types import PartitionDescription
    from protocol.events import Event

_NEWS_S = 1.0


class Cluster(Hands):
    """`configs` are broker configs (`--set`); `data_dir` is kept when given and otherwise temporary.

    `port` is the first broker's, the others follow; 0 takes any free ones. `start` may be called again after the
    supervisor was killed: with the same `data_dir` and ports, as an operator would. Unless it `outlives_caller`, the
    cluster also ends when the calling process does (or process `owner`, when given), however that ends.
    `in_process` runs one broker on a thread of this process, in a tenth of the time. `runner` is for `testing.shared`.
    """

    def __init__(
        self,
        brokers: int = 3,
        *,
        port: int = 0,
        data_dir: Path | str | None = None,
        configs: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        start_timeout_s: float = 30.0,
        outlives_caller: bool = False,
        owner: int | None = None,
        in_process: bool = False,
        runner: Processes | InProcess | None = None,
    ) -> None:
        if in_process and brokers != 1:
            raise ValueError(f"in_process=True runs 1 broker, not {brokers}")
        self.size = brokers
        self.configs = dict(configs or {})
        self.bootstrap = ""
        self._is_temporary = data_dir is None
        self.data_dir = Path(data_dir) if data_dir is not None else Path(tempfile.mkdtemp(prefix="odradek-"))
        self.log_path = self.data_dir.with_name(f"{self.data_dir.name}.out")
        self._admin: Admin | None = None
        self._runner: Processes | InProcess
        if runner is not None:
            self._runner = runner
        elif in_process:
            self._runner = InProcess(
                port=port, data_dir=self.data_dir, configs=self.configs, start_timeout_s=start_timeout_s
            )
        else:
            self._runner = Processes(
                brokers, port=port, data_dir=self.data_dir, log_path=self.log_path, configs=self.configs,
                options=options, owner=0 if outlives_caller else owner or os.getpid(), start_timeout_s=start_timeout_s,
            )  # fmt: skip

    def start(self) -> Cluster:
        """Returns once every broker serves. Raises ClusterFailed with what was printed instead."""
        self.bootstrap = self._runner.start()
        return self

    def stop(self, timeout_s: float = 15.0) -> None:
        """Everything in order, as Ctrl-C does; SIGKILL for what has not ended in time."""
        self._stop(timeout_s, is_hurried=False)

    def close(self) -> None:
        """`stop`, then remove the temporary data folder and the output. What will be removed need not end in order."""
        self._stop(15.0, is_hurried=self._is_temporary)
        if self._is_temporary:
            shutil.rmtree(self.data_dir, ignore_errors=True)
        self.log_path.unlink(missing_ok=True)

    def _stop(self, timeout_s: float, *, is_hurried: bool) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        self._runner.stop(timeout_s, is_hurried=is_hurried)

    def __enter__(self) -> Cluster:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what it is doing ------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The first broker's; 0 before the first start when none was asked for."""
        return self._runner.port

    @property
    def is_running(self) -> bool:
        """Whether the supervisor lives."""
        return self._runner.is_running

    def output(self) -> str:
        """All that the supervisor and the brokers printed so far."""
        return self._runner.output()

    def events(self) -> list[Event]:
        """What happened to it so far, each with its cause (`odradek timeline` prints the same)."""
        from chaos.timeline import read

        return read(self.data_dir)

    def statistics(self) -> dict[str, Any]:
        """Of every actor, by its path; of brokers in processes of their own, `BROKER:` stands before it."""
        return dict(self._runner.statistics())

    def state(self) -> dict[str, Any]:
        """What `cluster.json` says now; an empty dict before the supervisor has written it."""
        return self._runner.state()

    def brokers(self) -> dict[int, dict[str, Any]]:
        """Broker id → its row in `cluster.json` (pid, host, port, state, incarnation, restarts)."""
        return {int(row["id"]): row for row in self.state().get("brokers", [])}

    def pids(self) -> dict[int, int]:
        """Broker id → pid, of those that have a process."""
        return {broker: row["pid"] for broker, row in self.brokers().items() if row.get("pid")}

    def root_pids(self) -> list[int]:
        """The processes whose trees make up the whole cluster: the supervisor."""
        return [self.supervisor_pid]

    @property
    def supervisor_pid(self) -> int:
        return self._runner.supervisor_pid

    @property
    def controller_id(self) -> int | None:
        """The broker that holds the lease; None between a controller's death and the next election."""
        holder = self.state().get("controller_id")
        return int(holder) if holder is not None and int(holder) > 0 else None

    @property
    def admin(self) -> Admin:
        """A client of our own, closed with the cluster."""
        if self._admin is None:
            from clients.admin import Admin

            # waits in tests are short, and so are the pauses in them
            self._admin = Admin(
                {"bootstrap.servers": self.bootstrap, "retry.backoff.ms": 10, "retry.backoff.max.ms": 50,
                 "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 50, "default.api.timeout.ms": 30_000,
                 "request.timeout.ms": 5_000}
            )  # fmt: skip
        return self._admin

    def partition(self, topic: str, partition: int = 0) -> PartitionDescription:
        """Leader, epoch, replicas and ISR, as the cluster tells its clients.

        Raises UnknownTopicOrPartition, though not at once: who is asked may not know yet of a topic just made.
        """
        from model.errors import UnknownTopicOrPartition

        deadline = time.monotonic() + _NEWS_S
        while True:
            try:
                found = self.admin.describe_topics([topic])[topic]
                break
            except UnknownTopicOrPartition:
                if time.monotonic() >= deadline:
                    raise
        for row in found.partitions:
            if row.partition == partition:
                return row
        raise ClusterFailed(f"{topic} has no partition {partition}")

    def leader(self, topic: str, partition: int = 0) -> int:
        """The broker that leads it; -1 while nobody does."""
        return self.partition(topic, partition).leader

    def isr(self, topic: str, partition: int = 0) -> set[int]:
        return set(self.partition(topic, partition).isr)

    def coordinator(self, group: str) -> int:
        """The broker that looks after a consumer group."""
        return self.admin.describe_group(group).coordinator

    # -- what can be awaited ---------------------------------------------------------------------------------------

    def wait_until_all_run(self, timeout_s: float = 30.0) -> None:
        """Return once every broker runs and a controller is known."""
        wait_until(
            lambda: len(self.pids()) == self.size
            # one just killed is still listed for a moment
            and all(map(is_alive, self.pids().values()))
            and all(row["state"] == "running" for row in self.brokers().values())
            and self.controller_id in self.brokers(),
            timeout_s=timeout_s,
            what=f"all {self.size} brokers to run",
        )

    def wait_isr(
        self, topic: str, partition: int = 0, brokers: Collection[int] | int | None = None, timeout_s: float = 30.0
    ) -> set[int]:
        """Until these brokers, so many of them, or all replicas are in sync; the ISR then."""

        def is_there() -> set[int] | None:
            row = self.partition(topic, partition)
            isr = set(row.isr)
            wanted = set(row.replicas) if brokers is None else brokers
            reached = len(isr) == wanted if isinstance(wanted, int) else isr == set(wanted)
            return isr if reached and row.leader >= 0 else None

        who = "all replicas" if brokers is None else str(brokers)
        return set(wait_until(is_there, timeout_s=timeout_s, what=f"{topic}-{partition}'s ISR to be {who}"))

    def wait_assigned(self, group: str, members: int | None = None, timeout_s: float = 30.0) -> dict[str, int]:
        """Until the group is stable, with so many members if given; member id → number of its partitions.

        A group of either protocol.
        """

        def is_stable() -> tuple[dict[str, int]] | None:
            found = self.admin.describe_group(group)
            shares = {member.member_id: len(member.assignment) for member in found.members}
            if found.state == "Stable" and (any(shares.values()) if members is None else len(shares) == members):
                return (shares,)
            return None

        found: tuple[dict[str, int]] = wait_until(is_stable, timeout_s=timeout_s, what=f"group {group} to be assigned")
        return found[0]
