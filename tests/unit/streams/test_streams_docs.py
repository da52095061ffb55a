"""docs/streams.md: every block runs, in order, those of a cluster too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from odradek import Admin, Cluster, NewTopic, Producer, wait_until

PAGE = Path(__file__).parents[3] / "docs" / "streams.md"
BLOCK = re.compile(r"^```python([^\n]*)\n(.*?)^```", re.M | re.S)


def run_blocks(names: dict[str, Any], *, with_cluster: bool) -> int:
    text, count = PAGE.read_text(), 0
    for found in BLOCK.finditer(text):
        if with_cluster or "cluster" not in found[1]:
            line = text[: found.start()].count("\n") + 1
            exec(compile("\n" * line + found[2], str(PAGE), "exec"), names)
            count += 1
    return count


def test_every_block_runs(tmp_path: Path) -> None:
    pytest.importorskip("rocksdict")
    with Cluster(brokers=1, in_process=True) as cluster:

        def produce(topic: str, lines: list[str]) -> None:
            with Producer(bootstrap_servers=cluster.bootstrap) as producer:
                for line in lines:
                    producer.send(topic, line.encode())

        with Admin(bootstrap_servers=cluster.bootstrap) as admin:
            admin.create_topics([NewTopic("lines", 3, 1), NewTopic("counts-out", 3, 1)])
        names: dict[str, Any] = {
            "__name__": "docs", "bootstrap": cluster.bootstrap, "state_dir": tmp_path, "produce": produce,
            "wait_until": wait_until,
        }  # fmt: skip
        try:
            assert run_blocks(names, with_cluster=True) == 8
        finally:
            if "app" in names:
                names["app"].close()
        assert names["app"].failure is None
