"""How many records a second streams topologies take in the test driver, on one core: one by one, and many at once.

python benchmarks/streams_bench.py [--records 200000]
"""

from __future__ import annotations

import argparse
import random
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


def live_records_per_second(records: int, guarantee: str) -> float:
    """Words per second of real time, from the first count to the last, through repartition topic and changelog."""
    from odradek import Admin, Cluster, Consumer, NewTopic, Producer, TopicPartition
    from streams import Streams

    builder, chance = StreamsBuilder(), random.Random(1)
    word_count(builder)
    places = [TopicPartition("out", number) for number in range(3)]
    with Cluster(brokers=3) as cluster, tempfile.TemporaryDirectory() as directory:
        reading = {"bootstrap.servers": cluster.bootstrap, "isolation.level": "read_committed"}
        with Admin(bootstrap_servers=cluster.bootstrap) as admin:
            admin.create_topics([NewTopic("in", 3, 3), NewTopic("out", 3, 3)])
        with Producer(bootstrap_servers=cluster.bootstrap) as producer:
            for number in range(3):
                words = [b"word%d" % chance.randrange(1000) for _ in range(records // 3)]
                producer.send_many("in", words, partition=number)
            producer.flush()
        settings = {
            "application_id": "bench",
            "bootstrap_servers": cluster.bootstrap,
            "processing_guarantee": guarantee,
            "state_dir": Path(directory),
            "default_store": "rocksdb",
        }
        app = Streams(builder.build(), settings)
        with Consumer(reading) as consumer:

            def written() -> int:
                return sum(consumer.end_offsets(places).values())

            def wait_until_written(least: int) -> None:
                while written() < least:
                    if app.failure is not None:
                        raise app.failure
                    time.sleep(0.02)

            app.start()
            wait_until_written(1)
            before, start = written(), time.perf_counter()
            wait_until_written(records // 3 * 3)
            seconds = time.perf_counter() - start
        app.close()
    return (records - before) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--live", action="store_true")
    given = parser.parse_args()
    records = given.records
    table = Table(title=f"streams in the test driver, {records:,} records, thousands per second")
    for heading in ("topology", "store", "one by one", "many at once"):
        table.add_column(heading, justify="left" if heading in ("topology", "store") else "right")
    for name, build in TOPOLOGIES.items():
        for store in ("in_memory",) if build is stateless_chain else ("in_memory", "rocksdb"):
            singly = records_per_second(build, store, records // 4, many=False)
            together = records_per_second(build, store, records, many=True)
            table.add_row(name, store, f"{singly / 1000:,.0f}", f"{together / 1000:,.0f}")
    Console().print(table)
    if given.live:
        for guarantee in ("at_least_once", "exactly_once_v2"):
            speed = live_records_per_second(records, guarantee) / 1000
            Console().print(f"live word count, {guarantee}: {speed:,.0f} thousand words per second")


if __name__ == "__main__":
    main()
