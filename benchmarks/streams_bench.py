"""How many records a second streams topologies take.

    python benchmarks/streams_bench.py [--records 600000]       in the test driver, on one core: one by one, and many
    python benchmarks/streams_bench.py --live --kills           on a cluster: the word count, and what a kill -9 costs
    python benchmarks/streams_bench.py --compare --others PYTHON  the word count in other libraries, on the same input
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rich.console import Console
from rich.table import Table

from streams import LONG, STRING, StreamsBuilder, TimeWindows, TopologyTestDriver
from streams.stores.factory import ByteMaps, memory_byte_maps

Build = Callable[[StreamsBuilder], None]
PARTITIONS = 3
START_S = 60.0


def word_count(builder: StreamsBuilder) -> None:
    words = builder.stream("in", key=STRING, value=STRING).flat_map_values(lambda line: line.lower().split())
    counts = words.group_by(lambda word: word, key=STRING, value=STRING).count()
    counts.to_stream().to("out", value=LONG)


def stateless_chain(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=STRING, value=STRING).map_values(str.upper).filter(lambda v: "7" not in v)
    stream.select_key(lambda k, v: v[-1:]).map_values(lambda v: v + "!").to("out")


def reduced(builder: StreamsBuilder) -> None:
    grouped = builder.stream("in", key=STRING, value=STRING).group_by_key(key=STRING, value=STRING)
    grouped.reduce(max).to_stream().to("out")


def windowed_count(builder: StreamsBuilder) -> None:
    grouped = builder.stream("in", key=STRING, value=STRING).group_by_key(key=STRING, value=STRING)
    grouped.windowed_by(TimeWindows.of_size_with_no_grace(1000)).count().to_stream().to("out", value=LONG)


TOPOLOGIES: dict[str, Build] = {
    "word count": word_count,
    "four stateless steps": stateless_chain,
    "reduce per key": reduced,
    "count per key and second": windowed_count,
}


def open_byte_maps(store: str, directory: str) -> ByteMaps:
    if store != "rocksdb":
        return memory_byte_maps
    from streams.stores.rocks_byte_map import rocks_byte_maps

    return rocks_byte_maps(Path(directory))


def records_per_second(build: Build, store: str, records: int, *, many: bool) -> float:
    """Input records per second of processor time, from the first to the last one's results."""
    builder, chance = StreamsBuilder(), random.Random(1)
    build(builder)
    keys = [f"key{chance.randrange(1000)}" for _ in range(records)]
    values = [f"word{chance.randrange(1000)}" for _ in range(records)]
    with tempfile.TemporaryDirectory() as directory:
        maps = open_byte_maps(store, directory)
        settings = {"default_store": store, "default_key_serde": STRING, "default_value_serde": STRING}
        with TopologyTestDriver(builder.build(), settings, byte_maps=maps) as driver:
            topic = driver.create_input_topic("in", key=STRING, value=STRING, start_timestamp=0, auto_advance=1)
            start = time.process_time()
            if many:
                topic.pipe_batch(keys, values)
            else:
                for key, value in zip(keys, values, strict=True):
                    topic.pipe(key, value)
            return records / (time.process_time() - start)


def words(records: int) -> list[bytes]:
    chance = random.Random(1)
    return [b"word%d" % chance.randrange(1000) for _ in range(records)]


def fill(bootstrap: str, records: int, *targets: str) -> None:
    """Topic `in` with so many words, and the topics for the counts."""
    from odradek import Admin, NewTopic, Producer

    with Admin(bootstrap_servers=bootstrap) as admin:
        admin.create_topics([NewTopic(topic, PARTITIONS, 3) for topic in ("in", *targets)])
    with Producer(bootstrap_servers=bootstrap) as producer:
        for number in range(PARTITIONS):
            producer.send_many("in", words(records // PARTITIONS), partition=number)
        producer.flush()


def speed_of(bootstrap: str, target: str, records: int, check: Callable[[], None], timeout_s: float) -> float:
    """Words a second of real time, from the first counts in `target` to the last, or to the end of the time."""
    from odradek import Consumer, TopicPartition

    places = [TopicPartition(target, number) for number in range(PARTITIONS)]
    with Consumer({"bootstrap.servers": bootstrap, "isolation.level": "read_committed"}) as consumer:

        def written() -> int:
            check()
            return sum(consumer.end_offsets(places).values())

        deadline = time.perf_counter() + START_S
        while not (before := written()):
            if time.perf_counter() > deadline:
                raise TimeoutError(f"nothing was counted within {START_S:.0f} s")
            time.sleep(0.02)
        start = time.perf_counter()
        deadline = start + timeout_s
        while (now := written()) < records // PARTITIONS * PARTITIONS and time.perf_counter() < deadline:
            time.sleep(0.02)
        return (now - before) / (time.perf_counter() - start)


def live_records_per_second(records: int, guarantee: str, bootstrap: str | None = None, name: str = "bench") -> float:
    """Through repartition topic and changelog, with RocksDB. On a cluster of its own, or one with a filled `in`."""
    from odradek import Cluster
    from streams import Streams

    if bootstrap is None:
        with Cluster(brokers=3) as cluster:
            fill(cluster.bootstrap, records, "out")
            return live_records_per_second(records, guarantee, cluster.bootstrap)
    builder = StreamsBuilder()
    word_count(builder)
    with tempfile.TemporaryDirectory() as directory:
        settings = {
            "application_id": name,
            "bootstrap_servers": bootstrap,
            "processing_guarantee": guarantee,
            "state_dir": Path(directory),
            "default_store": "rocksdb",
        }
        app = Streams(builder.build(), settings)

        def check() -> None:
            if app.failure is not None:
                raise app.failure

        app.start()
        try:
            return speed_of(bootstrap, "out", records, check, 120.0)
        finally:
            app.close()


def others_per_second(library: str, interpreter: str, bootstrap: str, records: int) -> float:
    """Raises what keeps it from running there."""
    script = Path(__file__).with_name("streams_others.py")
    with tempfile.TemporaryDirectory() as folder:
        command = [interpreter, str(script), library, bootstrap, folder]
        with open(Path(folder) / "output", "wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, cwd=folder)

        def check() -> None:
            if process.poll() is not None:
                lines = (Path(folder) / "output").read_text(errors="replace").strip().splitlines()
                raise RuntimeError(lines[-1] if lines else f"it ended with {process.returncode}")

        try:
            return speed_of(bootstrap, f"out-{library}", records, check, 30.0)
        finally:
            process.kill()
            process.wait()


def compare(records: int, interpreter: str | None) -> None:
    """One cluster, one input: ours, then what the other interpreter has."""
    from odradek import Cluster

    show = Console().print
    with Cluster(brokers=3) as cluster:
        fill(cluster.bootstrap, records, "out", "out-quix", "out-faust", "faust-words")
        ours = live_records_per_second(records, "at_least_once", cluster.bootstrap)
        show(f"word count live, at least once: {ours / 1000:,.1f} thousand words a second")
        for library, package in (("quix", "quixstreams"), ("faust", "faust-streaming")):
            if interpreter is None:
                show(f"{package}: skipped, name an interpreter that has it (--others PYTHON)")
                continue
            try:
                theirs = others_per_second(library, interpreter, cluster.bootstrap, records)
            except (RuntimeError, TimeoutError, OSError) as error:
                show(f"{package}: skipped, {error}")
                continue
            show(f"{package}: {theirs / 1000:,.1f} thousand words a second, ours is {ours / theirs:.1f} times as fast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=600_000)
    parser.add_argument("--live", action="store_true", help="the word count on a cluster, both guarantees")
    parser.add_argument("--compare", action="store_true", help="the same input through quixstreams and faust-streaming")
    parser.add_argument("--others", metavar="PYTHON", help="an interpreter that has them")
    parser.add_argument("--kills", action="store_true", help="what a kill -9 costs, see streams_kills.py")
    given = parser.parse_args()
    if given.compare:
        compare(given.records, given.others)
    if given.kills:
        subprocess.run([sys.executable, str(Path(__file__).with_name("streams_kills.py"))], check=True)
    if given.live:
        speeds = {}
        for guarantee in ("at_least_once", "exactly_once_v2"):
            speeds[guarantee] = live_records_per_second(given.records, guarantee)
            Console().print(f"word count live, {guarantee}: {speeds[guarantee] / 1000:,.0f} thousand words a second")
        cost = 1 - speeds["exactly_once_v2"] / speeds["at_least_once"]
        Console().print(f"exactly once costs {cost:.0%}")
    if not (given.live or given.compare or given.kills):
        drive(given.records)


def drive(records: int) -> None:
    table = Table(title=f"streams in the test driver, {records:,} records, thousands per second")
    for heading in ("topology", "store", "one by one", "many at once"):
        table.add_column(heading, justify="left" if heading in ("topology", "store") else "right")
    for name, build in TOPOLOGIES.items():
        for store in ("in_memory",) if build is stateless_chain else ("in_memory", "rocksdb"):
            singly = records_per_second(build, store, records // 4, many=False)
            together = records_per_second(build, store, records, many=True)
            table.add_row(name, store, f"{singly / 1000:,.0f}", f"{together / 1000:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
