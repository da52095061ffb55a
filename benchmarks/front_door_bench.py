"""How long people wait at the front door: imports, the command, clusters that start and end, a topic for each test.

    python benchmarks/front_door_bench.py            medians of seven rounds
    python benchmarks/front_door_bench.py --quick    a look, not a measurement

What a user waits for is timed from outside, in processes of their own: interpreter start, imports and all.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
TESTS = 50
console = Console(highlight=False)

IMPORT = "import time; b = time.perf_counter(); {what}; print((time.perf_counter() - b) * 1000)"
CLUSTER = """
import time
from odradek import Cluster
Cluster  # the import is measured elsewhere
began = time.perf_counter()
with Cluster({options}) as cluster:
    usable = time.perf_counter()
    {work}
    closing = time.perf_counter()
ended = time.perf_counter()
print((usable - began) * 1000, (ended - closing) * 1000)
"""
WARM = "with Cluster(brokers=1, in_process=True): pass\nbegan = time.perf_counter()"
WITH_TOPICS = """
import pytest
@pytest.mark.parametrize("n", range({count}))
def test_one(kafka_cluster, kafka_topic, n): pass
"""


def child(program: str) -> list[float]:
    """The numbers that a fresh interpreter prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    return [float(word) for word in run.stdout.split()]


def wall(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000


def topic_for_each_test() -> float:
    """Milliseconds of setup and teardown that a test has of its topic; the first one also waits for the cluster."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_topics.py").write_text(WITH_TOPICS.format(count=TESTS))
        command = [sys.executable, "-m", "pytest", "-q", "-p", "odradek_pytest", "-p", "no:cacheprovider"]
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""
        }  # fmt: skip
        run = subprocess.run(
            [*command, "--durations=0", "--durations-min=0.0001", "-vv", "."],
            cwd=folder, capture_output=True, text=True, check=True, env=environment,
        )  # fmt: skip
    seconds: dict[str, float] = {}
    for spent, test in re.findall(r"([\d.]+)s (?:setup|teardown) +(\S+)", run.stdout):
        seconds[test] = seconds.get(test, 0.0) + float(spent)
    per_test = sorted(seconds.values())[: TESTS - 2]  # without the two that start and end the cluster
    return statistics.mean(per_test) * 1000


def cluster_times(options: str, work: str = "pass") -> tuple[float, float]:
    usable, close = child(CLUSTER.format(options=options, work=work))
    return usable, close


def warm_in_process() -> tuple[float, float]:
    usable, close = child(
        CLUSTER.replace("began = time.perf_counter()", WARM).format(options="brokers=1, in_process=True", work="pass")
    )
    return usable, close


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    rounds = 2 if parser.parse_args().quick else 7
    table = Table(title=f"Milliseconds at the front door (median, slowest), Python {platform.python_version()}")
    for column in ("what", "median", "slowest", "aim"):
        table.add_column(column, justify="left" if column == "what" else "right")

    def row(what: str, aim: str, values: list[float]) -> None:
        table.add_row(what, f"{statistics.median(values):.0f}", f"{max(values):.0f}", aim)

    def repeat(measure: Callable[[], float]) -> list[float]:
        return [measure() for _ in range(rounds)]

    row("import odradek", "≤ 80", repeat(lambda: child(IMPORT.format(what="import odradek"))[0]))
    names = "from odradek import Producer, Consumer, Admin, Cluster"
    row("import of its clients and Cluster", "≤ 80", repeat(lambda: child(IMPORT.format(what=names))[0]))
    row("odradek --help", "≤ 200", repeat(lambda: wall("odradek.py", "--help")))
    three = [cluster_times("brokers=3") for _ in range(rounds)]
    row("with Cluster(brokers=3), to usable", "≤ 1200", [usable for usable, _ in three])
    row("and its end", "≤ 300", [close for _, close in three])
    used = "from odradek import NewTopic; cluster.admin.create_topics([NewTopic('t', 3, 3)])"
    row("its end after some use", "≤ 300", [cluster_times("brokers=3", used)[1] for _ in range(rounds)])
    one = [cluster_times("brokers=1, in_process=True") for _ in range(rounds)]
    row("one broker in this process, the first", "≤ 150", [usable for usable, _ in one])
    row("and its end", "≤ 300", [close for _, close in one])
    row("one broker in this process, the second", "≤ 150", [usable for usable, _ in (warm_in_process() for _ in one)])
    row(f"a topic for each of {TESTS} tests, per test", "≤ 20", [topic_for_each_test() for _ in range(min(rounds, 3))])
    console.print(table)


if __name__ == "__main__":
    main()
