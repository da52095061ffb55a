"""franz-go (Go) and kafkajs (JavaScript), each through a small program in the folder of its name."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from odradek import Cluster

pytestmark = pytest.mark.toolchain
HERE = Path(__file__).parent


def run(folder: str, *command: str) -> str:
    done = subprocess.run(command, cwd=HERE / folder, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed")
def test_franz_go_produces_and_consumes(cluster: Cluster, topic: str) -> None:
    assert run("franz", "go", "run", ".", cluster.bootstrap, topic) == "ok 1000"


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_kafkajs_produces_and_lists_offsets(cluster: Cluster, topic: str) -> None:
    run("kafkajs", "npm", "ci", "--silent")
    assert run("kafkajs", "node", "roundtrip.js", cluster.bootstrap, topic) == "ok 1000"
