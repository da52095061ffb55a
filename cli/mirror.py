"""mirror: topics, records and the places of groups, copied to another cluster. The way out."""

from __future__ import annotations

import bisect
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.export import offsets_of, topics_of
from cli.options import DEFAULT_BOOTSTRAP, NOTHING, Bootstrap, Json, Sets, admin_of, client_config
from cli.output import Failed, document, say, table

if TYPE_CHECKING:
    from clients.admin import Admin
    from clients.producer import Producer
    from clients.records import ConsumerRecord
    from model.ids import TopicPartition

_POLL_MS = 200
_MOST_WAITING = 20_000


class _Places:
    """Where records went: a new row only where the distance between the two offsets changes."""

    def __init__(self) -> None:
        self.sources: list[int] = []
        self.targets: list[int] = []
        self.next = (0, 0)

    def note(self, source: int, target: int) -> None:
        if not self.sources or source - self.sources[-1] != target - self.targets[-1]:
            self.sources.append(source)
            self.targets.append(target)
        self.next = (source + 1, target + 1)

    def target_of(self, offset: int) -> int:
        """The place over there of the first record at or after `offset` here."""
        if not self.sources or offset >= self.next[0]:
            return self.next[1]
        row = bisect.bisect_right(self.sources, offset) - 1
        if row < 0:
            return self.targets[0]
        reached = self.targets[row] + offset - self.sources[row]
        return min(reached, self.targets[row + 1]) if row + 1 < len(self.targets) else reached


def mirror(
    to: Annotated[str, typer.Option("--to", metavar="HOST:PORT", help="The other cluster.")],
    topics: Annotated[list[str], typer.Option("--topic", "-t", help="Only this one; repeatable.")] = NOTHING,
    groups: Annotated[bool, typer.Option("--groups", help="Move consumer groups to where they are here.")] = False,
    append: Annotated[bool, typer.Option("--append", help="Also to topics that hold records over there.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what is written from now on.")] = False,
    to_sets: Annotated[list[str], typer.Option("--to-config", metavar="KEY=VALUE", help="-X for --to.")] = NOTHING,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Copy topics to another cluster.

    With partitions, keys, headers and timestamps; only what transactions have committed.
    """
    from model.ids import TopicPartition

    with admin_of(bootstrap, sets) as here, admin_of(to, to_sets) as there:
        wanted = topics_of(here, topics or None)
        if here.describe_cluster().cluster_id == there.describe_cluster().cluster_id:
            raise Failed(f"{bootstrap} and {to} are the same cluster", "name another one with --to")
        _make_topics(there, wanted, append=append)
        sources = [TopicPartition(t["name"], number) for t in wanted for number in range(t["partitions"])]
        places = {source: _Places() for source in sources}
        for source, row in (there.list_offsets(dict.fromkeys(sources, -1)) if sources else {}).items():
            places[source].next = (0, row.offset)
        copied = _copy(client_config(bootstrap, sets), client_config(to, to_sets), places, follow=follow)
        moved = _move_groups(here, there, places) if groups else {}
    if as_json:
        document({"topics": [{"name": t["name"], "partitions": t["partitions"],
                              "records": copied[t["name"]]} for t in wanted], "groups": moved})  # fmt: skip
    else:
        table(("TOPIC", "PARTITIONS", "RECORDS"), [(t["name"], t["partitions"], copied[t["name"]]) for t in wanted])
        for group, count in moved.items():
            print(f"group {group}: {count} partitions")


def _make_topics(there: Admin, wanted: list[dict[str, Any]], *, append: bool) -> None:
    from clients.admin_types import NewTopic
    from model.ids import TopicPartition

    known = there.describe_topics()
    brokers = len(there.describe_cluster().brokers)
    for topic in wanted:
        name, partitions = topic["name"], topic["partitions"]
        if name not in known:
            replicas = min(topic["replicas"], brokers)
            if replicas < topic["replicas"]:
                say(f"note: {name} gets {replicas} replicas instead of {topic['replicas']}")
            there.create_topics([NewTopic(name, partitions, replicas, topic["configs"])])
            continue
        if len(known[name].partitions) != partitions:
            raise Failed(f"{name} has {len(known[name].partitions)} partitions over there, {partitions} here")
        ends = there.list_offsets({TopicPartition(name, number): -1 for number in range(partitions)})
        if any(row.offset for row in ends.values()) and not append:
            raise Failed(f"{name} holds records over there", "--append adds to them")


def _copy(
    source: dict[str, object], target: dict[str, object], places: dict[TopicPartition, _Places], *, follow: bool
) -> dict[str, int]:
    from clients.consumer import Consumer
    from clients.producer import Producer

    copied = {place.topic: 0 for place in places}
    if not places:
        return copied
    reading = {**source, "isolation.level": "read_committed", "allow.auto.create.topics": "false"}
    with Consumer(reading) as consumer, Producer(target) as producer:
        consumer.assign(places)
        ends = {} if follow else consumer.end_offsets(places)
        consumer.seek_to_beginning()
        waiting: deque[tuple[TopicPartition, int, Any]] = deque()
        unread = set(ends)
        try:
            while follow or unread:
                unread = {place for place in unread if consumer.position(place) < ends[place]}
                for record in consumer.poll(_POLL_MS if follow or unread else 0):
                    waiting.append((record.topic_partition, record.offset, _send(producer, record)))
                    copied[record.topic] += 1
                while len(waiting) > _MOST_WAITING or (waiting and waiting[0][2].done()):
                    _settle(waiting.popleft(), places)
        except KeyboardInterrupt:
            if not follow:
                raise
        while waiting:
            _settle(waiting.popleft(), places)
    return copied


def _send(producer: Producer, record: ConsumerRecord) -> Any:
    return producer.send(
        record.topic,
        record.raw_value,
        key=record.raw_key,
        partition=record.partition,
        timestamp_ms=record.timestamp,
        headers=record.headers,
    )


def _settle(sent: tuple[TopicPartition, int, Any], places: dict[TopicPartition, _Places]) -> None:
    place, offset, delivery = sent
    places[place].note(offset, delivery.result(60.0).offset)


def _move_groups(here: Admin, there: Admin, places: dict[TopicPartition, _Places]) -> dict[str, int]:
    from model.ids import TopicPartition

    moved = {}
    for group, rows in offsets_of(here).items():
        offsets = {}
        for row in rows:
            place = TopicPartition(row["topic"], row["partition"])
            if place in places:
                offsets[place] = places[place].target_of(row["offset"])
        if offsets:
            there.alter_group_offsets(group, offsets)
            moved[group] = len(offsets)
    return moved
