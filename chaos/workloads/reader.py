"""A consumer that assigns itself every partition, crashes now and then, and comes back as another process.

And the last reader of a run: a fresh one, from the beginning of every partition.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from chaos.history import Op, poll
from chaos.workloads.clients import consumer, key_of, pair_of
from chaos.workloads.workload import Workload

_MOST_AT_ONCE = 500
_POLL_S = 0.1
_MEAN_LIFE_S = 8.0
_MOST_REREAD = 500


class Reader:
    """Continues after a crash somewhat before where it was."""

    def __init__(self, workload: Workload, topic: str, name: str) -> None:
        self.workload = workload
        self.topic = topic
        self.choice: random.Random = workload.random(name)
        self._next: dict[int, int] = {}

    def live(self) -> None:
        while not self.workload.all_ends.is_set():
            self._one_life(time.monotonic() + self.choice.expovariate(1 / _MEAN_LIFE_S))

    def _one_life(self, until: float) -> None:
        workload = self.workload
        client = consumer(workload.bootstrap, f"{self.topic}-reader")
        process = assign_all(workload, client, self.topic, self._positions())
        try:
            while not workload.all_ends.is_set() and time.monotonic() < until:
                for message in read_once(workload, client, process):
                    self._next[message.partition() or 0] = (message.offset() or 0) + 1
        except KafkaException as error:
            workload.note_error(error)
        workload.history.append(process, "info", "crash")
        client.close()

    def _positions(self) -> dict[int, int]:
        return {
            partition: max(0, offset - self.choice.randrange(_MOST_REREAD)) for partition, offset in self._next.items()
        }


def assign_all(workload: Workload, client: Consumer, topic: str, offsets: dict[int, int]) -> int:
    """Every partition, from these offsets or else from the beginning; the number of the process that now reads."""
    process = workload.history.new_process()
    keys = workload.keys(topic)
    workload.history.append(process, "invoke", "assign", keys)
    client.assign(
        [TopicPartition(topic, number, offsets.get(number, OFFSET_BEGINNING)) for number in range(workload.partitions)]
    )
    workload.history.append(process, "ok", "assign", keys)
    return process


def read_once(workload: Workload, client: Consumer, process: int) -> list[Message]:
    """One poll operation; its messages in the order in which they came. Raises KafkaException, written down as info."""
    workload.history.append(process, "invoke", "poll", [poll()])
    try:
        messages = good_ones(workload, client.consume(_MOST_AT_ONCE, timeout=_POLL_S))
    except KafkaException as error:
        workload.history.append(process, "info", "poll", [poll()], error=str(error))
        raise
    note_polled(workload, process, messages)
    return messages


def good_ones(workload: Workload, messages: list[Message]) -> list[Message]:
    """Without the errors that a consumer hands out between its messages."""
    good = []
    for message in messages:
        error = message.error()
        if error is None:
            good.append(message)
        else:
            workload.note_error(error)
    return good


def by_key(messages: list[Message]) -> dict[str, list[list[int]]]:
    found: dict[str, list[list[int]]] = defaultdict(list)
    for message in messages:
        found[key_of(message)].append(pair_of(message))
    return dict(found)


def note_polled(
    workload: Workload, process: int, messages: list[Message], rebalances: frozenset[str] = frozenset()
) -> Op:
    found = by_key(messages)
    op = workload.history.append(process, "ok", "poll", [poll(found)], rebalances=rebalances)
    for key, pairs in found.items():
        workload.ledger.note_seen(key, [message for _, message in pairs])
    return op


def read_from_the_beginning(workload: Workload, topic: str, deadline: float) -> bool:
    """By one fresh consumer after the other, 10 s each, until one of them saw all that was acknowledged.

    One reads once at least, whatever the deadline. False when something was not seen.
    """
    while True:
        client = consumer(workload.bootstrap, f"{topic}-last-reader")
        process = assign_all(workload, client, topic, {})
        seen: dict[str, set[int]] = defaultdict(set)
        try:
            until = max(time.monotonic() + 1.0, min(deadline, time.monotonic() + 10.0))
            while time.monotonic() < until:
                for message in read_once(workload, client, process):
                    seen[key_of(message)].add(pair_of(message)[1])
                if not workload.ledger.unseen([topic], seen):
                    return True
        except KafkaException as error:
            workload.note_error(error)
        finally:
            workload.history.append(process, "info", "crash")
            client.close()
        if time.monotonic() >= deadline:
            return False
