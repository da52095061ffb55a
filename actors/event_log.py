"""The event stream's end inside a process: `EventLog` appends to a file, `Silence` forgets.

What one turn of the loop tells is one write; nothing is synced. A file that has grown large is kept once more beside
the new one. A disk that fails costs events, never the process.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from protocol.events import FIRST_FREE, NOTHING, Event, EventId, event_id, id_text

EVENTS_DIRECTORY = "events"
FILE_BYTES = 16_000_000
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Silence:
    """For processes without a data directory: simulated ones, and actors in tests."""

    clock: Callable[[], float] = staticmethod(time.time)  # chaos may replace `time.time`, and this stays

    def tell(self, kind: str, subject: str, *, cause: int = NOTHING, own_id: int = NOTHING, **details: Any) -> EventId:
        """Take note that something happened; its id, to be passed on as a cause."""
        return NOTHING

    def close(self) -> None:
        pass


class EventLog(Silence):
    """`name` is the file's: "broker-2", "supervisor"."""

    def __init__(self, directory: Path, name: str, node: int, incarnation: int) -> None:
        self.path = directory / EVENTS_DIRECTORY / f"{name}.jsonl"
        self.node = node
        self.incarnation = incarnation
        self._number = FIRST_FREE
        self._waiting: list[Event] = []
        self._descriptor = -1
        self._bytes = 0  # in the file

    def tell(self, kind: str, subject: str, *, cause: int = NOTHING, own_id: int = NOTHING, **details: Any) -> EventId:
        """`own_id` is given for events whose id others know beforehand (`protocol.events.birth`…)."""
        self._number += 1
        number = EventId(own_id) or event_id(self.node, self.incarnation, self._number)
        at = round(self.clock(), 6)
        self._waiting.append(Event(at, self.node, id_text(number), kind, subject, details, id_text(cause)))
        if len(self._waiting) == 1:
            loop = asyncio._get_running_loop()
            if loop is None:
                self.write()
            else:
                loop.call_soon(self.write)
        return number

    def write(self) -> None:
        """Now, not at the end of this turn."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            self._bytes += os.write(self._open(), b"".join(_encode(event) + b"\n" for event in waiting))
        except OSError:
            pass
        if self._bytes > FILE_BYTES:
            self._close_file()  # and the next write begins a new one

    def close(self) -> None:
        self.write()
        self._close_file()

    def _close_file(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> int:
        if self._descriptor < 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._bytes = self.path.stat().st_size if self.path.exists() else 0
            if self._bytes > FILE_BYTES:
                self.path.replace(self.path.with_suffix(".old.jsonl"))
                self._bytes = 0
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        return self._descriptor


SILENCE = Silence()
