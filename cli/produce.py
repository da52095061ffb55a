"""produce: records from arguments, lines or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import typer

from cli.options import DEFAULT_BOOTSTRAP, NOTHING, Bootstrap, Json, Sets, client_config, pairs
from cli.output import Failed, Mistake, line, say


class _Record(NamedTuple):
    value: bytes | None
    key: bytes | None = None
    partition: int | None = None
    headers: list[tuple[str, bytes | None]] | None = None
    timestamp_ms: int | None = None


def produce(
    topic: Annotated[str, typer.Argument()],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[VALUE]...", help="Without any: a record per line of stdin.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", "-k", help="The key of every record.")] = None,
    headers: Annotated[
        list[str], typer.Option("--header", "-H", metavar="NAME=VALUE", help="On every record; repeatable.")
    ] = NOTHING,
    partition: Annotated[int | None, typer.Option("--partition", "-p", min=0, help="Not by the key.")] = None,
    delimiter: Annotated[
        str | None, typer.Option("--key-delimiter", "-K", help="A line is KEY, this, VALUE; \\t is a tab.")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", "-f", help="lines, json (as `consume --json` writes it), or raw: stdin is one.")
    ] = "lines",
    tombstone: Annotated[bool, typer.Option("--null", "-Z", help="An empty value is none (deletes a key).")] = False,
    acks: Annotated[str, typer.Option(help="all, 1 or 0.")] = "all",
    compression: Annotated[str, typer.Option("--compression", "-z", help="none, gzip, snappy, lz4, zstd.")] = "none",
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Write records.

    Returns once they are acknowledged; --json says where each one went.
    """
    if form not in ("lines", "json", "raw"):
        raise Mistake(f"--format {form}: choose lines, json or raw")
    common = [(name, value.encode()) for name, value in pairs(headers, "--header").items()]
    records = _from_arguments(values) if values else _from_stdin(form, _unescape(delimiter))
    from clients.producer import Producer

    config = {"acks": acks, "compression.type": compression, "delivery.timeout.ms": 30_000,
              "request.timeout.ms": 10_000, "max.block.ms": 10_000, **client_config(bootstrap, sets)}  # fmt: skip
    count, failures = 0, 0
    with Producer(config) as producer:
        waiting: list[Any] = []
        for record in records:
            value = None if tombstone and not record.value else record.value
            waiting.append(
                producer.send(
                    topic,
                    value,
                    key=record.key if key is None else key.encode(),
                    partition=record.partition if partition is None else partition,
                    timestamp_ms=record.timestamp_ms,
                    headers=[*common, *(record.headers or [])],
                )
            )
            if len(waiting) >= 10_000:
                failures += _settle(waiting[:5_000], as_json)
                del waiting[:5_000]
            count += 1
        producer.flush()
        failures += _settle(waiting, as_json)
    if failures:
        raise Failed(f"{failures} of {count} records were not written")
    if not as_json:
        say(f"{count} record{'' if count == 1 else 's'} written to {topic}")


def _settle(waiting: list[Any], as_json: bool) -> int:
    failures = 0
    for delivery in waiting:
        try:
            where = delivery.result(30.0)
        except Exception as error:
            if not failures:
                say(f"odradek: {type(error).__name__}: {error}")
            failures += 1
            continue
        if as_json:
            print(line({"topic": where.topic, "partition": where.partition, "offset": where.offset}))
    return failures


def _from_arguments(values: list[str]) -> Iterator[_Record]:
    return (_Record(value.encode()) for value in values)


def _from_stdin(form: str, delimiter: bytes | None) -> Iterator[_Record]:
    stream = sys.stdin.buffer
    if form == "raw":
        yield _Record(stream.read())
        return
    for number, text in enumerate(stream, start=1):
        row = text.rstrip(b"\r\n")
        if form == "json":
            if row:
                yield _from_json(row, number)
        elif delimiter is None:
            yield _Record(row)
        else:
            key, found, value = row.partition(delimiter)
            if not found:
                raise Failed(f"line {number} has no {delimiter.decode()!r}", "every line needs the --key-delimiter")
            yield _Record(value, key)


def _from_json(row: bytes, number: int) -> _Record:
    try:
        given = json.loads(row)
        headers = given.get("headers") or {}
        rows = headers.items() if isinstance(headers, dict) else headers
        return _Record(
            _bytes(given.get("value")),
            _bytes(given.get("key")),
            given.get("partition"),
            [(name, _bytes(value)) for name, value in rows],
            given.get("timestamp"),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise Failed(f"line {number} is no record ({error})", 'write {"key": …, "value": …, "headers": {…}}') from None


def _bytes(value: Any) -> bytes | None:
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def _unescape(text: str | None) -> bytes | None:
    return None if text is None else text.replace("\\t", "\t").encode()
