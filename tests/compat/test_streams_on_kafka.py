"""The live tests of streams and SQL once more, on a real Apache Kafka 4.3: an app must not depend on our broker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kafka_peer import KafkaPeer

LIMIT_S = 420
ROOT = Path(__file__).resolve().parents[2]
NAMES = ("streams_live", "streams_kills", "streams_questions", "sql_live")
SAME_TESTS = [ROOT / "tests" / "cluster" / f"test_{name}.py" for name in NAMES]
CONFIGS = {"transaction.state.log.num.partitions": "4", "offsets.topic.num.partitions": "4"}

pytestmark = [pytest.mark.java, pytest.mark.slow, pytest.mark.timeout(LIMIT_S + 120)]


@pytest.mark.skipif(not shutil.which("java"), reason="java not installed")
def test_the_same_tests_pass_against_apache_kafka() -> None:
    command = [sys.executable, "-m", "pytest", "-q", *map(str, SAME_TESTS), "--timeout", "120"]
    with KafkaPeer(1, configs=CONFIGS) as kafka:
        environment = {**os.environ, "ODRADEK_TEST_BOOTSTRAP": kafka.bootstrap}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-6000:]
