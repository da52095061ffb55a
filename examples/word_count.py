"""The word count of every Kafka lecture, live: each word counts once while the app and a broker are killed.

The app is a topology of `streams`, exactly once. Its counts lie in a store with a changelog topic: a new life restores
them from there. Lines, words, changes and counts all move in transactions, so a reader of committed records sees
(a,1) (a,2) (b,1) (c,1) (b,2) (a,3) (a,4) (d,1) (c,2), whatever dies in between.

    python examples/word_count.py [localhost:9092]
"""

from __future__ import annotations

import sys

from common import QUICK, Worker, a_producer, brokers_of, fresh, read_all, role_of, wait_for

from streams import LONG, STRING, Streams, StreamsBuilder, Topology

LECTURE = ["A", "A", "B", "C", "B", "A", "A", "D", "C"]
COUNTS = [("a", 1), ("a", 2), ("b", 1), ("c", 1), ("b", 2), ("a", 3), ("a", 4), ("d", 1), ("c", 2)]
TEXT = ["To", "be", "or", "not", "to", "be", "that", "is", "the", "question"] * 300


def word_count(lines: str, counts: str) -> Topology:
    builder = StreamsBuilder()
    words = builder.stream(lines, key=STRING, value=STRING).flat_map_values(lambda line: line.lower().split())
    table = words.group_by(lambda word: word, key=STRING, value=STRING).count(store="counts")
    table.to_stream().to(counts, value=LONG)
    return builder.build()


def work(bootstrap: str, lines: str, counts: str) -> None:
    """Until it is killed; what goes wrong with brokers it waits out by itself."""
    settings = {
        "application_id": f"{lines}-app",
        "instance_id": "one",
        "bootstrap_servers": bootstrap,
        "processing_guarantee": "exactly_once_v2",
        "consumer": QUICK,
    }
    Streams(word_count(lines, counts), settings).run()


def main(arguments: list[str]) -> None:
    lines, counts = fresh("lines"), fresh("counts")
    with brokers_of(arguments[:1]) as brokers:
        brokers.create(lines, counts, partitions=1)

        def counted() -> list[tuple[str, int]]:
            records = read_all(brokers.bootstrap, counts)
            return [(bytes(r.raw_key).decode(), int.from_bytes(bytes(r.raw_value), "big")) for r in records]

        def say(words: list[str]) -> None:
            with a_producer(brokers.bootstrap) as producer:
                for word in words:
                    producer.send(lines, word.encode())
                producer.flush()

        with Worker("worker", brokers.bootstrap, lines, counts) as worker:
            say(LECTURE[:5])
            wait_for(lambda: len(counted()) >= 5, [worker])
            worker.kill_and_restart()
            print(brokers.kill_leader(lines))
            say(LECTURE[5:])
            wait_for(lambda: len(counted()) >= len(COUNTS), [worker])
            found = counted()
            assert found == COUNTS, found
            print(" ".join(f"({word},{count})" for word, count in found))
            half = len(TEXT) // 2
            say(TEXT[:half])
            wait_for(lambda: len(counted()) > len(COUNTS) + half // 4, [worker])
            worker.kill_and_restart()
            say(TEXT[half:])
            wait_for(lambda: len(counted()) >= len(COUNTS) + len(TEXT), [worker])
        last = dict(counted())
        assert (last["to"], last["be"], last["question"]) == (600, 600, 300), last
        assert len(counted()) == len(COUNTS) + len(TEXT)
        print(
            f"ok: {len(LECTURE) + len(TEXT)} words counted once each, {worker.kills} kills of the app, one of a broker"
        )


if __name__ == "__main__":
    role, rest = role_of(sys.argv[1:])
    work(*rest) if role == "worker" else main(rest)
