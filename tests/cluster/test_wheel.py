"""The wheel: built, installed into a fresh environment, used beside folders that are named like our rooms.

What it depends on is not installed anew: the fresh environment sees this one's site-packages through a .pth file, whose
own .pth files (the editable install's hook among them) don't count.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.processes import free_ports

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
NOT_PACKED = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "build", "dist", "tests", "benchmarks", "node_modules", "target"
)
DECOYS = ("storage", "model", "actors", "clients", "cli", "testing", "protocol", "transport")
SAMPLE = """
import pytest
from odradek import Consumer, Producer

def test_round_trip(kafka_cluster, kafka_topic, kafka_group):
    with Producer({"bootstrap.servers": kafka_cluster.bootstrap}) as producer:
        producer.send(kafka_topic, b"x").result(10)
    config = {"bootstrap.servers": kafka_cluster.bootstrap, "group.id": kafka_group, "auto.offset.reset": "earliest"}
    with Consumer(config) as consumer:
        consumer.subscribe([kafka_topic])
        assert next(iter(consumer)).value == b"x"
    assert kafka_cluster.kill_leader(kafka_topic).healed_by

@pytest.mark.kafka(in_process=True)
def test_in_process(kafka_cluster_fresh, kafka_topic):
    assert kafka_cluster_fresh.leader(kafka_topic) == 1
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since a build leaves folders behind."""
    place = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, place / "source", ignore=NOT_PACKED)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(place)]
    run = subprocess.run([*build, str(place / "source")], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    (built,) = place.glob("odradek-*.whl")
    return built


@pytest.fixture(scope="module")
def bin_dir(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the wheel."""
    home = tmp_path_factory.mktemp("fresh")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    site = home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install", "--quiet", "--no-deps"]
    run = subprocess.run([*install, "--ignore-installed", str(wheel)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return home / "bin"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder full of traps: whoever imports a room of ours from here ends."""
    for name in DECOYS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise SystemExit('the decoy {name} was imported')\n")
    return tmp_path


@pytest.fixture
def running(bin_dir: Path, project: Path) -> Iterator[str]:
    """The address of a cluster that `odradek up` started in the project's folder."""
    port, data = free_ports(3), str(project / "data")
    up = _run(project, str(bin_dir / "odradek"), "up", "--detach", "--port", str(port), "--data-dir", data)
    assert up.returncode == 0, up
    yield f"127.0.0.1:{port}"
    down = _run(project, str(bin_dir / "odradek"), "down", "--data-dir", data)
    assert down.returncode == 0, down


def _run(folder: Path, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    return subprocess.run(command, input=stdin, capture_output=True, text=True, cwd=folder, env=kept, timeout=120)


def test_nothing_generic_comes_into_site_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"odradek", "odradek_pytest.py"}
    assert {"odradek/py.typed", "odradek/storage/log.py", "odradek/cli/main.py", "odradek/__main__.py"} <= set(names)
    (top,) = (name for name in names if name.endswith("top_level.txt"))
    assert zipfile.ZipFile(wheel).read(top).split() == [b"odradek", b"odradek_pytest"]


def test_every_module_of_the_wheel_can_be_imported(bin_dir: Path, project: Path) -> None:
    program = (
        "import importlib, pkgutil, sys, odradek\n"
        "assert 'site-packages' in odradek.__file__, odradek.__file__\n"
        "for found in pkgutil.walk_packages(odradek.__path__, 'odradek.'):\n"
        "    if found.name.endswith('__main__'): continue\n"
        "    try: importlib.import_module(found.name)\n"
        "    except ModuleNotFoundError as missing:\n"
        "        # what an extra brings may be missing, what is ours may not\n"
        "        if missing.name.split('.')[0] in sys.argv[1:]: raise\n"
        "print(len([name for name in sys.modules if name.startswith('odradek.')]))\n"
    )
    run = _run(project, str(bin_dir / "python"), "-c", program, "odradek", *DECOYS, "machines", "streams")
    assert run.returncode == 0 and int(run.stdout) > 200, run


def test_up_produce_consume_and_down_beside_decoys(bin_dir: Path, project: Path, running: str) -> None:
    produced = _run(project, str(bin_dir / "odradek"), "produce", "orders", "-b", running, stdin="one\ntwo\n")
    assert (produced.returncode, produced.stderr) == (0, "2 records written to orders\n"), produced
    consumed = _run(project, str(bin_dir / "python"), "-P", "-m", "odradek", "consume", "orders", "-b", running)
    assert sorted(consumed.stdout.split()) == ["one", "two"], consumed


def test_a_client_of_the_wheel_begins_in_a_program_beside_decoys(bin_dir: Path, project: Path, running: str) -> None:
    (project / "program.py").write_text(
        "from odradek import Cluster, NewTopic\n"
        "with Cluster(brokers=2) as c:\n"
        "    c.admin.create_topics([NewTopic('t', 1, 2)])\n"
        "    print(c.kill_leader('t'))\n"
    )
    run = _run(project, str(bin_dir / "python"), "program.py")
    assert run.returncode == 0 and "t-0: broker" in run.stdout, run


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_the_pytest_plugin_comes_with_the_wheel(bin_dir: Path, project: Path, workers: list[str]) -> None:
    (project / "test_sample.py").write_text(SAMPLE)
    command = ["-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_sample.py", *workers]
    run = _run(project, str(bin_dir / "python"), *command)
    assert "2 passed" in run.stdout, run.stdout + run.stderr
