"""Which brokers hold which replicas.

Round robin: each next partition is led by the next broker, and from one turn to the next the followers rotate, so that
the partitions of one leader don't all have the same follower. Racks play no part. Fenced brokers come last and only
where the others are too few: such a partition starts without them, and they join its ISR when they are back (KIP-841).
"""

from __future__ import annotations

from collections.abc import Sequence


def spread(
    brokers: Sequence[int], partitions: int, replication_factor: int, turn: int, fenced: Sequence[int] = ()
) -> list[tuple[int, ...]]:
    """The replicas of each partition, preferred leader first.

    `brokers` are those that may lead, at least one; together with the `fenced` they are at least `replication_factor`.
    `turn` says where to go on: with the number of partitions placed before as the turn, many small topics spread as
    evenly as one big topic.
    """
    count = len(brokers)
    absent = replication_factor - count
    if absent > 0:
        present = spread(brokers, partitions, count, turn)
        return [replicas + _from(fenced, turn + at, absent) for at, replicas in enumerate(present)]
    placed: list[tuple[int, ...]] = []
    for at in range(turn, turn + partitions):
        leader = at % count
        rotation = at // count
        followers = ((leader + 1 + (rotation + step) % (count - 1)) % count for step in range(replication_factor - 1))
        placed.append((brokers[leader], *(brokers[follower] for follower in followers)))
    return placed


def _from(brokers: Sequence[int], start: int, number: int) -> tuple[int, ...]:
    return tuple(brokers[(start + step) % len(brokers)] for step in range(number))
