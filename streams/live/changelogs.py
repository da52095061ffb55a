"""Reads changelogs into the stores of tasks that restore or stand by: one consumer for all of them.

A restoring task is up to date when the position in each changelog has reached the end as it was when the task was
given to us. Positions count, not records: markers of transactions and compacted gaps have offsets too. The end is that
of everything written, while only what is committed is read: a transaction that is still open there is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from clients.admin import Admin
from clients.consumer import Consumer
from clients.record_columns import columns_of
from clients.records import ConsumerRecord
from model.ids import TopicPartition
from streams.live.checkpoint import is_trusted
from streams.live.live_task import LiveTask
from streams.live.store_lock import StoreLock
from streams.stores.store import RestoredRecord, StateStore

_EARLIEST, _LATEST = -2, -1
_CHECK_EVERY_S = 10.0
_LIMITS_EVERY_S = 1.0


class _Place(NamedTuple):
    live: LiveTask
    store: StateStore


class Changelogs:
    """`committed` asks the group for offsets: changelogs that are topics of others are read up to those only."""

    def __init__(
        self,
        client: Mapping[str, Any],
        admin: Admin,
        committed: Callable[[list[TopicPartition]], Mapping[TopicPartition, int]],
    ) -> None:
        self._consumer = Consumer({**client, "auto.offset.reset": "earliest", "max.poll.records": 20_000})
        self._admin = admin
        self._committed = committed
        self._places: dict[TopicPartition, _Place] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._limits: dict[TopicPartition, int] = {}
        self._last_check = self._last_limits = time.monotonic()
        self.restored_records = 0

    def follow(self, tasks: Iterable[LiveTask]) -> list[LiveTask]:
        """From now on these, standing by or restoring. Returns those whose files don't fit their changelogs.

        The ends that restoring tasks must reach are asked for now: after the group has dealt out.
        """
        wanted: dict[TopicPartition, _Place] = {}
        for live in tasks:
            for name, topic in live.sub.changelogs.items():
                if name in live.task.own_stores:
                    wanted[TopicPartition(topic, live.id[1])] = _Place(live, live.task.own_stores[name])
        if not wanted and not self._places:
            return []
        starts = self._admin.list_offsets(dict.fromkeys(wanted, _EARLIEST)) if wanted else {}
        ends = self._admin.list_offsets(dict.fromkeys(wanted, _LATEST)) if wanted else {}
        corrupt: dict[int, LiveTask] = {}
        for place, (live, _) in wanted.items():
            known = live.positions.get(place.topic)
            if known is not None and not is_trusted(known, starts[place].offset, ends[place].offset):
                corrupt[id(live)] = live
        if corrupt:
            return list(corrupt.values())
        fresh = [place for place in wanted if self._places.get(place) != wanted[place]]
        self._places = wanted
        self._consumer.assign(list(wanted))
        for place in fresh:
            live = wanted[place].live
            live.positions.setdefault(place.topic, starts[place].offset)
            self._consumer.seek(place, live.positions[place.topic])
        self._ends = {
            place: ends[place].offset for place, (live, _) in wanted.items() if live.mode == "restoring"
        }
        self._limits = {place: 0 for place, (live, _) in wanted.items() if place.topic in live.sub.sources}
        self._ask_limits()
        return []

    def is_done(self, live: LiveTask) -> bool:
        """Whether a restoring task has all that was in its changelogs."""
        return not any(
            place in self._ends and live.positions[place.topic] < min(self._ends[place], self._limit(place))
            for place, (owner, _) in self._places.items()
            if owner is live
        )

    def _limit(self, place: TopicPartition) -> int:
        return self._limits.get(place, 1 << 62)

    def poll_into(self, lock: StoreLock, timeout_ms: float) -> int:
        """Wait for records, and apply them under `lock`; how many it were."""
        if not self._places:
            return 0
        if self._limits and time.monotonic() - self._last_limits > _LIMITS_EVERY_S:
            self._ask_limits()
        batches = self._consumer.poll_batches(timeout_ms)
        with lock:
            return self._apply(batches)

    def _apply(self, batches: Mapping[TopicPartition, list[ConsumerRecord]]) -> int:
        count = 0
        for place, records in batches.items():
            found = self._places.get(place)
            if found is None:
                continue
            limit = self._limit(place)
            if records[-1].offset >= limit:
                self._consumer.seek(place, limit)
                self._consumer.pause([place])
                records = [record for record in records if record.offset < limit]
            _, timestamps, keys, values, headers = columns_of(records)
            columns = zip(keys, values, timestamps, headers, strict=True)
            rows: list[RestoredRecord] = [row for row in columns if row[0] is not None]  # type: ignore[misc]
            found.store.restore_many(rows)
            count += len(rows)
        positions = self._consumer.positions()
        for place, (live, _) in self._places.items():
            if place in positions:
                live.positions[place.topic] = min(positions[place].offset, self._limit(place))
        self.restored_records += count
        return count

    def cut_away(self) -> list[LiveTask]:
        """Now and then: the tasks whose changelogs have lost, at their beginning, what was not read of them yet."""
        if not self._places or time.monotonic() - self._last_check < _CHECK_EVERY_S:
            return []
        self._last_check = time.monotonic()
        starts = self._admin.list_offsets(dict.fromkeys(self._places, _EARLIEST))
        return [live for place, (live, _) in self._places.items() if live.positions[place.topic] < starts[place].offset]

    def _ask_limits(self) -> None:
        self._last_limits = time.monotonic()
        if not self._limits:
            return
        committed = self._committed(list(self._limits))
        for place, before in self._limits.items():
            self._limits[place] = max(before, committed.get(place, 0))
        self._consumer.resume(list(self._limits))

    def close(self) -> None:
        self._consumer.close()
