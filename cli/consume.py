"""consume: records to stdout, in the format asked for."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import DEFAULT_BOOTSTRAP, NOTHING, Bootstrap, Json, Sets, client_config, timestamp_ms
from cli.output import Failed, Mistake, line, text_of

if TYPE_CHECKING:
    from clients.consumer import Consumer
    from clients.records import ConsumerRecord
    from model.ids import TopicPartition

NO_NUMBERS: list[int] = []
_POLL_MS = 200
_JOIN_S = 30.0
_ESCAPES = {"\\n": b"\n", "\\t": b"\t", "\\r": b"\r", "\\0": b"\0", "\\\\": b"\\"}
_FIELDS: dict[str, Callable[[ConsumerRecord], bytes]] = {
    "%t": lambda record: record.topic.encode(),
    "%p": lambda record: b"%d" % record.partition,
    "%o": lambda record: b"%d" % record.offset,
    "%k": lambda record: record.key or b"",
    "%v": lambda record: b"" if record.value is None else record.value,
    "%s": lambda record: b"" if record.value is None else record.value,
    "%T": lambda record: b"%d" % record.timestamp,
    "%h": lambda record: b",".join(name.encode() + b"=" + (value or b"") for name, value in record.headers),
    "%S": lambda record: b"%d" % (-1 if record.value is None else len(record.value)),
    "%%": lambda record: b"%",
}


def consume(
    topics: Annotated[list[str], typer.Argument(metavar="TOPIC")],
    offset: Annotated[
        str,
        typer.Option(
            "--offset", "-o", help="beginning, end, an offset, -N (the last N), @TIME (ms or ISO), stored (with -g)."
        ),
    ] = "",
    partitions: Annotated[list[int], typer.Option("--partition", "-p", help="Only this one; repeatable.")] = NO_NUMBERS,
    count: Annotated[int | None, typer.Option("--count", "-n", min=1, help="Stop after so many.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on at the end: wait for new records.")] = False,
    group: Annotated[str, typer.Option("--group", "-g", help="As a member of a consumer group; commits.")] = "",
    form: Annotated[
        str | None,
        typer.Option("--format", "-f", help="%t topic %p partition %o offset %k key %v value %h headers %T time"),
    ] = None,
    keys: Annotated[bool, typer.Option("--keys", "-k", help="Key and a tab before each value.")] = False,
    headers: Annotated[bool, typer.Option("--headers", "-H", help="Headers and a tab before each value.")] = False,
    committed: Annotated[bool, typer.Option("--committed", help="Only of committed transactions.")] = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Read records.

    From the beginning to the end there is now, unless told otherwise; --follow goes on.
    """
    if group and partitions:
        raise Mistake("--group and --partition contradict each other", "a group's partitions are assigned to it")
    write = _writer(form, keys=keys, headers=headers, as_json=as_json)
    config: dict[str, Any] = {
        "isolation.level": "read_committed" if committed else "read_uncommitted", "allow.auto.create.topics": "false",
        "default.api.timeout.ms": 10_000, **client_config(bootstrap, sets),
    }  # fmt: skip
    if group:
        reset = {"": "earliest", "stored": "earliest", "beginning": "earliest", "end": "latest"}.get(offset)
        if reset is None:
            raise Mistake(f"--offset {offset} with --group", "`odradek group reset-offsets` moves a group")
        config |= {"group.id": group, "auto.offset.reset": reset, "enable.auto.commit": "false"}
    from clients.consumer import Consumer

    with Consumer(config) as consumer:
        if group:
            _as_member(consumer, topics, write, count, follow=follow)
        else:
            places = _places(config, topics, partitions)
            consumer.assign(places)
            ends = {} if follow else consumer.end_offsets(places)
            _seek(consumer, places, offset or "beginning")
            _until_the_end(consumer, ends, write, count, follow=follow)


def _as_member(
    consumer: Consumer, topics: list[str], write: Callable[[ConsumerRecord], None], count: int | None, *, follow: bool
) -> None:
    consumer.subscribe(topics)
    deadline = time.monotonic() + _JOIN_S
    first: list[ConsumerRecord] = []
    while not consumer.assignment():
        first = consumer.poll(_POLL_MS, count)
        if time.monotonic() > deadline:
            late = f"the group gave us no partition within {_JOIN_S:g} s"
            raise Failed(late, "`odradek group describe` shows who has them")
    ends = {} if follow else consumer.end_offsets(consumer.assignment())
    for record in first:
        write(record)
    left = None if count is None else count - len(first)
    if left is None or left > 0:
        _until_the_end(consumer, ends, write, left, follow=follow)
    consumer.commit()


def _until_the_end(
    consumer: Consumer,
    ends: dict[TopicPartition, int],
    write: Callable[[ConsumerRecord], None],
    count: int | None,
    *,
    follow: bool,
) -> None:
    out, written = sys.stdout, 0
    unread = set(ends)
    while follow or unread:
        if not follow:
            unread -= {place for place in unread if consumer.position(place) >= ends[place]}
            if not unread:
                break
        records = consumer.poll(_POLL_MS, None if count is None else count - written)
        for record in records:
            if not follow and record.offset >= ends.get(record.topic_partition, 0):
                continue  # it came after we began
            write(record)
            written += 1
        out.flush()
        if count is not None and written >= count:
            break


def _places(config: dict[str, Any], topics: list[str], partitions: list[int]) -> list[TopicPartition]:
    from clients.admin import Admin
    from model.ids import TopicPartition

    common = {name: value for name, value in config.items() if not name.startswith(("isolation", "allow"))}
    with Admin(common) as admin:
        found = admin.describe_topics(topics)
    places = []
    for topic in found.values():
        there = {row.partition for row in topic.partitions}
        missing = set(partitions) - there
        if missing:
            raise Failed(f"{topic.name} has no partition {min(missing)}", f"it has 0 to {max(there)}")
        places += [TopicPartition(topic.name, number) for number in sorted(set(partitions) or there)]
    return places


def _seek(consumer: Consumer, places: list[TopicPartition], offset: str) -> None:
    if offset == "beginning":
        consumer.seek_to_beginning()
    elif offset == "end":
        consumer.seek_to_end()
    elif offset.startswith("@"):
        consumer.seek_to_time(timestamp_ms(offset[1:]))
    elif re.fullmatch(r"-?\d+", offset):
        begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
        for place in places:
            wanted = int(offset)
            at = ends[place] + wanted if offset.startswith("-") else wanted
            consumer.seek(place, min(max(at, begins[place]), ends[place]))
    else:
        raise Mistake(f"--offset {offset}: write beginning, end, a number, -N or @TIME")


def _writer(form: str | None, *, keys: bool, headers: bool, as_json: bool) -> Callable[[ConsumerRecord], None]:
    if as_json:
        return lambda record: print(line(_document(record)))
    if form is None:
        form = ("%k\\t" if keys else "") + ("%h\\t" if headers else "") + "%v\\n"
    parts: list[bytes | Callable[[ConsumerRecord], bytes]] = []
    for piece in re.split(r"(%.|\\.)", form):
        if piece in _FIELDS:
            parts.append(_FIELDS[piece])
        elif piece in _ESCAPES:
            parts.append(_ESCAPES[piece])
        elif piece.startswith("%"):
            raise Mistake(f"--format: {piece} means nothing", "use %t %p %o %k %v %h %T %S and %%")
        elif piece:
            parts.append(piece.encode())
    out = sys.stdout.buffer

    def write(record: ConsumerRecord) -> None:
        out.write(b"".join(part if isinstance(part, bytes) else part(record) for part in parts))

    return write


def _document(record: ConsumerRecord) -> dict[str, Any]:
    return {
        "topic": record.topic, "partition": record.partition, "offset": record.offset, "timestamp": record.timestamp,
        "key": text_of(record.key), "value": text_of(record.value),
        "headers": {name: text_of(value) for name, value in record.headers},
    }  # fmt: skip
