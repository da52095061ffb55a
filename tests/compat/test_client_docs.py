"""The programs of docs/clients.md run, and the page of client configs is up to date."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from odradek import Cluster, Consumer, NewTopic, TopicPartition

pytestmark = pytest.mark.compat
ROOT = Path(__file__).parents[2]


def test_the_programs_of_the_page_run_in_their_order() -> None:
    page = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(programs) == 3
    with Cluster(brokers=1, in_process=True) as cluster:
        cluster.admin.create_topics([NewTopic("orders", 1, 1), NewTopic("copies", 1, 1)])
        for program in programs:
            exec(program.replace("localhost:9092", cluster.bootstrap), {})
        place = TopicPartition("copies", 0)
        with Consumer({"bootstrap.servers": cluster.bootstrap, "isolation.level": "read_committed"}) as consumer:
            consumer.assign([place])
            consumer.seek_to_beginning()
            values: list[bytes] = []
            while len(values) < 10_003:
                values += [record.value for record in consumer.poll(5_000)]
        assert values[:3] == [b"a record", b"another", b"third"] and values[-1] == b"9999"


def test_the_page_of_client_configs_is_up_to_date() -> None:
    tool = runpy.run_path(str(ROOT / "tools" / "client_config_docs.py"))
    assert tool["main"](["--check"]) == 0, "run `make docs`"
