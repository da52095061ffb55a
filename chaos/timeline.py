"""The timeline of a cluster: the events of all its processes in one order, each with the chain of causes behind it.

    for event in read(data_dir):
        print(line(event))

    12:00:01.204  kill broker 2 (SIGKILL, pid 123)
    12:00:01.205    broker 2 is down: killed by SIGKILL
    12:00:01.209      leader of orders-0 is 3, epoch 5 (was 2): broker 2 died
    12:00:01.211        broker 3 leads orders-0 from 1042, epoch 5

Processes of one machine share its clock, so their times compare; a cause is never listed after its effect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from chaos.timeline_words import words
from protocol.events import HANDS, Event, event_id, id_text

EVENTS_DIRECTORY = "events"
_ELECTION = "leader-elected"
_OF_AN_EPOCH = ("leading", "truncated")
_DISK = "a disk of broker"
_NETWORK = ("partition", "noise", "everything")
_UNHEARD = {"broker-removed": "it is not heard", "controller-resigned": "too few of the brokers hear it"}


class Timeline:
    """Events as they are added, in order, with causes linked up. Feed it everything since the cluster's first start."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.events: list[Event] = []
        self.by_id: dict[str, Event] = {}
        self._elections: dict[tuple[str, int], str] = {}  # (partition, epoch) -> event
        self._fallen_controllers: dict[int, str] = {}  # broker -> how it ceased to be one
        self._cut = ""  # the fault of the network that goes on
        self._offline: dict[str, str] = {}  # partition -> the last time that a disk took a replica of it away
        self._blows: dict[str, list[tuple[float, str]]] = {}  # id, as told -> when, and the id it has here
        self.add(events)

    def add(self, events: Iterable[Event]) -> list[Event]:
        """Take in what is new; the same events with their causes and traces as far as they are known."""
        fresh = [self._distinct(event) for event in sorted(events, key=lambda event: event.at)]
        for event in fresh:
            self.by_id[event.id] = event
            if event.kind == _ELECTION:
                self._elections[event.subject, _epoch(event)] = event.id
        linked = [self._linked(event) for event in fresh]
        for event in linked:
            self.by_id[event.id] = event
        linked = [msgspec.structs.replace(event, trace=self.root(event).id) for event in _causes_first(linked)]
        for event in linked:
            self.by_id[event.id] = event
        self.events += linked
        return linked

    def chain(self, event: Event) -> list[Event]:
        """From the first cause to the event itself."""
        found = [event]
        seen = {event.id}
        while (cause := self.by_id.get(found[-1].cause)) is not None and cause.id not in seen:
            seen.add(cause.id)
            found.append(cause)
        return found[::-1]

    def root(self, event: Event) -> Event:
        return self.chain(event)[0]

    def about(self, topic: str) -> list[Event]:
        """What happened to the topic's partitions, and whatever led to it."""
        wanted: set[str] = set()
        for event in self.events:
            if event.subject.rpartition("-")[0] == topic:
                wanted.update(each.id for each in self.chain(event))
        return [event for event in self.events if event.id in wanted]

    def _distinct(self, event: Event) -> Event:
        """All blows to one process bear one id, which its end can name; here the later ones get ids of their own."""
        if event.kind != "signal":
            return event
        blows = self._blows.setdefault(event.id, [])
        own = event.id if not blows else id_text(event_id(HANDS, int(event.at * 1000), 1 + len(blows)))
        blows.append((event.at, own))
        return msgspec.structs.replace(event, id=own)

    def _linked(self, event: Event) -> Event:
        """What those who told it could not know, and what nobody told.

        A role follows from its election, a shrunk ISR from the disk that failed, a controller from the fall of the one
        before it, silence from the partition that goes on. A cause that nobody told of (nobody struck the blow) is
        none.
        """
        cause = event.cause
        if event.kind == "fault" and event.details.get("fault") in _NETWORK:
            is_cut = event.details.get("deed") == "inject" and event.details.get("shape") != "clients"
            self._cut = event.id if is_cut else ""
        if not cause and event.kind in _UNHEARD and event.details.get("reason") == _UNHEARD[event.kind]:
            cause = self._cut
        if len(blows := self._blows.get(cause, ())) > 1:
            cause = [own for at, own in blows if at <= event.at or own == cause][-1]
        if event.kind in _OF_AN_EPOCH:
            cause = self._elections.get((event.subject, _epoch(event)), cause)
        if event.kind == "controller-elected":
            if cause not in self.by_id:
                cause = self._fallen_controllers.get(event.details.get("was", 0), "")
            self._fallen_controllers.clear()
        elif event.kind == "controller-resigned" or (event.kind == "actor-crashed" and event.subject == "/controller"):
            self._fallen_controllers[event.broker] = event.id
        elif event.kind == "replica-offline":
            self._offline[event.subject] = event.id
        elif event.kind in ("isr-changed", "leader-elected") and str(event.details.get("reason")).startswith(_DISK):
            cause = self._offline.get(event.subject, cause)
        if cause not in self.by_id or cause == event.id:
            cause = ""
        return event if cause == event.cause else msgspec.structs.replace(event, cause=cause)


def _epoch(event: Event) -> int:
    return int(event.details.get("epoch", -1))  # -1: written by another version


def read(data_dir: Path) -> list[Event]:
    """All events of a cluster so far, oldest first."""
    return Timeline(read_files(data_dir)).events


def read_files(data_dir: Path) -> list[Event]:
    """As they were written."""
    events: list[Event] = []
    for path in sorted((data_dir / EVENTS_DIRECTORY).glob("*.jsonl")):
        events += decode(path.read_bytes())
    return events


def decode(lines: bytes) -> Iterator[Event]:
    """A line that was torn (its writer was killed amid it) is passed over."""
    decoder = msgspec.json.Decoder(Event)
    for line in lines.splitlines():
        try:
            yield decoder.decode(line)
        except msgspec.DecodeError:
            continue


class Follower:
    """Reads what is new each time it is asked, for `--follow`.

    A file is known by its first event: one that has grown large goes on under another name (`actors/event_log.py`).
    """

    def __init__(self, data_dir: Path) -> None:
        self.directory = data_dir / EVENTS_DIRECTORY
        self.timeline = Timeline()
        self._read: dict[bytes, int] = {}  # first line -> bytes

    def fresh(self) -> list[Event]:
        events: list[Event] = []
        for path in sorted(self.directory.glob("*.jsonl")):
            try:
                file = open(path, "rb")  # noqa: SIM115 (closed below)
            except FileNotFoundError:  # renamed just now, and read next time
                continue
            with file:
                first = file.readline()
                if not first.endswith(b"\n"):
                    continue
                file.seek(self._read.get(first, 0))
                lines = file.read()
            whole = lines[: lines.rfind(b"\n") + 1]
            self._read[first] = self._read.get(first, 0) + len(whole)
            events += decode(whole)
        return self.timeline.add(events)


def line(event: Event, depth: int = 0) -> str:
    """One event for people; `depth` is how many causes stand before it."""
    import datetime

    at = datetime.datetime.fromtimestamp(event.at).strftime("%H:%M:%S.%f")[:-3]
    return f"{at}  {'  ' * depth}{words(event)}"


def lines(timeline: Timeline, events: Sequence[Event], *, is_folded: bool = True) -> list[str]:
    """Each below its cause. Folded, what befalls many partitions of an internal topic at once is told of the first."""
    alike = Counter(_fold(timeline, event) for event in events) if is_folded else Counter[tuple[object, ...]]()
    told: set[tuple[object, ...]] = set()
    found = []
    for event in events:
        fold = _fold(timeline, event)
        more = alike[fold] - 1
        if more > 0 and fold:
            if fold in told:
                continue
            told.add(fold)
        text = line(event, min(len(timeline.chain(event)) - 1, 8))
        found.append(f"{text}, and {more} partitions more" if more > 0 and fold else text)
    return found


def _fold(timeline: Timeline, event: Event) -> tuple[object, ...]:
    """Equal for the partitions of an internal topic to which the same happens for one cause; () for all else."""
    topic, dash, _ = event.subject.rpartition("-")
    if not dash or not topic.startswith("__"):
        return ()
    cause = event.cause
    if event.kind == "leading" and cause in timeline.by_id:  # each has an election of its own; what led to those counts
        cause = timeline.by_id[cause].cause
    # without a cause, what happens in one second counts as one thing
    return event.kind, topic, cause or int(event.at), event.broker, event.details.get("reason")


def plain(event: Event) -> dict[str, Any]:
    """For JSON, with the sentence."""
    found: dict[str, Any] = msgspec.to_builtins(event)
    return {**found, "text": words(event)}


def _causes_first(events: list[Event]) -> list[Event]:
    """By time; an effect noted a moment before its cause (two processes saw it) comes after it."""
    at = {event.id: index for index, event in enumerate(events)}
    placed: set[str] = set()
    ordered: list[Event] = []

    def place(event: Event) -> None:
        pending = [event]
        while pending:
            top = pending[-1]
            cause = at.get(top.cause)
            if cause is not None and events[cause].id not in placed and events[cause] not in pending:
                pending.append(events[cause])
                continue
            pending.pop()
            if top.id not in placed:
                placed.add(top.id)
                ordered.append(top)

    for event in events:
        if event.id not in placed:
            place(event)
    return ordered
