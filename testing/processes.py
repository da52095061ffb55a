"""Real broker processes: `run_cluster.py` as a child, watched through its output and its `cluster.json`."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from testing.place import room, search_path
from testing.waiting import ClusterFailed, wait_until

if TYPE_CHECKING:
    from actors.place import ActorStatistics

_BOOT = "import sys; sys.path[:] = {path!r}; from {module} import main; main({launch!r}, {owner}, {arguments!r})"
_STOP_S = 3.0
# a supervisor takes two signals for one wish when they come closer together (`actors/supervising.py`)
HURRY_S = 0.15


class Processes:
    """What `Cluster` does to real processes. `owner` is the process it ends with, 0 for none."""

    def __init__(
        self,
        size: int,
        *,
        port: int,
        data_dir: Path,
        log_path: Path,
        configs: Mapping[str, str],
        options: Sequence[str],
        owner: int,
        start_timeout_s: float,
    ) -> None:
        self.size = size
        self.port = port
        self.data_dir = data_dir
        self.log_path = log_path
        self.configs = configs
        self.options = options
        self.owner = owner
        self.start_timeout_s = start_timeout_s
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """The bootstrap addresses, once all brokers serve. Raises ClusterFailed with what was printed instead."""
        self.port = self.port or free_ports(self.size)  # chosen here, so that a second start finds the same ones
        arguments = ["--brokers", str(self.size), "--port", str(self.port), "--data-dir", str(self.data_dir)]
        for name, value in self.configs.items():
            arguments += ["--set", f"{name}={value}"]
        boot = _BOOT.format(
            path=search_path(), module=room("testing.owned"), launch=room("actors.launch"), owner=self.owner,
            arguments=[*arguments, *self.options],
        )  # fmt: skip
        log: IO[bytes]
        with open(self.log_path, "ab") as log:
            seen = log.tell()
            # -S: site-packages come with our sys.path; its own session: our Ctrl-C must not reach the brokers first
            self.process = process = subprocess.Popen(
                [sys.executable, "-S", "-c", boot], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

        def ready_line() -> str:
            for line in self.output(seen).splitlines():
                if line.startswith("ready bootstrap="):
                    return line
            if process.poll() is not None:
                raise ClusterFailed(f"the cluster ended with {process.returncode}:\n{self.output(seen)[-3000:]}")
            return ""

        try:
            line = wait_until(
                ready_line, timeout_s=self.start_timeout_s, what="the cluster's ready line", every_s=0.005
            )
        except ClusterFailed as failure:
            self.stop()
            said = self.output(seen)[-3000:]
            raise failure if said in str(failure) else ClusterFailed(f"{failure}; it printed:\n{said}") from None
        except BaseException:
            self.stop()
            raise
        return str(line).split("bootstrap=", 1)[1].split()[0]

    def stop(self, timeout_s: float = 15.0, *, is_hurried: bool = False) -> None:
        """In order, as Ctrl-C does; SIGKILL for what has not ended in time.

        Hurried, it is asked a second time soon: then the supervisor ends its brokers without order.
        """
        process = self.process
        if process is None:
            return
        orphans = self.pids()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            if is_hurried:
                try:
                    process.wait(HURRY_S)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.process = None
        self._await_end(orphans)

    def kill_supervisor(self) -> None:
        """SIGKILL; returns once the brokers have ended by themselves."""
        process, brokers = self.process, self.pids()
        if process is None:
            return
        process.kill()
        process.wait()
        self.process = None
        wait_until(lambda: not any(map(is_alive, brokers.values())), timeout_s=5.0, what="the orphaned brokers to end")

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def supervisor_pid(self) -> int:
        if self.process is None:
            raise ClusterFailed("the cluster is not running")
        return self.process.pid

    def output(self, since: int = 0) -> str:
        """What supervisor and brokers printed, from byte `since` on."""
        try:
            return self.log_path.read_bytes()[since:].decode(errors="replace")
        except FileNotFoundError:
            return ""

    def state(self) -> dict[str, Any]:
        """What `cluster.json` says now; empty before it is written."""
        return read_state(self.data_dir)

    def pids(self) -> dict[int, int]:
        return {int(row["id"]): row["pid"] for row in self.state().get("brokers", []) if row.get("pid")}

    def signal(self, broker_id: int, number: signal.Signals) -> int:
        pid = self.pids().get(broker_id)
        if pid is None:
            raise ClusterFailed(f"broker {broker_id} has no process now")
        incarnation = next(int(row["incarnation"]) for row in self.state()["brokers"] if row["id"] == broker_id)
        tell_signal(self.data_dir, broker_id, incarnation, pid, number)
        os.kill(pid, number)
        return pid

    def kill(self, broker_id: int) -> int:
        return self.signal(broker_id, signal.SIGKILL)

    def statistics(self, patience_s: float = 1.0) -> dict[str, ActorStatistics]:
        """Of every actor of the brokers that answer in time, as `BROKER:/path`."""
        from actors.portrait import REQUEST, portrait_path, read_portrait

        paths = {}
        for row in self.state().get("brokers", []):
            if row.get("pid") and row["state"] == "running":
                path = paths[int(row["id"])] = portrait_path(self.data_dir / "logs", int(row["id"]))
                path.unlink(missing_ok=True)
                signal_quietly(row["pid"], REQUEST)
        try:
            wait_until(lambda: all(path.exists() for path in paths.values()), timeout_s=patience_s, every_s=0.005)
        except ClusterFailed:
            pass  # a broker that hangs or is gone says nothing
        return {
            f"{broker}:{name}": row
            for broker, path in paths.items()
            if path.exists()
            for name, row in read_portrait(path).items()
        }

    def restart(self, broker_id: int) -> None:
        """In order: it hands over what it leads, and the supervisor starts it again."""
        self.signal(broker_id, signal.SIGTERM)

    def _await_end(self, pids: Mapping[int, int]) -> None:
        try:
            wait_until(lambda: not any(map(is_alive, pids.values())), timeout_s=_STOP_S, every_s=0.005)
        except ClusterFailed:
            for pid in pids.values():
                signal_quietly(pid, signal.SIGKILL)


def read_state(data_dir: Path) -> dict[str, Any]:
    """`cluster.json` of a data folder; empty when there is none."""
    try:
        document: dict[str, Any] = json.loads((data_dir / "cluster.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return document


def tell_signal(
    data_dir: Path, broker_id: int, incarnation: int, pid: int, number: signal.Signals, *, cause: int = 0
) -> None:
    """For the timeline: what follows has its cause here, outside of the cluster. `cause` is why it was sent."""
    from actors.event_log import EventLog
    from protocol.events import HANDS, NOTHING, blow

    hands = EventLog(data_dir, "hands", HANDS, time.time_ns() // 1_000)
    # nothing comes of SIGCONT: the blow, if there was one, is the SIGSTOP before it
    own_id = NOTHING if number == signal.SIGCONT else blow(broker_id, incarnation)
    hands.tell("signal", f"broker {broker_id}", own_id=own_id, cause=cause, signal=number.name, pid=pid)
    hands.close()


def free_ports(count: int) -> int:
    """The first of `count` neighbouring free ports, below those that the kernel hands out to clients."""
    for first in random.sample(range(15_000, 32_000 - count), 200):
        try:
            for port in range(first, first + count):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first
    raise ClusterFailed(f"no {count} neighbouring free ports were found")


def is_alive(pid: int) -> bool:
    """Whether `pid` still runs. A zombie that waits to be reaped has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def is_supervisor(pid: int, data_dir: Path) -> bool:
    """Whether `pid` is the supervisor of this folder, and not somebody who was given the number of a dead one.

    A supervisor that was killed leaves its number in `cluster.json`; who lives holds the folder's lock.
    """
    if not is_alive(pid):
        return False
    lock = str((data_dir / ".lock").resolve())
    held = Path(f"/proc/{pid}/fd")
    try:
        return any(_target(entry) == lock for entry in held.iterdir())
    except PermissionError:  # somebody else's: the system will say so
        return True
    except OSError:  # it has just ended
        return False


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except OSError:  # closed meanwhile
        return ""


def signal_quietly(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
