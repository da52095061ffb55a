"""What a consumer reads: its partitions, where it is in each, and what was fetched of them.

Shared by the caller's thread (take, seek, pause) and the loop's (fetch, reset) under one lock. A partition's `version`
changes with every seek: what was asked for under an older one is dropped when it arrives.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from typing import Final

from clients.fetched import Chunk
from clients.records import ConsumerRecord
from model.ids import TopicPartition

NOWHERE: Final = -1


class PartitionState:
    """`position` is the next record to hand out, `fetch_offset` the next to ask for; NOWHERE while not known.

    `reset_to` is a timestamp for ListOffsets, when the position is to be found that way.
    """

    __slots__ = (
        "after_version",
        "blocked_until",
        "buffered",
        "chunks",
        "fetch_offset",
        "high_watermark",
        "is_fetching",
        "is_paused",
        "is_ready",
        "last_epoch",
        "last_stable_offset",
        "log_start",
        "place",
        "position",
        "preferred",
        "reset_to",
        "version",
    )

    def __init__(self, place: TopicPartition) -> None:
        self.place = place
        self.version = 0
        self.position = self.fetch_offset = NOWHERE
        self.reset_to: int | None = None
        self.last_epoch = -1
        self.chunks: deque[Chunk] = deque()
        self.buffered = 0
        self.is_paused = self.is_ready = self.is_fetching = False
        self.high_watermark = self.last_stable_offset = self.log_start = NOWHERE
        self.preferred: tuple[int, float] | None = None  # a replica nearby, and until when
        self.blocked_until = 0.0
        self.after_version = 0  # of the metadata

    def move(self, position: int, epoch: int = -1, *, reset_to: int | None = None) -> None:
        """Forget what was fetched and go on from there."""
        self.version += 1
        self.position = self.fetch_offset = position
        self.reset_to = reset_to
        self.last_epoch = epoch
        self.chunks.clear()
        self.buffered = 0
        self.blocked_until = 0.0


class Subscription:
    """`assigned` are the partitions; which topics they come from is the group's affair."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.assigned: dict[TopicPartition, PartitionState] = {}
        self.epoch = 0  # counts changes of `assigned`
        self._ready: deque[PartitionState] = deque()

    def assign(self, places: Iterable[TopicPartition]) -> None:
        """Exactly these from now on; those that stay keep their position."""
        with self.lock:
            before, self.assigned = self.assigned, {}
            for place in places:
                self.assigned[place] = before.get(place) or PartitionState(place)
            self.epoch += 1

    def drop(self, places: Iterable[TopicPartition]) -> None:
        with self.lock:
            gone = set(places)
            self.assigned = {place: state for place, state in self.assigned.items() if place not in gone}
            self.epoch += 1

    def arrived(self, state: PartitionState, chunk: Chunk, next_offset: int, epoch: int) -> bool:
        """Called by the fetcher; False when nobody wants the chunk any more."""
        with self.lock:
            if state.version != chunk.version or self.assigned.get(state.place) is not state:
                return False
            state.chunks.append(chunk)
            state.buffered += chunk.size
            state.fetch_offset, state.last_epoch = next_offset, epoch
            self._make_ready(state)
            return True

    def pause(self, state: PartitionState, is_paused: bool) -> None:
        with self.lock:
            state.is_paused = is_paused
            if not is_paused and state.chunks:
                self._make_ready(state)

    def has_ready(self) -> bool:
        """Whether `take` may find something."""
        return bool(self._ready)

    def take(self, most: int) -> tuple[list[ConsumerRecord], bool]:
        """Up to that many records, partition by partition in turn, and whether there is room to fetch more."""
        taken: list[ConsumerRecord] = []
        has_room = False
        while len(taken) < most:
            with self.lock:
                state = self._next_ready()
                if state is None:
                    break
                chunk = state.chunks[0]
            try:
                records, is_over = chunk.take(most - len(taken))
            except Exception:
                with self.lock:  # to be fetched again: perhaps it comes whole, else whoever polls must seek
                    state.move(chunk.position, state.last_epoch)
                if taken:
                    break
                raise
            with self.lock:
                state.position = chunk.position
                if is_over and state.chunks and state.chunks[0] is chunk:
                    state.chunks.popleft()
                    state.buffered -= chunk.size
                    has_room = True
                    if state.chunks:
                        self._make_ready(state)
                elif state.chunks and not state.is_ready:
                    state.is_ready = True
                    self._ready.appendleft(state)
            taken = taken + records if taken else records
        return taken, has_room

    def _make_ready(self, state: PartitionState) -> None:
        if not state.is_ready and not state.is_paused:
            state.is_ready = True
            self._ready.append(state)

    def _next_ready(self) -> PartitionState | None:
        while self._ready:
            state = self._ready.popleft()
            state.is_ready = False
            if state.chunks and not state.is_paused and self.assigned.get(state.place) is state:
                return state
        return None
