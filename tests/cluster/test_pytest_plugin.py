"""The pytest plugin, in runs of pytest inside a sample project."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from odradek import Cluster, wait_until
from testing.processes import is_alive

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]


def run_pytest(folder: Path, *options: str, **files: str) -> subprocess.CompletedProcess[str]:
    command = _command(folder, options, files)
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=_environment())


def _command(folder: Path, options: tuple[str, ...], files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    plugins = ["-p", "odradek_pytest", "-p", "no:cacheprovider", "-p", "xdist"]
    return [sys.executable, "-m", "pytest", "-q", *plugins, "--durations=0", "--durations-min=0.0001", *options, "."]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}


SHARED = """
import pytest
from odradek import Producer

@pytest.mark.parametrize("n", range(8))
def test_each_has_a_topic(kafka_cluster, kafka_topic, kafka_group, n):
    print(f"bootstrap {kafka_cluster.bootstrap}")
    with Producer({"bootstrap.servers": kafka_cluster.bootstrap}) as producer:
        assert producer.send(kafka_topic, b"x", partition=2).result(10).offset == 0
    assert len(kafka_cluster.brokers()) == 2
"""

SHAPES = """
import os
import pytest

@pytest.mark.kafka(brokers=1, config={"num.partitions": 7}, partitions=5)
def test_another_shape(kafka_cluster, kafka_topic):
    assert len(kafka_cluster.brokers()) == 1
    assert kafka_cluster.admin.describe_broker_configs(1)["num.partitions"].value == "7"
    assert len(kafka_cluster.admin.describe_topics([kafka_topic])[kafka_topic].partitions) == 5

@pytest.mark.kafka(in_process=True)
def test_fresh_and_in_process(kafka_cluster_fresh, kafka_topic):
    assert kafka_cluster_fresh.pids() == {1: os.getpid()}
    assert kafka_cluster_fresh.kill_leader(kafka_topic).healed_by == 1

@pytest.mark.kafka(brokers=2)
def test_fresh(kafka_cluster_fresh, kafka_topic):
    kafka_cluster_fresh.kill_supervisor()
"""

FAILING = """
import pytest

@pytest.mark.kafka(brokers=2)
def test_fails(kafka_cluster_fresh, kafka_topic):
    kafka_cluster_fresh.kill_leader(kafka_topic)
    assert False

@pytest.mark.kafka(in_process=True)
def test_fails_in_process(kafka_cluster_fresh, kafka_topic):
    assert False
"""


def test_one_cluster_serves_the_session(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "--kafka-brokers=2", "-s", test_shared=SHARED)
    assert "8 passed" in run.stdout, run.stdout
    assert len(set(re.findall(r"bootstrap (\S+)", run.stdout))) == 1


def test_a_topic_for_each_test_costs_little(tmp_path: Path) -> None:
    many = "import pytest\n@pytest.mark.parametrize('n', range(50))\ndef test_t(kafka_cluster, kafka_topic, n): pass\n"
    run = run_pytest(tmp_path, test_many=many)
    assert "50 passed" in run.stdout, run.stdout
    setups = sorted(float(seconds) for seconds in re.findall(r"([\d.]+)s setup", run.stdout))
    # some 7 ms on a quiet machine
    assert setups[len(setups) // 2] < 0.1


def test_xdist_workers_share_it_and_it_ends_with_the_run(tmp_path: Path) -> None:
    spy = "def test_spy(kafka_cluster):\n    print('pid', kafka_cluster.supervisor_pid)\n"
    run = run_pytest(tmp_path, "--kafka-brokers=2", "-n", "3", "-rP", test_shared=SHARED, test_spy=spy)
    assert "9 passed" in run.stdout, run.stdout
    assert len(set(re.findall(r"bootstrap (\S+)", run.stdout))) == 1
    (pid,) = map(int, re.findall(r"^pid (\d+)", run.stdout, re.MULTILINE))
    assert not is_alive(pid)


def test_the_marker_shapes_the_cluster(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, test_shapes=SHAPES)
    assert "3 passed" in run.stdout, run.stdout


def test_a_marker_it_does_not_know_is_refused(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, test_m="import pytest\n@pytest.mark.kafka(borkers=1)\ndef test_m(kafka_cluster): pass\n")
    assert run.returncode != 0 and "it takes brokers=, config=, partitions= and in_process=" in run.stdout + run.stderr


def test_the_report_of_a_failed_test_tells_of_the_cluster(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, test_failing=FAILING)
    assert "2 failed" in run.stdout, run.stdout
    for title in ("Kafka output", "Kafka events", "Kafka brokers", "Kafka actors"):
        assert f"- {title} -" in run.stdout, run.stdout
    assert re.search(r"- Kafka broker-\d.log -", run.stdout), run.stdout
    assert re.search(r"broker \d is down: killed by SIGKILL", run.stdout)
    assert re.search(r"^\d:/replica/test_fails-\w+/0/\w+ +runs  inbox \d+", run.stdout, re.MULTILINE)
    assert "/replica/test_fails_in_process" in run.stdout


def test_an_external_cluster_is_used_and_left_as_it_was(tmp_path: Path) -> None:
    hurt = (
        "import odradek, pytest\n"
        "def test_h(kafka_cluster):\n    with pytest.raises(odradek.ClusterFailed): kafka_cluster.kill(1)\n"
    )
    with Cluster(brokers=1, in_process=True) as cluster:
        free = SHARED.replace("    assert len(kafka_cluster.brokers()) == 2\n", "")
        run = run_pytest(tmp_path, f"--kafka-external={cluster.bootstrap}", test_shared=free, test_hurt=hurt)
        assert "9 passed" in run.stdout, run.stdout
        assert cluster.admin.list_topics() == []


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_kept_cluster_runs_on(tmp_path: Path, workers: tuple[str, ...]) -> None:
    run = run_pytest(tmp_path, "--kafka-keep", "--kafka-brokers=2", *workers, test_shared=SHARED)
    found = re.search(r"kept Kafka cluster (\S+); stop it: (odradek down --data-dir (\S+))", run.stdout)
    assert found, run.stdout
    down = [sys.executable, str(ROOT / "odradek.py"), *found.group(2).split()[1:]]
    stopped = subprocess.run(down, capture_output=True, text=True)
    assert stopped.returncode == 0, stopped


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_nothing_is_left_of_a_run_that_is_killed(tmp_path: Path, workers: tuple[str, ...]) -> None:
    sleeping = (
        "import os, pathlib, time\n"
        "def test_sleeps(kafka_cluster):\n"
        "    pids = [kafka_cluster.supervisor_pid, *kafka_cluster.pids().values()]\n"
        "    pathlib.Path('pids.new').write_text(' '.join(map(str, pids)))\n"
        "    os.rename('pids.new', 'pids'); time.sleep(60)\n"
    )
    command = _command(tmp_path, workers, {"test_sleeping": sleeping})
    with subprocess.Popen(command, cwd=tmp_path, env=_environment(), stdout=subprocess.DEVNULL) as run:
        written = tmp_path / "pids"
        wait_until(written.exists, timeout_s=30, what="the test to begin")
        pids = [int(pid) for pid in written.read_text().split()]
        time.sleep(0.1)
        assert len(pids) == 4 and all(map(is_alive, pids))
        run.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, pids)), timeout_s=5, what="the cluster to end")


def test_the_programs_of_the_docs_run(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    test, program = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    run = run_pytest(tmp_path, test_docs=test)
    assert "1 passed" in run.stdout, run.stdout
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=_environment())
    assert done.returncode == 0 and "controller: broker" in done.stdout, done
