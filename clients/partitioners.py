"""Which partition a record goes to when its sender names none.

`murmur2_random` (the default, as Java and librdkafka's option of that name): keys by murmur2, records without key stick
to one partition until its batch is full or sent. `sticky`: the same without looking at keys. `round_robin`: each record
to the next partition. `random`: to any. Or your own: `partitioner=lambda topic, key, value, partitions: …`, which gets
the number of partitions and returns one of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, Final, TypeAlias

from clients.murmur2 import murmur2

Partitioner: TypeAlias = Callable[[str, "bytes | None", "bytes | None", int], int]
"""topic, key, value, number of partitions → partition; a negative one means "any": the sticky partition."""

STICKY: Final = -1
_MOST_REMEMBERED: Final = 1 << 16


def by_key() -> Partitioner:
    """murmur2, remembered for keys that come again: a dict is 20 times quicker than the hash in Python."""
    remembered: dict[tuple[bytes, int], int] = {}

    def partition(_topic: str, key: bytes | None, _value: bytes | None, partitions: int) -> int:
        if key is None:
            return STICKY
        found = remembered.get((key, partitions))
        if found is None:
            if len(remembered) >= _MOST_REMEMBERED:
                remembered.clear()
            found = remembered[key, partitions] = (murmur2(key) & 0x7FFFFFFF) % partitions
        return found

    return partition


def sticky() -> Partitioner:
    return lambda _topic, _key, _value, _partitions: STICKY


def round_robin() -> Partitioner:
    turns: dict[str, count[int]] = {}

    def partition(topic: str, _key: bytes | None, _value: bytes | None, partitions: int) -> int:
        return next(turns.setdefault(topic, count())) % partitions

    return partition


def at_random() -> Partitioner:
    return lambda _topic, _key, _value, partitions: random.randrange(partitions)


NAMED: Final[dict[str, Callable[[], Partitioner]]] = {
    "murmur2_random": by_key,
    "sticky": sticky,
    "round_robin": round_robin,
    "random": at_random,
}
STICKING: Final = ("murmur2_random", "sticky")
"""Those that give records without key to the sticky partition."""


def make(given: Any) -> Partitioner:
    """From a name or a callable; None gives the default."""
    if given is None:
        return by_key()
    if callable(given):
        own: Partitioner = given
        return own
    return NAMED[given]()


def another(partitions: Sequence[int], last: int) -> int:
    """The next sticky partition: any but the last one, if there is a choice."""
    if len(partitions) < 2:
        return partitions[0] if partitions else last
    while (chosen := random.choice(partitions)) == last:
        pass
    return chosen
