"""Histories of clients of a correct cluster, which is a dict of lists here: the checker must find nothing in them.

One seed makes one history. `interleaved=False` lets only one transaction be open at a time, as Kafka does not.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from chaos.history import History, Op, OpType, poll, send

KEYS = [f"t-{partition}" for partition in range(3)]
SOURCE = [f"from-{partition}" for partition in range(2)]
CHUNK = 7


@dataclass
class Record:
    """`message` None is a control record. `state`: open, committed or aborted."""

    message: int | None
    state: str = "committed"


@dataclass
class Reader:
    """`positions` of the keys it has; `committed` is where the group would go on."""

    process: int
    is_subscribed: bool = False
    positions: dict[str, int] = field(default_factory=dict)


@dataclass
class OpenTransaction:
    process: int
    value: list[Any]
    offsets: list[tuple[str, int]]
    reader: Reader | None = None
    before: dict[str, int] = field(default_factory=dict)


class Simulated:
    def __init__(self, seed: int, steps: int, *, interleaved: bool = True) -> None:
        self.choice = random.Random(seed)
        self.history = History()
        self.logs: dict[str, list[Record]] = {key: [] for key in (*KEYS, *SOURCE)}
        self.is_interleaved = interleaved
        self.messages = 0
        self.open: list[OpenTransaction] = []
        self.senders = [self.history.new_process() for _ in range(3)]
        self.writers = [self.history.new_process() for _ in range(3)]
        self.readers = [self._reader(KEYS) for _ in range(2)]
        self.members = [Reader(self.history.new_process(), True) for _ in range(2)]
        self.group: dict[str, int] = dict.fromkeys(KEYS, 0)
        self.group_rebalanced: dict[int, set[str]] = {}
        self.copier = self._copier()
        self.copied: dict[str, int] = dict.fromkeys(SOURCE, 0)
        self.copier.positions = dict(self.copied)
        for member in self.members:
            self._did(member.process, "subscribe", list(KEYS))
        self._share_out()
        todo = [self._send] * 5 + [self._begin] * 3 + [self._end] * 4 + [self._read] * 5 + [self._read_as_member] * 3
        todo += [self._copy] * 3 + [self._crash_reader, self._share_out]
        for _ in range(steps):
            self.choice.choice(todo)()
        while self.open:
            self._end()
        self._read_all()

    # -- producers -------------------------------------------------------------------------------------------------

    def _append(self, key: str, state: str = "committed") -> tuple[int, int]:
        self.messages += 1
        if self.choice.random() < 0.05:
            self.logs[key].append(Record(None))  # a control record takes an offset too
        self.logs[key].append(Record(self.messages, state))
        return len(self.logs[key]) - 1, self.messages

    def _send(self) -> None:
        process = self.choice.choice(self.senders)
        keys = [self.choice.choice([*KEYS, *SOURCE]) for _ in range(self.choice.randint(1, 4))]
        rows = [(key, *self._append(key)) for key in keys]
        asked = [send(key, message) for key, _, message in rows]
        answer, outcome = [send(key, message, offset) for key, offset, message in rows], "ok"
        if self.choice.random() < 0.1:
            outcome = "info"
            place = self.choice.randrange(len(rows))
            answer[place] = asked[place]
        self._did(process, "send", answer, asked=asked, outcome=outcome)

    def _begin(self) -> None:
        idle = [process for process in self.writers if all(each.process != process for each in self.open)]
        if not idle or (self.open and not self.is_interleaved):
            return
        process = self.choice.choice(idle)
        transaction = OpenTransaction(process, [], [])
        self._send_within(transaction)
        self.history.append(process, "invoke", "txn", [send(key, row[1]) for _, key, row in transaction.value])
        self.open.append(transaction)

    def _send_within(self, transaction: OpenTransaction) -> None:
        for _ in range(self.choice.randint(1, 4)):
            key = self.choice.choice(KEYS)
            offset, message = self._append(key, "open")
            transaction.offsets.append((key, offset))
            transaction.value.append(send(key, message, offset))

    def _end(self) -> None:
        if not self.open:
            return
        transaction = self.choice.choice(self.open)
        if self.is_interleaved and self.choice.random() < 0.5 and transaction.reader is None:
            self._send_within(transaction)
        self.open.remove(transaction)
        is_committed = self.choice.random() < 0.7
        for key, offset in transaction.offsets:
            self.logs[key][offset].state = "committed" if is_committed else "aborted"
            self.logs[key].append(Record(None))
        outcome: OpType = "ok" if is_committed else "fail"
        value = transaction.value
        if self.choice.random() < 0.1:
            outcome = "info"
            value = [send(row[1], row[2][1]) if row[0] == "send" else row for row in value]
        self.history.append(transaction.process, outcome, "txn", value)
        if transaction.reader is not None:
            if is_committed:
                self.copied = dict(transaction.reader.positions)
            if outcome != "ok":
                self.history.append(transaction.process, "info", "crash")
                self.copier = self._copier()
                self.copier.positions = dict(self.copied)

    def _copy(self) -> None:
        """Polls what was sent to the source, and sends as much; ends as any transaction does."""
        if any(each.reader for each in self.open) or (self.open and not self.is_interleaved):
            return
        found = self._polled(self.copier, SOURCE)
        if not found:
            return
        transaction = OpenTransaction(self.copier.process, [poll(found)], [], reader=self.copier)
        self._send_within(transaction)
        self.history.append(self.copier.process, "invoke", "txn", [poll()])
        self.open.append(transaction)

    def _copier(self) -> Reader:
        copier = Reader(self.history.new_process(), True)
        self._did(copier.process, "subscribe", list(SOURCE))
        self._did(copier.process, "poll", [poll()], rebalances=SOURCE)
        return copier

    # -- consumers -------------------------------------------------------------------------------------------------

    def _polled(self, reader: Reader, keys: list[str], most: int = CHUNK) -> dict[str, list[list[int]]]:
        """What is committed from its positions on, up to the first record of an open transaction."""
        found: dict[str, list[list[int]]] = {}
        for key in keys:
            log, at = self.logs[key], reader.positions.get(key)
            while at is not None and at < len(log) and log[at].state != "open" and len(found.get(key, ())) < most:
                if log[at].message is not None and log[at].state == "committed":
                    found.setdefault(key, []).append([at, log[at].message])
                at += 1
                reader.positions[key] = at
        return found

    def _reader(self, keys: list[str]) -> Reader:
        reader = Reader(self.history.new_process(), positions=dict.fromkeys(keys, 0))
        self._did(reader.process, "assign", list(keys))
        return reader

    def _read(self) -> None:
        reader = self.choice.choice(self.readers)
        keys = self.choice.sample(KEYS, self.choice.randint(1, 3))
        self._did(reader.process, "poll", [poll(self._polled(reader, keys))])

    def _crash_reader(self) -> None:
        place = self.choice.randrange(len(self.readers))
        old = self.readers[place]
        self.history.append(old.process, "info", "crash")
        self.readers[place] = new = self._reader(KEYS)
        new.positions = {key: self.choice.randint(0, at) for key, at in old.positions.items()}

    def _share_out(self) -> None:
        """A rebalance: every key goes to one member, from where the group has committed."""
        for member in self.members:
            told = self.group_rebalanced.setdefault(member.process, set())
            told |= set(member.positions)
            member.positions = {}
        for key in KEYS:
            member = self.choice.choice(self.members)
            member.positions[key] = self.group[key]
            self.group_rebalanced[member.process].add(key)

    def _read_as_member(self) -> None:
        member = self.choice.choice(self.members)
        rebalances = self.group_rebalanced[member.process]
        found = self._polled(member, list(member.positions))
        self._did(member.process, "poll", [poll(found)], rebalances=sorted(rebalances))
        rebalances.clear()
        if self.choice.random() < 0.7:
            self.group |= member.positions

    def _read_all(self) -> None:
        reader = self._reader([*KEYS, *SOURCE])
        while found := self._polled(reader, [*KEYS, *SOURCE]):
            self._did(reader.process, "poll", [poll(found)])

    def _did(
        self, process: int, f: str, value: Any, *, asked: Any = None, outcome: OpType = "ok", rebalances: Any = ()
    ) -> None:
        self.history.append(process, "invoke", f, value if asked is None else asked)
        self.history.append(process, outcome, f, value, rebalances=rebalances)


def simulated(seed: int, steps: int = 200, *, interleaved: bool = True) -> list[Op]:
    """The operations, fresh ones that a test may change."""
    return Simulated(seed, steps, interleaved=interleaved).history.ops
