"""Other people's clients, and the test-suites their authors wrote, against one cluster: each a folder with a run.sh.

`run.sh BOOTSTRAP` runs what stands in the folder's allow_list.txt, a list that only grows; FINDINGS.md there says why
the rest is left out. What a suite needs is fetched by the registry's own client into a cache outside the repository.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from odradek import Cluster

HERE = Path(__file__).parent

SUITES = {
    "java": ("java", "mvn"),
    "franz_go": ("go",),
    "kafkajs": ("node", "npm"),
    "kafka_python": (),
    "confluent_kafka": (),
}
"""Folder → the programs without which it is skipped."""

CONFIGS = {
    "default.replication.factor": "3",
    "num.partitions": "3",
    "group.min.session.timeout.ms": "1000",  # kafka-python's fixtures have it so
    "min.insync.replicas": "1",  # the default; confluent's tests expect to see it listed as set (KIP-966)
}
SOURCE_NOT_HAD = 77
LIMIT_S = 900

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(LIMIT_S + 60)]


@pytest.fixture(scope="module")
def foreign_cluster() -> Iterator[Cluster]:
    """Three brokers with what the suites expect of a cluster."""
    with Cluster(brokers=3, configs=CONFIGS) as running:
        yield running


@pytest.mark.parametrize("suite", SUITES)
def test_the_suite_passes(foreign_cluster: Cluster, suite: str, capfd: pytest.CaptureFixture[str]) -> None:
    missing = [program for program in SUITES[suite] if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")
    process = subprocess.Popen([HERE / suite / "run.sh", foreign_cluster.bootstrap], start_new_session=True)
    try:
        status = process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        pytest.fail(f"{suite}/run.sh did not end within {LIMIT_S} s")
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)  # whatever it has left behind
        except ProcessLookupError:
            pass
    printed = capfd.readouterr()
    print(printed.out, printed.err)
    if status == SOURCE_NOT_HAD:
        pytest.skip(printed.out.strip().splitlines()[-1])
    assert status == 0, f"{suite}/run.sh ended with {status}"
    assert foreign_cluster.is_running
    assert not [row for row in foreign_cluster.brokers().values() if row["restarts"]], foreign_cluster.output()[-3000:]
