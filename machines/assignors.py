"""Server-side assignors of KIP-848: who gets which partitions. Pure functions, the same answer for the same question.

`range` gives each member a contiguous range of every topic, so that topics with equally many partitions and the same
subscribers are split alike. `uniform` gives everyone equally many and takes away as little as it can.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from machines.topic_view import NO_PARTITIONS, Partitions


@dataclass(frozen=True, slots=True)
class Question:
    """Members by id with the topics they want, what they are to own now, their instance ids, and partition counts."""

    wants: Mapping[str, frozenset[bytes]]
    has: Mapping[str, Partitions]
    instances: Mapping[str, str | None]
    partitions: Mapping[bytes, int]

    def order(self) -> list[str]:
        """Static members first, by their instance id: their place stays when their member id changes."""
        return sorted(self.wants, key=lambda m: (self.instances.get(m) is None, self.instances.get(m) or "", m))


Assignment = dict[str, Partitions]


def assign_ranges(question: Question) -> Assignment:
    """Of each topic, its subscribers in order get equal ranges; the first of them get one more."""
    found: dict[str, set[tuple[bytes, int]]] = {member: set() for member in question.wants}
    order = question.order()
    for topic, count in question.partitions.items():
        takers = [member for member in order if topic in question.wants[member]]
        if not takers:
            continue
        share, rest = divmod(count, len(takers))
        first = 0
        for index, member in enumerate(takers):
            last = first + share + (index < rest)
            found[member].update((topic, partition) for partition in range(first, last))
            first = last
    return {member: frozenset(partitions) for member, partitions in found.items()}


def assign_uniformly(question: Question) -> Assignment:
    """Keep what may be kept, give the rest to those who have least, then even out what differs by more than one."""
    order = question.order()
    wants, counts = question.wants, question.partitions
    everything = {(topic, partition) for topic, count in counts.items() for partition in range(count)}
    quota = -(-len(everything) // len(order)) if order else 0
    is_alike = len(set(wants.values())) <= 1
    found: dict[str, set[tuple[bytes, int]]] = {}
    left = set(everything)
    spare = len(everything) - (quota - 1) * len(order) if order else 0  # how many members may have a full quota
    for member in order:
        kept = sorted(p for p in question.has.get(member, NO_PARTITIONS) if p in left and p[0] in wants[member])
        if is_alike and len(kept) >= quota:
            limit = quota if spare > 0 else quota - 1
            spare -= limit == quota
            kept = kept[:limit]
        found[member] = set(kept)
        left.difference_update(kept)
    takers: dict[bytes, list[str]] = {topic: [m for m in order if topic in wants[m]] for topic in counts}
    if is_alike:
        heap = [(len(found[member]), index) for index, member in enumerate(order)]
        heapq.heapify(heap)
        for partition in sorted(left) if order else ():
            count, index = heap[0]
            found[order[index]].add(partition)
            heapq.heapreplace(heap, (count + 1, index))
    else:
        # Topics with the fewest takers first: the others can still make up for it.
        for partition in sorted(left, key=lambda p: (len(takers[p[0]]), p)):
            members = takers[partition[0]]
            if members:
                found[min(members, key=lambda m: len(found[m]))].add(partition)
        _even_out(found, takers, order)
    return {member: frozenset(partitions) for member, partitions in found.items()}


def _even_out(
    found: dict[str, set[tuple[bytes, int]]], takers: Mapping[bytes, list[str]], order: list[str]
) -> None:
    """Move single partitions from who has more to who has two less, until nobody does."""
    moved = True
    while moved:
        moved = False
        for giver in sorted(order, key=lambda m: -len(found[m])):
            for partition in sorted(found[giver]):
                taker = min(takers[partition[0]], key=lambda m: len(found[m]))
                if len(found[giver]) - len(found[taker]) > 1:
                    found[giver].remove(partition)
                    found[taker].add(partition)
                    moved = True


ASSIGNORS: dict[str, Callable[[Question], Assignment]] = {"uniform": assign_uniformly, "range": assign_ranges}


def by_topic(partitions: Partitions) -> dict[bytes, list[int]]:
    """As records and responses list them, in order."""
    rows: dict[bytes, list[int]] = defaultdict(list)
    for topic, partition in sorted(partitions):
        rows[topic].append(partition)
    return dict(rows)
