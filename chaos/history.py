"""What real clients did and saw, one operation a line: written by the workloads, judged by the checkers.

    {"index":4,"process":2,"type":"invoke","f":"send","value":[["send","t-0",[null,17]]],"time_ns":1700000000000000000}
    {"index":6,"process":2,"type":"ok","f":"send","value":[["send","t-0",[90,17]]],"time_ns":1700000000001000000}

The format stands in docs/histories.md; any client of any cluster may write it.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, get_args

import msgspec

OpType = Literal["invoke", "ok", "fail", "info"]
TYPES: tuple[str, ...] = get_args(OpType)


class Op(msgspec.Struct, omit_defaults=True):
    """`invoke` before a client acts; then `ok` it happened, `fail` it did not, `info` nobody knows.

    `value` of send, poll and txn: micro-operations, see `sends` and `polls`. Of assign and subscribe: the keys.
    `rebalances` names the keys that a group gave to or took from this process meanwhile.
    """

    index: int
    process: int
    type: OpType
    f: str
    value: Any = None
    error: str | None = None
    time_ns: int = 0
    rebalances: list[str] | None = None

    def __str__(self) -> str:
        return f"op {self.index} (process {self.process}, {self.f} {self.type})"


def send(key: str, message: Any, offset: int | None = None) -> list[Any]:
    """A micro-operation: `message` goes to partition `key` ("topic-0"). `offset` is null while it isn't known."""
    return ["send", key, [offset, message]]


def poll(found: dict[str, list[list[Any]]] | None = None) -> list[Any]:
    """A micro-operation: what one poll returned, key → [[offset, message], …] as they came."""
    return ["poll", found or {}]


class History:
    """Grows at its end, from any thread. `with History() as h: h.write(path)` closes the file at the end."""

    def __init__(self, ops: Iterable[Op] = ()) -> None:
        self.ops: list[Op] = list(ops)
        self._lock = threading.Lock()
        self._processes = 0
        self._file: IO[bytes] | None = None
        self._encoder = msgspec.json.Encoder()

    def append(
        self,
        process: int,
        type: OpType,
        f: str,
        value: Any = None,
        *,
        error: str | None = None,
        rebalances: Iterable[str] = (),
    ) -> Op:
        """Index and time are given here."""
        with self._lock:
            op = Op(len(self.ops), process, type, f, value, error, time.time_ns(), sorted(rebalances) or None)
            self.ops.append(op)
            if self._file is not None:
                self._file.write(self._encoder.encode(op) + b"\n")
                self._file.flush()
        return op

    def new_process(self) -> int:
        """A number for a client's life; one that crashed comes back under another."""
        with self._lock:
            self._processes += 1
            return self._processes

    def write(self, path: Path | str) -> None:
        """To this file, from now on: what is there at once, then every line as it is appended, flushed."""
        with self._lock:
            if self._file is not None:
                self._file.close()
            self._file = file = open(path, "wb")  # noqa: SIM115 (stays open: `close`)
            file.writelines(self._encoder.encode(op) + b"\n" for op in self.ops)
            file.flush()

    @classmethod
    def read(cls, path: Path | str) -> History:
        """Raises HistoryInvalid with the line that isn't an operation. Half a last line, from a kill, is left out."""
        decode = msgspec.json.Decoder(Op).decode
        history = cls()
        with open(path, "rb") as file, no_garbage_collection():
            for number, line in enumerate(file, 1):
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")  # as some editors begin a file
                if line.strip():
                    try:
                        history.ops.append(decode(line))
                    except msgspec.MsgspecError as error:
                        if not line.endswith(b"\n"):
                            break
                        raise HistoryInvalid(f"{path}, line {number}: {error}") from None
        return history

    def close(self) -> None:
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def __len__(self) -> int:
        return len(self.ops)

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class HistoryInvalid(ValueError):
    """A file that isn't a history; the message names the line."""


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """For millions of lists that all stay: to look through them again and again takes longer than all the rest."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
