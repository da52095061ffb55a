"""log dump: what is in a partition's files, read without a broker."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import Json
from cli.output import Failed, Mistake, document, line, table, text_of

_COLUMNS = ("OFFSETS", "COUNT", "BYTES", "EPOCH", "PRODUCER", "SEQUENCE", "CODEC", "TIME", "KIND")


def dump(
    files: Annotated[list[Path], typer.Argument(metavar="FILE")],
    records: Annotated[bool, typer.Option("--records", "-r", help="The records in the batches too.")] = False,
    as_json: Json = False,
) -> None:
    """Show what is in a partition's files.

    .log, .index, .timeindex, .txnindex, .snapshot and checkpoints; exit code 1 when one is damaged.
    """
    for number, file in enumerate(files):
        if len(files) > 1 and not as_json:
            print(f"{chr(10) if number else ''}{file}")
        _dump(file, records, as_json)


def _dump(file: Path, records: bool, as_json: bool) -> None:
    if file.suffix == ".log":
        _dump_log(file, records, as_json)
    elif file.suffix == ".index":
        base = _base(file)
        rows = ((base + offset, position) for offset, position in _rows(">II", file))
        _show(("OFFSET", "POSITION"), rows, as_json)
    elif file.suffix == ".timeindex":
        base = _base(file)
        _show(("TIMESTAMP", "OFFSET"), ((when, base + offset) for when, offset in _rows(">qI", file)), as_json)
    elif file.suffix == ".txnindex":
        rows_ = (row[1:] for row in _rows(">hqqqq", file))
        _show(("PRODUCER", "FIRST_OFFSET", "LAST_OFFSET", "LAST_STABLE_OFFSET"), rows_, as_json)
    elif file.suffix == ".snapshot":
        from storage.producer_snapshot import SnapshotRow, decode

        _show(tuple(name.upper() for name in SnapshotRow._fields), decode(file.read_bytes()), as_json)
    elif file.name.endswith("-checkpoint"):
        lines = file.read_text(encoding="utf-8").splitlines()[2:]
        is_of_epochs = file.name.startswith("leader-epoch")
        columns = ("EPOCH", "START_OFFSET") if is_of_epochs else ("TOPIC", "PARTITION", "OFFSET")
        _show(columns, (row.rsplit(" ", len(columns) - 1) for row in lines), as_json)
    else:
        raise Mistake(f"{file} is none of a partition's files", "dump a .log, an index, a .snapshot or a checkpoint")


def _dump_log(file: Path, records: bool, as_json: bool) -> None:
    from model.errors import CorruptMessage
    from protocol.records import check_crc, decode_records, iter_batches

    content = memoryview(file.read_bytes())
    rows: list[tuple[object, ...]] = []
    damage: str | None = None
    position = 0
    batches = iter_batches(content)
    while True:
        try:
            header = next(batches, None)
            if header is None:
                break
            check_crc(content, header)
            opened = decode_records(content, header) if records and not header.is_control else []
        except CorruptMessage as error:
            damage = str(error)
            break
        position = header.position + header.size
        kind = " ".join(
            name for name, holds in (("control", header.is_control), ("txn", header.is_transactional)) if holds
        )
        if as_json:
            fields = {name: value for name, value in header._asdict().items() if name != "attributes"}
            fields |= {"last_offset": header.last_offset, "size": header.size, "codec": header.codec,
                       "timestamp_type": header.timestamp_type, "is_transactional": header.is_transactional,
                       "is_control": header.is_control}  # fmt: skip
            if records:
                fields["records"] = [{**record._asdict(), "headers": dict(record.headers)} for record in opened]
            print(line(fields))
            continue
        rows.append((
            f"{header.base_offset}-{header.last_offset}", header.record_count, header.size, header.leader_epoch,
            f"{header.producer_id}/{header.producer_epoch}" if header.producer_id >= 0 else None,
            header.base_sequence if header.base_sequence >= 0 else None, header.codec, header.max_timestamp, kind,
        ))  # fmt: skip
        for record in opened:
            about = f"  {text_of(record.key)}\t{text_of(record.value)}"
            rows.append((f"  {record.offset}", None, None, None, None, None, None, record.timestamp, about))
    if not as_json:
        table(_COLUMNS, rows)
    if damage is not None:
        what = f"{file}: damaged at byte {position} of {len(content)}: {damage}"
        raise Failed(what, "a broker cuts it there at start")


def _base(file: Path) -> int:
    if not file.stem.isdecimal():
        raise Mistake(f"{file}: its name must be the offset that its segment begins at, as 00000000000000000000")
    return int(file.stem)


def _rows(layout: str, file: Path) -> Iterator[tuple[int, ...]]:
    row = struct.Struct(layout)
    content = file.read_bytes()
    yield from row.iter_unpack(content[: len(content) - len(content) % row.size])


def _show(columns: tuple[str, ...], rows: Any, as_json: bool) -> None:
    if as_json:
        document([dict(zip((name.lower() for name in columns), row, strict=True)) for row in rows])
    else:
        table(columns, rows)


COMMANDS: dict[str, Callable[..., Any]] = {"dump": dump}
