"""The live word count of streams_bench.py in quixstreams or faust-streaming, for an interpreter that has them.

    OTHER_PYTHON benchmarks/streams_others.py quix|faust BOOTSTRAP STATE_FOLDER

Reads topic `in` (a word a record), counts per word in RocksDB where the library can, writes the counts to
`out-quix` or `out-faust`, until it is killed. Both send the words through a topic keyed by word first, as we do.
"""

from __future__ import annotations

import sys
from typing import Any


def quix(bootstrap: str, folder: str) -> None:
    from quixstreams import Application  # type: ignore[import-not-found]

    app = Application(
        broker_address=bootstrap, consumer_group="bench-quix", auto_offset_reset="earliest", state_dir=folder,
        loglevel="ERROR",
    )  # fmt: skip
    source = app.topic("in", value_deserializer="str", key_deserializer="bytes")
    target = app.topic("out-quix", value_serializer="int", key_serializer="str")

    def count(_word: str, state: Any) -> int:
        total: int = state.get("count", 0) + 1
        state.set("count", total)
        return total

    words = app.dataframe(source).apply(lambda line: line.lower().split(), expand=True)
    words = words.group_by(lambda word: word, name="word", value_serializer="str", value_deserializer="str",
                           key_serializer="str", key_deserializer="str")  # fmt: skip
    words.apply(count, stateful=True).to_topic(target)
    app.run()


def faust(bootstrap: str, folder: str) -> None:
    import faust  # type: ignore[import-not-found]

    store = "memory://"
    try:
        import rocksdict  # type: ignore[import-not-found]  # noqa: F401

        store = "rocksdb://?driver=rocksdict"
    except ImportError:
        pass
    app = faust.App("bench-faust", broker=f"kafka://{bootstrap}", store=store, datadir=folder, web_enabled=False,
                    topic_partitions=3, value_serializer="raw", consumer_auto_offset_reset="earliest")  # fmt: skip
    source = app.topic("in", value_type=bytes, value_serializer="raw")
    words = app.topic("faust-words", value_type=bytes, value_serializer="raw", key_type=bytes, partitions=3)
    target = app.topic("out-faust", value_serializer="raw", value_type=bytes, key_type=bytes)
    counts = app.Table("counts", default=int, partitions=3)

    @app.agent(source)
    async def split(lines: Any) -> None:
        async for line in lines:
            for word in line.decode().lower().split():
                await words.send(key=word.encode(), value=word.encode())

    @app.agent(words)
    async def count(stream: Any) -> None:
        async for word in stream:
            text = word.decode()
            counts[text] += 1
            await target.send(key=word, value=counts[text].to_bytes(8, "big"))

    app.finalize()
    worker = faust.Worker(app, loglevel="error")
    worker.execute_from_commandline()


if __name__ == "__main__":
    {"quix": quix, "faust": faust}[sys.argv[1]](*sys.argv[2:4])
