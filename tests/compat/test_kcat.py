"""kcat 1.7 (librdkafka 2.0): the oldest protocol versions any test client sends."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from odradek import Cluster

pytestmark = [
    pytest.mark.compat,
    pytest.mark.skipif(shutil.which("kcat") is None, reason="kcat is not installed (apt-get install kcat)"),
]


def kcat(cluster: Cluster, *options: str, stdin: str = "") -> str:
    command = ["kcat", "-b", cluster.bootstrap, *options]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_what_is_piped_in_comes_out(cluster: Cluster, topic: str, codec: str) -> None:
    lines = [f"line {i}" for i in range(500)]
    kcat(cluster, "-P", "-t", topic, "-p", "0", "-z", codec, "-X", "acks=all", stdin="\n".join(lines))
    assert kcat(cluster, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q").splitlines() == lines
    assert kcat(cluster, "-C", "-t", topic, "-p", "0", "-o", "490", "-e", "-q").splitlines() == lines[490:]
    assert kcat(cluster, "-C", "-t", topic, "-p", "0", "-o", "-3", "-e", "-q").splitlines() == lines[-3:]


def test_metadata_lists_brokers_and_partitions(cluster: Cluster, topic: str) -> None:
    kcat(cluster, "-P", "-t", topic, stdin="x")
    metadata = json.loads(kcat(cluster, "-L", "-J", "-t", topic))
    assert sorted(broker["id"] for broker in metadata["brokers"]) == [1, 2, 3]
    (described,) = metadata["topics"]
    assert len(described["partitions"]) == 3
    assert all(len(partition["isrs"]) == 3 for partition in described["partitions"])


def test_an_offset_is_found_by_time(cluster: Cluster, topic: str) -> None:
    kcat(cluster, "-P", "-t", topic, "-p", "0", stdin="a\nb")
    assert kcat(cluster, "-Q", "-t", f"{topic}:0:0").strip() == f"{topic} [0] offset 0"
