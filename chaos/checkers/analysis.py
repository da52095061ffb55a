"""What a history says about each partition, computed once for all checkers.

A partition's log is put together from the offsets of committed sends and of all polls. Committed are

- every send of an ok operation;
- a send with an offset in a `send` operation that is info: its neighbours failed, it was acknowledged;
- all sends of an info transaction one of whose messages was polled: it must have been committed.

Polls are believed whatever became of their operation: consumers never hand out what isn't committed. But a message was
not consumed by an operation that failed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import Any

import msgspec

from chaos.history import TYPES, HistoryInvalid, Op

Place = tuple[str, Any]  # (key, message) or (key, offset)


_SHAPE = 'micro-operations are ["send", key, [offset, message]] and ["poll", {key: [[offset, message], …]}]'


class KeyLog:
    """One partition as clients know it."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.at: dict[int, Any] = {}  # offset -> the message first heard to be there
        self.conflicts: dict[int, list[Any]] = {}  # offset -> all messages heard to be there, if several
        self.offset_of: dict[Any, int] = {}  # message -> where it was first heard to be
        self.doubles: dict[Any, list[int]] = {}  # message -> all its offsets, if several
        self.writers: dict[Any, Op] = {}
        self.committed: dict[Any, int | None] = {}  # message -> its acknowledged offset, None if not told
        self.polled: set[Any] = set()  # by operations that happened, or may have
        self.polled_in_vain: set[Any] = set()  # by operations that failed: their group reads it again
        self.highest_polled = -1
        self.highest_poll: Op | None = None

    def note(self, offset: int, message: Any) -> None:
        if self.at.setdefault(offset, message) != message:
            known = self.conflicts.setdefault(offset, [self.at[offset]])
            if message not in known:
                known.append(message)
        if self.offset_of.setdefault(message, offset) != offset:
            places = self.doubles.setdefault(message, [self.offset_of[message]])
            if offset not in places:
                places.append(offset)

    def was_handed_out(self, message: Any) -> bool:
        """To whomever, whatever became of it."""
        return message in self.polled or message in self.polled_in_vain

    @cached_property
    def offsets(self) -> list[int]:
        """In order; gaps are control records and aborted messages."""
        return sorted(self.at)

    def between(self, after: int, before: int) -> list[int]:
        """The known offsets strictly between two."""
        return self.offsets[bisect_right(self.offsets, after) : bisect_left(self.offsets, before)]


class Analysis:
    """Raises HistoryInvalid when messages are not unique or an operation can't be understood."""

    def __init__(self, ops: Iterable[Op]) -> None:
        self.logs: dict[str, KeyLog] = {}
        self.completions: list[Op] = _completions(ops)
        self._turned_out: set[int] = set()  # indices of the transactions of unknown outcome that were committed
        uncertain = []
        for op in self.completions:
            if op.f in ("assign", "subscribe", "seek"):
                _check_keys(op)
            elif op.f in ("send", "txn", "poll"):
                try:
                    if self._take_in(op):
                        uncertain.append(op)
                except (TypeError, ValueError, IndexError, AttributeError) as error:
                    if isinstance(error, HistoryInvalid):
                        raise
                    raise HistoryInvalid(f"{op}: its value can't be understood ({error}); {_SHAPE}") from None
        for op in uncertain:
            sends = list(sends_of(op))
            seen = [(key, message) for key, _, message in sends if self.log(key).was_handed_out(message)]
            own = {(key, message) for key, pairs in polls_of(op) for _, message in pairs}
            if own.intersection(seen):  # that it saw its own messages proves no commit
                seen = [place for place, readers in self.readers_of(seen).items() if readers != [op]]
            if seen:
                self._commit(sends)
                self._turned_out.add(op.index)

    def is_committed(self, op: Op) -> bool:
        """Whether this transaction must have been: it was told so, or somebody polled what it sent."""
        return op.type == "ok" or op.index in self._turned_out

    def log(self, key: str) -> KeyLog:
        log = self.logs.get(key)
        if log is None:
            log = self.logs[key] = KeyLog(key)
        return log

    def readers_of(self, wanted: Collection[Place]) -> dict[Place, list[Op]]:
        """(key, message) → the operations that polled it."""
        wanted = set(wanted)
        found: dict[Place, list[Op]] = defaultdict(list)
        for op in self.completions if wanted else ():
            for key, pairs in polls_of(op):
                for _, message in pairs:
                    if (key, message) in wanted:
                        found[key, message].append(op)
        return found

    def tellers_of(self, wanted: Collection[Place]) -> dict[Place, dict[Any, Op]]:
        """(key, offset) → message → the first operation that said this message is there."""
        wanted = set(wanted)
        found: dict[Place, dict[Any, Op]] = defaultdict(dict)
        for op in self.completions if wanted else ():
            for key, offset, message in sends_of(op):
                if (key, offset) in wanted and self.logs[key].committed.get(message) == offset:
                    found[key, offset].setdefault(message, op)
            for key, pairs in polls_of(op):
                for offset, message in pairs:
                    if (key, offset) in wanted:
                        found[key, offset].setdefault(message, op)
        return found

    def _take_in(self, op: Op) -> bool:
        """True when it is a transaction that may or may not have been committed."""
        sends: list[tuple[str, int | None, Any]] = []
        for micro_op in op.value or ():
            if op.f != "txn" and micro_op[0] in ("send", "poll") and micro_op[0] != op.f:
                raise HistoryInvalid(f"{op}: a {micro_op[0]} within a {op.f}; only a txn does both")
            if micro_op[0] == "poll":
                for key, pairs in micro_op[1].items():
                    self._take_in_polled(op, self.log(key), pairs)
            elif micro_op[0] == "send":
                _, key, (offset, message) = micro_op
                if type(key) is not str:
                    raise HistoryInvalid(f"{op}: key {key!r} must be a text, as it is where it is polled")
                log = self.log(key)
                if log.writers.setdefault(message, op) is not op:
                    raise HistoryInvalid(
                        f"message {message!r} was sent to {key} by {log.writers[message]} and again by {op}: "
                        "messages must be unique"
                    )
                if offset is not None and not _is_offset(offset):
                    raise HistoryInvalid(f"{op}: {message!r} can't stand at offset {offset!r} of {key}")
                sends.append((key, offset, message))
            else:
                raise HistoryInvalid(f"{op}: {micro_op[0]!r} is neither send nor poll")
        if len({(key, message) for key, _, message in sends}) < len(sends):
            raise HistoryInvalid(f"{op} sends a message twice to one key: messages must be unique")
        if op.type == "ok":
            self._commit(sends)
        elif op.type == "info" and op.f == "txn":
            return bool(sends)
        elif op.type == "info":
            self._commit([row for row in sends if row[1] is not None])
        return False

    @staticmethod
    def _take_in_polled(op: Op, log: KeyLog, pairs: list[list[Any]]) -> None:
        at, offset_of = log.at, log.offset_of
        for offset, message in pairs:
            if type(offset) is not int or offset < 0:
                raise HistoryInvalid(f"{op}: {message!r} can't stand at offset {offset!r} of {log.key}")
            # `note`, without a call for each of millions
            if at.setdefault(offset, message) != message or offset_of.setdefault(message, offset) != offset:
                log.note(offset, message)
        if op.type == "fail":
            log.polled_in_vain.update([message for _, message in pairs])
        elif pairs:
            log.polled.update([message for _, message in pairs])
            highest = max([offset for offset, _ in pairs])
            if highest > log.highest_polled:
                log.highest_polled, log.highest_poll = highest, op

    def _commit(self, sends: Iterable[tuple[str, int | None, Any]]) -> None:
        for key, offset, message in sends:
            log = self.log(key)
            log.committed[message] = offset
            if offset is not None:
                log.note(offset, message)


def _is_offset(value: Any) -> bool:
    return type(value) is int and value >= 0


def _check_keys(op: Op) -> None:
    """Raises HistoryInvalid."""
    keys = op.value if op.value is not None else []
    if not isinstance(keys, list | tuple) or not all(type(key) is str for key in keys):
        raise HistoryInvalid(f"{op}: its value can't be understood; it is a list of keys, as [\"topic-0\"]")


def sends_of(op: Op) -> Iterator[tuple[str, int | None, Any]]:
    """(key, offset, message) of each send."""
    if op.f in ("send", "txn"):
        for micro_op in op.value or ():
            if micro_op[0] == "send":
                yield micro_op[1], micro_op[2][0], micro_op[2][1]


def polls_of(op: Op) -> Iterator[tuple[str, list[list[Any]]]]:
    """(key, [[offset, message], …]) of each poll; a key comes again when it was polled twice."""
    if op.f in ("poll", "txn"):
        for micro_op in op.value or ():
            if micro_op[0] == "poll":
                yield from micro_op[1].items()


def polled_by_key(op: Op) -> dict[str, list[list[Any]]]:
    """All that an operation polled of each key, in order."""
    found: dict[str, list[list[Any]]] = {}
    for key, pairs in polls_of(op):
        if key in found:
            found[key] = [*found[key], *pairs]
        elif pairs:
            found[key] = pairs
    return found


def _completions(ops: Iterable[Op]) -> list[Op]:
    """Without invocations; one that was never answered counts as info."""
    completed: list[Op] = []
    pending: dict[int, Op] = {}
    unanswered: list[Op] = []
    left: dict[tuple[int, str], Op] = {}  # process and f of those that are unanswered
    index = -1
    for op in ops:
        if op.index <= index:
            raise HistoryInvalid(f"op {op.index} comes after op {index}: each line's index is above the one before")
        index = op.index
        if op.type == "invoke":
            if op.process in pending:
                unanswered.append(pending[op.process])
                left[op.process, pending[op.process].f] = pending[op.process]
            pending[op.process] = op
        elif op.type in TYPES:
            begun = pending.get(op.process)
            if begun is not None and begun.f == op.f:
                del pending[op.process]
            elif (late := left.get((op.process, op.f))) is not None:
                raise HistoryInvalid(
                    f"{op} answers op {late.index}, but process {op.process} had begun another operation meanwhile: "
                    "one that does several things at once is several processes"
                )
            completed.append(op)
        else:
            raise HistoryInvalid(f"op {op.index} is of type {op.type!r}")
    unanswered += pending.values()
    if unanswered:
        completed += [msgspec.structs.replace(op, type="info") for op in unanswered]
        completed.sort(key=lambda op: op.index)
    return completed
