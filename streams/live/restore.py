"""Stores as their changelogs have them: read from where the files on disk end, up to the end as it is now."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clients.consumer import Consumer
from model.ids import TopicPartition
from streams.engine.task import Task
from streams.stores.store import StateStore


class Checkpoint:
    """How far the stores of one task on disk are, by changelog. There only while they are known to be whole."""

    def __init__(self, directory: Path | None) -> None:
        self._path = None if directory is None else directory / "checkpoint.json"

    def take(self, *, keep: bool) -> dict[str, int]:
        """Read it; unless `keep`, remove it, so that a kill from now on means restoring from the beginning."""
        if self._path is None or not self._path.exists():
            return {}
        offsets: dict[str, int] = json.loads(self._path.read_text())
        if not keep:
            self._path.unlink()
        return offsets

    def write(self, offsets: Mapping[str, int]) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".tmp")
        fresh.write_text(json.dumps(dict(offsets)))
        os.replace(fresh, self._path)


def restore(
    task: Task,
    changelogs: Mapping[str, str],
    partition: int,
    client: Mapping[str, Any],
    known: Mapping[str, int],
    limits: Mapping[TopicPartition, int],
) -> int:
    """Bring the task's stores up to date; returns the number of records read.

    `known` are the offsets that persistent stores are at already; `limits` end the reading of topics that are no
    changelogs of ours but the tables' sources, which must not be read ahead of what was processed.
    """
    stores: dict[TopicPartition, StateStore] = {}
    for name, topic in changelogs.items():
        if name in task.own_stores:
            stores[TopicPartition(topic, partition)] = task.own_stores[name]
    if not stores:
        return 0
    count = 0
    with Consumer(client) as consumer:
        consumer.assign(list(stores))
        starts, ends = consumer.beginning_offsets(list(stores)), consumer.end_offsets(list(stores))
        for place, store in stores.items():
            start = known.get(place.topic, starts[place]) if store.is_persistent else starts[place]
            # The log may have been cut since: what it no longer has is older than what it has.
            consumer.seek(place, min(max(start, starts[place]), ends[place]))
        missing = {place: min(end, limits.get(place, end)) for place, end in ends.items()}
        while missing := {place: end for place, end in missing.items() if consumer.position(place) < end}:
            for record in consumer.poll(1_000, 5_000):
                place = record.topic_partition
                if record.offset >= limits.get(place, record.offset + 1) or record.raw_key is None:
                    continue
                headers = tuple(record.headers)
                stores[place].restore(bytes(record.raw_key), record.raw_value, record.timestamp, headers)
                count += 1
    return count
