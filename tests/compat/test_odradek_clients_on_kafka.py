"""The tests of our clients once more, against a real Apache Kafka: what they do must not depend on our broker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kafka_peer import KafkaPeer

LIMIT_S = 240
HERE = Path(__file__).parent
SAME_TESTS = sorted(set(HERE.glob("test_odradek_*.py")) - {Path(__file__)})
CONFIGS = {"num.partitions": "3", "transaction.state.log.num.partitions": "4", "offsets.topic.num.partitions": "4"}

pytestmark = [pytest.mark.java, pytest.mark.timeout(LIMIT_S + 120)]


@pytest.mark.skipif(not shutil.which("java"), reason="java not installed")
def test_the_same_tests_pass_against_apache_kafka() -> None:
    command = [sys.executable, "-m", "pytest", "-q", *map(str, SAME_TESTS), "-k", "tcp", "--timeout", "60"]
    with KafkaPeer(1, configs=CONFIGS) as kafka:
        environment = {**os.environ, "ODRADEK_TEST_BOOTSTRAP": kafka.bootstrap}
        root = HERE.parents[1]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, cwd=root)
    assert done.returncode == 0, done.stdout[-5000:]
