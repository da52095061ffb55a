"""The wheel on the other Pythons of this machine: installed with its dependencies from PyPI, then used.

What is looked for: python3.11 to python3.14 on the PATH, and pyenv's. Each gets an environment of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testing.processes import free_ports

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
ROOT = Path(__file__).parents[2]
LIMIT_S = 400
NOT_PACKED = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "tests", "benchmarks", "node_modules", "target"
)
SAMPLE = """
import pytest
from odradek import Consumer, Producer

@pytest.mark.kafka(in_process=True)
@pytest.mark.parametrize("scheme", ["tcp", "zmq"])
def test_round_trip(kafka_cluster, kafka_topic, kafka_group, scheme):
    where = kafka_cluster.bootstrap if scheme == "tcp" else f"zmq://{kafka_cluster.data_dir}"
    with Producer({"bootstrap.servers": where, "compression.type": "gzip"}) as producer:
        producer.send(kafka_topic, b"x", key=b"k", headers=[("h", b"1")]).result(10)
    config = {"bootstrap.servers": where, "group.id": kafka_group, "auto.offset.reset": "earliest"}
    with Consumer(config) as consumer:
        consumer.subscribe([kafka_topic])
        record = next(iter(consumer))
        assert (record.key, record.value, record.headers) == (b"k", b"x", [("h", b"1")])
        consumer.commit()

def test_brokers_in_processes_of_their_own(kafka_cluster_fresh, kafka_topic):
    assert kafka_cluster_fresh.kill_leader(kafka_topic).healed_by
"""

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(LIMIT_S + 60)]


def interpreter(version: str) -> str | None:
    """Another one than ours, of that version, that runs."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [shutil.which(f"python{version}"), *map(str, pyenv.glob(f"{version}.*/bin/python"))]
    asks = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        run = subprocess.run([candidate, "-c", asks], capture_output=True, text=True)
        if run.stdout.strip() == version:
            return candidate
    return None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, place / "source", ignore=NOT_PACKED)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place)]
    subprocess.run([*build, str(place / "source")], check=True, capture_output=True)
    return next(place.glob("odradek-*.whl"))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_wheel_works_there(wheel: Path, tmp_path: Path, version: str) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} on this machine")
    environment = {**os.environ, "PYTHONPATH": "", "PYTEST_ADDOPTS": ""}

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LIMIT_S
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    run(python, "-m", "venv", tmp_path / "venv")
    bin_dir = tmp_path / "venv" / "bin"
    run(bin_dir / "python", "-m", "pip", "install", "-q", "--only-binary", ":all:", f"{wheel}[cli,pytest]")
    odradek, address = bin_dir / "odradek", f"127.0.0.1:{free_ports(3)}"
    data = tmp_path / "data"
    ready = run(odradek, "up", "--detach", "--brokers", "3", "--port", address.split(":")[1], "--data-dir", data)
    try:
        assert ready.startswith("ready bootstrap=")
        run(odradek, "topic", "create", "t", "-p", "1", "-r", "3", "-b", address)
        run(odradek, "produce", "t", "one", "two", "-b", address)
        assert run(odradek, "consume", "t", "-b", address) == "one\ntwo\n"
    finally:
        run(odradek, "down", "--data-dir", data)
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    assert "3 passed" in run(bin_dir / "python", "-m", "pytest", "-q", "test_sample.py")
