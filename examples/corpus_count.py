"""The word count on a real text: Python's own language reference, 65,000 words that come with every Python.

Two worker processes share the tasks and keep their counts in RocksDB, exactly once; this process looks into their
stores while they count.

    python examples/corpus_count.py [localhost:9092]
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

from common import QUICK, a_producer, brokers_of, fresh, wait_for
from rich.console import Console
from rich.live import Live
from rich.table import Table

from streams import STRING, Streams, StreamsBuilder, Topology

WORD = re.compile(r"[a-z]+")


def lines() -> Iterator[str]:
    for name in sorted(topics):
        yield from filter(None, map(str.strip, topics[name].splitlines()))


def words_of(line: str) -> list[str]:
    return WORD.findall(line.lower())


def word_count(source: str) -> Topology:
    builder = StreamsBuilder()
    words = builder.stream(source, key=STRING, value=STRING).flat_map_values(words_of)
    words.group_by(lambda word: word, key=STRING, value=STRING).count(store="counts")
    return builder.build()


def table_of(counts: dict[str, int]) -> Table:
    table = Table(title=f"{sum(counts.values()):,} words, {len(counts):,} different ones")
    table.add_column("word")
    table.add_column("times", justify="right")
    for word, count in Counter(counts).most_common(12):
        table.add_row(word, f"{count:,}")
    return table


def main(arguments: list[str]) -> None:
    topic = fresh("lines")
    expected = Counter(word for line in lines() for word in words_of(line))
    with brokers_of(arguments[:1]) as brokers, tempfile.TemporaryDirectory() as folder:
        brokers.create(topic)
        app = Streams(word_count(topic), {
            "application_id": f"{topic}-app",
            "bootstrap_servers": brokers.bootstrap,
            "processing_guarantee": "exactly_once_v2",
            "processes": 2,
            "state_dir": Path(folder),
            "default_store": "rocksdb",
            "consumer": QUICK,
        })  # fmt: skip
        app.start()
        with a_producer(brokers.bootstrap) as producer:
            for line in lines():
                producer.send(topic, line.encode())
        store = app.store("counts", timeout_s=60)
        counts: dict[str, int] = {}
        with Live(console=Console(), refresh_per_second=4) as live:

            def look() -> bool:
                assert app.failure is None, app.failure
                counts.update(store.all())
                live.update(table_of(counts))
                return sum(counts.values()) >= expected.total()

            wait_for(look)
        app.close()
    assert counts == expected
    print(f"\nok: {expected.total()} words counted by two processes, as collections.Counter has them")


if __name__ == "__main__":
    main(sys.argv[1:])
