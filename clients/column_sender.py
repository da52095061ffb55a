"""Thousands of records at once into a producer's buffer, each with its own key, timestamp and headers.

For programs that have their records by column (streams): the lock is taken once for some hundred of them, and nothing
is returned but the last delivery.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from clients.accumulator import ACCOUNT_MASK, NO_HEADERS, Accumulator, TopicQueues
from clients.delivery import Delivery
from clients.errors import BufferFull

if TYPE_CHECKING:
    from clients.accumulator import Headers

_AT_ONCE: Final = 256  # the sender's loop waits for the lock meanwhile


class Columns:
    """Records for one topic. `partitions` has one for each; `done` says how many are in the buffer."""

    __slots__ = ("done", "headers", "keys", "last", "partitions", "timestamps", "values")

    def __init__(
        self,
        partitions: Sequence[int],
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None,
    ) -> None:
        self.partitions = partitions
        self.keys = keys
        self.values = values
        self.timestamps = timestamps
        self.headers = headers
        self.done = 0
        self.last: Delivery | None = None


def append_columns(accumulator: Accumulator, topic: TopicQueues, columns: Columns) -> bool:
    """Until all are in the buffer (True) or it is full (False). Raises MessageTooLarge at the first that is."""
    end = len(columns.keys)
    while columns.done < end:
        with accumulator.lock:
            if not _append_some(accumulator, topic, columns, min(end, columns.done + _AT_ONCE)):
                return False
    return True


def _append_some(accumulator: Accumulator, topic: TopicQueues, columns: Columns, end: int) -> bool:
    queues, rows = topic.queues, columns.headers
    keys, values, timestamps, partitions = columns.keys, columns.values, columns.timestamps, columns.partitions
    batch: Any = None
    row: Any = None
    for at in range(columns.done, end):
        partition = partitions[at]
        queue = topic.sticky if partition < 0 else queues.get(partition) or topic.queue(partition)
        batch = queue.open
        key, value, timestamp = keys[at], values[at], timestamps[at]
        its: Any = list(rows[at]) if rows is not None and rows[at] else NO_HEADERS
        row = None if batch is None else batch.append(batch.count, timestamp, key, value, its)
        if row is None:
            try:
                batch, row = accumulator.begin_batch(topic, partition, timestamp, key, value, its)
            except BufferFull:
                return False
        batch.count += 1
        if not row.offset & ACCOUNT_MASK:
            accumulator.count(batch, row, None)
        columns.done = at + 1
    if batch is not None:
        columns.last = Delivery(batch, row)
    return True
