"""What was defined, in a topic of its own: every engine of a service reads it, and a new one begins with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from model.errors import OdradekError, RequestTimedOut
from model.ids import TopicPartition
from streams.sql.statements import CreateAs, CreateType, Drop, DropType, InsertSelect, Statement, Terminate

if TYPE_CHECKING:
    from clients.consumer import Consumer
    from clients.delivery import Delivery
    from clients.producer import Producer


class Entry(NamedTuple):
    """A statement, the properties it was made under, and the number that names its query."""

    text: str
    properties: Mapping[str, str]
    number: int


class Journal:
    """One partition, kept for ever. `create` makes the topic when the first statement comes."""

    def __init__(
        self, topic: str, client: Mapping[str, Any], producer: Callable[[], Producer], create: Callable[[str], None],
        exists: Callable[[str], bool],
    ) -> None:  # fmt: skip
        self.topic = topic
        self._client = client
        self._producer = producer
        self._create = create
        self._exists = exists
        self._consumer: Consumer | None = None
        self._mine: set[int] = set()
        self._unwritten: list[tuple[Entry, Delivery | None]] = []

    def write(self, entry: Entry) -> None:
        """Returns when it can't get lost any more. Raises what the cluster raises; it is then written by `settle`."""
        self._unwritten.append((entry, None))
        self.settle()

    def settle(self) -> None:
        """Write what could not be written when it should have been. Each is written once, in order."""
        if self._unwritten and self._consumer is None and not self._exists(self.topic):
            self._create(self.topic)
        while self._unwritten:
            entry, delivery = self._unwritten[0]
            if delivery is None:
                data = msgspec.json.encode(entry._asdict())
                delivery = self._producer().send(self.topic, data, partition=0)
            self._unwritten[0] = (entry, delivery)  # it may be written although we don't wait for it any longer
            try:
                self._mine.add(delivery.result(30.0).offset)
            except TimeoutError as error:
                raise RequestTimedOut(f"{self.topic}: {error}") from None
            except OdradekError:
                self._unwritten[0] = (entry, None)
                raise
            self._unwritten.pop(0)

    def news(self) -> Iterator[Entry]:
        """What others have written since the last time."""
        consumer = self._reader()
        if consumer is None:
            return
        place = TopicPartition(self.topic, 0)
        end = consumer.end_offsets([place])[place]
        while consumer.position(place) < end:
            for record in consumer.poll(500):
                if record.offset not in self._mine and record.value is not None:
                    found = msgspec.json.decode(bytes(record.value))
                    yield Entry(found["text"], found["properties"], found["number"])

    def _reader(self) -> Consumer | None:
        if self._consumer is None and self._exists(self.topic):
            from clients.consumer import Consumer

            self._consumer = Consumer({**self._client, "enable.auto.commit": False})
            place = TopicPartition(self.topic, 0)
            self._consumer.assign([place])
            self._consumer.seek_to_beginning([place])
        return self._consumer

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()


Entries = list[tuple[Entry, Statement]]


def still_valid(entries: Entries) -> tuple[Entries, set[int]]:
    """What is left of a journal once DROP and TERMINATE have been taken into account: the definitions that hold, and
    the numbers of those whose query no longer runs."""
    kept: Entries = []
    stopped: set[int] = set()
    for entry, statement in entries:
        match statement:
            case Drop(name):
                kept = [each for each in kept if not _makes(each[1], name)]
            case DropType(name):  # what was made of it has its columns' types already
                kept = [each for each in kept if not (isinstance(each[1], CreateType) and each[1].name == name)]
            case Terminate(query_id):
                for other, made in kept:
                    if query_id is None or _query_id(other, made) == query_id.upper():
                        stopped.add(other.number)
            case _:
                if getattr(statement, "or_replace", False):
                    kept = [each for each in kept if not _makes(each[1], getattr(statement, "name", ""))]
                kept.append((entry, statement))
    kept = [each for each in kept if not (isinstance(each[1], InsertSelect) and each[0].number in stopped)]
    return kept, stopped


def _makes(statement: Statement, name: str) -> bool:
    """Whether it has to do with a stream or table of that name."""
    return getattr(statement, "name", None) == name and not isinstance(statement, CreateType)


def _query_id(entry: Entry, statement: Statement) -> str:
    if isinstance(statement, CreateAs):
        return f"{'CTAS' if statement.is_table else 'CSAS'}_{statement.name}_{entry.number}".upper()
    return f"INSERTQUERY_{entry.number}"
