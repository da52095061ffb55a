"""Apache Kafka beside us: three combined broker and controller processes (KRaft) on this machine.

The jars come from Maven Central once, into a cache folder outside the repository (KAFKA_PEER_DIR, default
~/.cache/kafka-peer). Needs `java` and `mvn`. The settings are Kafka's defaults with a 1 GB heap and G1, as its own
start script gives it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from model.ids import new_topic_id, topic_id_to_str
from odradek import ClusterFailed, wait_until

VERSION = os.environ.get("KAFKA_VERSION", "4.3.0")
CACHE = Path(os.environ.get("KAFKA_PEER_DIR", Path.home() / ".cache" / "kafka-peer"))
ARTIFACTS = (
    ("org.apache.kafka", "kafka_2.13", VERSION),
    ("org.apache.kafka", "kafka-tools", VERSION),
    ("org.slf4j", "slf4j-simple", "1.7.36"),
)


def jars() -> Path:
    """The folder with Kafka's jars, downloaded by Maven when it is not there yet."""
    folder = CACHE / f"lib-{VERSION}"
    if folder.is_dir() and any(folder.glob("kafka-tools-*.jar")):
        return folder
    if not (shutil.which("mvn") and shutil.which("java")):
        raise ClusterFailed("the peer needs java and mvn (apt-get install default-jre-headless maven)")
    CACHE.mkdir(parents=True, exist_ok=True)
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in ARTIFACTS
    )
    project = "<groupId>peer</groupId><artifactId>peer</artifactId><version>1</version>"
    (CACHE / "pom.xml").write_text(
        f"<project><modelVersion>4.0.0</modelVersion>{project}<dependencies>{dependencies}</dependencies></project>"
    )
    subprocess.run(
        ["mvn", "-q", "dependency:copy-dependencies", f"-DoutputDirectory={folder}"], cwd=CACHE, check=True, timeout=600
    )
    return folder


def tool_command(main_class: str, *arguments: str) -> list[str]:
    """The command that runs one of Kafka's own tools, e.g. org.apache.kafka.tools.DumpLogSegments."""
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return ["java", "-cp", f"{jars()}/*", quiet, main_class, *arguments]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class KafkaPeer:
    """A real Kafka cluster with the same surface as `odradek.Cluster`, as far as the benchmarks use it."""

    def __init__(self, brokers: int = 3, *, configs: Mapping[str, str] | None = None) -> None:
        self.size = brokers
        self.configs = dict(configs or {})
        self.folder = Path(tempfile.mkdtemp(prefix="kafka-peer-"))
        self._ports = _free_ports(2 * brokers)
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.bootstrap = ",".join(f"127.0.0.1:{port}" for port in self._ports[:brokers])
        self._format()

    def _format(self) -> None:
        cluster_id = topic_id_to_str(new_topic_id())
        voters = ",".join(f"{i}@127.0.0.1:{self._ports[self.size + i - 1]}" for i in range(1, self.size + 1))
        copies = min(3, self.size)
        for i in range(1, self.size + 1):
            plain, control = self._ports[i - 1], self._ports[self.size + i - 1]
            settings = {
                "process.roles": "broker,controller",
                "node.id": str(i),
                "controller.quorum.voters": voters,
                "listeners": f"PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{control}",
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain}",
                "controller.listener.names": "CONTROLLER",
                "log.dirs": str(self.folder / f"log{i}"),
                "offsets.topic.replication.factor": str(copies),
                "transaction.state.log.replication.factor": str(copies),
                "transaction.state.log.min.isr": "1",
                "group.initial.rebalance.delay.ms": "0",
                **self.configs,
            }
            path = self.folder / f"server{i}.properties"
            path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
            command = tool_command("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(path))
            subprocess.run(command, check=True, capture_output=True, timeout=120)

    def start_broker(self, broker_id: int) -> None:
        with open(self.folder / f"out{broker_id}.log", "ab") as out:
            command = tool_command("kafka.Kafka", str(self.folder / f"server{broker_id}.properties"))
            command[1:1] = ["-Xmx1G", "-Xms1G", "-XX:+UseG1GC"]
            self._processes[broker_id] = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)

    def start(self) -> KafkaPeer:
        """Start every broker and wait until each accepts connections."""
        for broker_id in range(1, self.size + 1):
            self.start_broker(broker_id)
        wait_until(lambda: all(map(self._accepts, self._ports[: self.size])), timeout_s=60, what="Kafka to listen")
        return self

    @staticmethod
    def _accepts(port: int) -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    def pids(self) -> dict[int, int]:
        return {broker: process.pid for broker, process in self._processes.items() if process.poll() is None}

    def root_pids(self) -> list[int]:
        """The processes whose trees make up the whole cluster."""
        return list(self.pids().values())

    def signal(self, broker_id: int, number: signal.Signals) -> int:
        self._processes[broker_id].send_signal(number)
        return self._processes[broker_id].pid

    def kill(self, broker_id: int) -> int:
        return self.signal(broker_id, signal.SIGKILL)

    def revive(self, broker_id: int) -> None:
        """Kafka has no supervisor: start what was killed, resume what was stopped."""
        process = self._processes[broker_id]
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
        else:
            self.start_broker(broker_id)

    def close(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> KafkaPeer:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
