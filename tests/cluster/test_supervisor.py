"""The supervisor with real processes and signals; its brokers are stubs that only live."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from odradek import wait_until

pytestmark = pytest.mark.cluster

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
PATIENCE_S = 30.0
Start = Callable[..., "Cluster"]


class Cluster:
    """A `run_cluster.py` with stub brokers; `env` reaches the stubs."""

    def __init__(self, directory: Path, *options: str, env: dict[str, str] | None = None, brokers: int = 3) -> None:
        self.directory = directory
        command = [
            sys.executable, "run_cluster.py", "--brokers", str(brokers), "--broker-class", "stub_broker:StubBroker",
            "--port", "0", *options,
        ]  # fmt: skip
        self.process = subprocess.Popen(
            command,
            cwd=PROJECT,
            env=os.environ | {"PYTHONPATH": f"{PROJECT}{os.pathsep}{HERE}"} | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []

    def read_until(self, start_of_line: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith(start_of_line):
                return line.rstrip()
        raise AssertionError(f"no {start_of_line!r} in {self.lines}, stderr: {self.errors()}")

    def errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def end(self) -> int:
        return self.process.wait(PATIENCE_S)

    @property
    def file(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "cluster.json").read_text())
        return found

    def broker(self, number: int) -> dict[str, Any]:
        found: dict[str, Any] = self.file["brokers"][number - 1]
        return found

    def pids(self) -> list[int]:
        return [broker["pid"] for broker in self.file["brokers"] if broker["pid"]]

    def seen(self, number: int, what: str) -> list[list[str]]:
        path = self.directory / f"broker-{number}" / "seen.txt"
        notes = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [note[1:] for note in notes if note[0] == what]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    clusters: list[Cluster] = []

    def start_cluster(*options: str, **more: Any) -> Cluster:
        directory = tmp_path / "data"
        cluster = Cluster(directory, "--data-dir", str(directory), *options, **more)
        clusters.append(cluster)
        return cluster

    yield start_cluster
    for cluster in clusters:
        cluster.process.kill()
        cluster.process.wait()
        for stream in (cluster.process.stdout, cluster.process.stderr):
            assert stream is not None
            stream.close()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def greeting(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        return connection.makefile().readline().strip()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Where no other cluster makes its run directory. With a short name: the sockets lie in there."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def test_a_cluster_comes_up_says_so_and_stops_in_order(start: Start, scratch: Path) -> None:
    cluster = start(env={"TMPDIR": str(scratch)})
    ready = cluster.read_until("ready bootstrap=")
    assert sorted(line[:14] for line in cluster.lines[:3]) == ["broker 1 is up", "broker 2 is up", "broker 3 is up"]
    bootstrap = ",".join(f"127.0.0.1:{cluster.broker(number)['port']}" for number in (1, 2, 3))
    assert ready.startswith(f"ready bootstrap={bootstrap} in ")
    assert cluster.file["state"] == "ready"
    assert cluster.file["supervisor_pid"] == cluster.process.pid
    assert [path.name[:12] for path in scratch.iterdir()] == ["odradek-run-"]
    wait_until(lambda: cluster.file["controller_id"] == 1, timeout_s=PATIENCE_S)
    assert greeting(cluster.broker(2)["port"]) == "broker 2 incarnation 1"
    pids = cluster.pids()
    cluster.process.send_signal(signal.SIGINT)
    assert cluster.end() == 0
    assert not any(is_alive(pid) for pid in pids)
    # the controller, broker 1, is the last
    stopped_ns = {number: int(cluster.seen(number, "stop")[0][0]) for number in (1, 2, 3)}
    assert sorted(stopped_ns, key=lambda number: stopped_ns[number]) == [2, 3, 1]
    assert cluster.file["state"] == "stopped"
    assert list(scratch.iterdir()) == []
    assert cluster.errors() == ""


def test_a_killed_broker_is_announced_at_once_and_restarted_on_its_port(start: Start) -> None:
    cluster = start()
    cluster.read_until("ready")
    victim = cluster.broker(3)
    os.kill(victim["pid"], signal.SIGKILL)
    assert cluster.read_until("broker 3 is up again").split()[-1] != f"{victim['pid']})"
    for witness in (1, 2):
        [[broker, incarnation, _, *reason]] = cluster.seen(witness, "down")
        assert (broker, incarnation, " ".join(reason)) == ("3", "1", "killed by SIGKILL")
    wait_until(lambda: cluster.broker(3)["state"] == "running", timeout_s=PATIENCE_S)
    revived = cluster.broker(3)
    assert (revived["incarnation"], revived["restarts"], revived["port"]) == (2, 1, victim["port"])
    assert greeting(victim["port"]) == "broker 3 incarnation 2"


def test_a_stopped_broker_is_killed_and_restarted(start: Start) -> None:
    cluster = start()
    cluster.read_until("ready")
    victim = cluster.broker(2)["pid"]
    os.kill(victim, signal.SIGSTOP)
    cluster.read_until("broker 2 is up again")
    assert not is_alive(victim)
    assert "no heartbeat" in " ".join(cluster.seen(1, "down")[0])


def test_without_restarts_the_dead_stay_down_and_clients_are_refused(start: Start) -> None:
    cluster = start("--no-restart")
    cluster.read_until("ready")
    os.kill(cluster.broker(1)["pid"], signal.SIGKILL)
    wait_until(lambda: cluster.seen(2, "down") and cluster.broker(1)["state"] == "down", timeout_s=PATIENCE_S)
    with pytest.raises(ConnectionRefusedError):
        greeting(cluster.broker(1)["port"])
    cluster.process.terminate()
    assert cluster.end() == 0


def test_a_killed_supervisor_leaves_no_orphan_not_even_a_stopped_one(start: Start) -> None:
    cluster = start()
    cluster.read_until("ready")
    pids = cluster.pids()
    os.kill(pids[0], signal.SIGSTOP)
    cluster.process.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in pids), timeout_s=PATIENCE_S)


def test_a_new_supervisor_takes_over_the_directory_of_a_killed_one(start: Start) -> None:
    first = start()
    first.read_until("ready")
    cluster_id, ports = first.file["cluster_id"], [first.broker(number)["port"] for number in (1, 2, 3)]
    first.process.kill()
    second = start()
    second.read_until("ready")
    assert second.file["cluster_id"] == cluster_id
    assert all(broker["incarnation"] > 1 for broker in second.file["brokers"])
    assert len(ports) == 3


def test_a_broker_that_hangs_does_not_keep_the_cluster_from_stopping(start: Start) -> None:
    cluster = start(env={"STUB_BROKER_HANGS": "2"})
    cluster.read_until("ready")
    pids = cluster.pids()
    cluster.process.send_signal(signal.SIGTERM)
    assert cluster.end() == 0
    assert not any(is_alive(pid) for pid in pids)
    assert cluster.seen(1, "stop")
    assert cluster.seen(3, "stop")


def test_a_second_interrupt_ends_everything_at_once(start: Start) -> None:
    cluster = start(env={"STUB_BROKER_HANGS": "1"}, brokers=1)
    cluster.read_until("ready")
    [pid] = cluster.pids()
    cluster.process.send_signal(signal.SIGINT)
    cluster.process.send_signal(signal.SIGINT)  # right after the first it counts as the same
    wait_until(lambda: cluster.file["state"] == "stopping", timeout_s=PATIENCE_S)

    def ended_by_one_more() -> bool:
        cluster.process.send_signal(signal.SIGINT)
        return cluster.process.poll() is not None

    wait_until(ended_by_one_more, timeout_s=PATIENCE_S)
    assert cluster.end() == 130
    assert not is_alive(pid)
    assert cluster.file["state"] == "stopped"


def test_a_broker_that_cannot_start_ends_the_start_with_one_line(start: Start) -> None:
    cluster = start("--log-level", "error", env={"STUB_BROKER_FAILS": "2"})
    line = cluster.read_until("broker 2 can't start")
    assert line.startswith("broker 2 can't start: the stub was told to fail (see ")
    assert cluster.end() == 1


def test_a_directory_in_use_is_refused(start: Start) -> None:
    first = start()
    first.read_until("ready")
    second = start()
    assert second.end() == 2
    assert second.errors() == (
        f"run_cluster.py: another cluster uses {first.directory} (supervisor pid {first.process.pid}): "
        "stop it or choose another --data-dir\n"
    )
    assert len(first.pids()) == 3


def test_a_busy_port_is_refused(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        cluster = start("--port", str(port), brokers=1)
        assert cluster.end() == 2
        errors = cluster.errors()
    assert errors.count("\n") == 1
    assert str(port) in errors


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "no.such.key=1"], "no.such.key"),
        (["--set", "num.partitions=many"], "num.partitions"),
        (["--set", "num.partitions"], "key=value"),
        (["--set", "log.dirs=/x"], "--data-dir"),
        (["--config", "no-such-file"], "no-such-file"),
        (["--brokers", "0"], "at least 1"),
        (["--port", "70000"], "70000"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_a_mistake_is_answered_with_one_line_and_leaves_nothing(
    start: Start, scratch: Path, options: list[str], words: str
) -> None:
    cluster = start(*options, env={"TMPDIR": str(scratch)})
    assert cluster.end() == 2
    errors = cluster.errors()
    assert errors.count("\n") == 1
    assert words in errors
    assert list(scratch.iterdir()) == []


def test_a_foreign_directory_is_refused(start: Start, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("do not touch")
    cluster = start()
    assert cluster.end() == 2
    assert "holds other files" in cluster.errors()
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["thesis.txt"]


def test_a_temporary_directory_is_gone_after_the_end(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, brokers=1, env={"TMPDIR": str(tmp_path)})
    cluster.read_until("ready")
    assert len(list(tmp_path.glob("odradek-data-*"))) == 1
    cluster.process.terminate()
    assert cluster.end() == 0
    assert list(tmp_path.iterdir()) == []
