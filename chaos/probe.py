"""A small producer (acks=all, idempotent) that writes all the time: how long nobody could write, and what got lost.

    with Probe(bootstrap, "orders", 0) as probe:
        probe.wait_for_acks(20)
        kill()
        probe.wait_for_acks(20)
    probe.longest_gap_ms(since)     # ms between two acknowledged writes
    probe.lost()                    # acked, and not there any more
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from types import TracebackType

from clients.consumer import Consumer
from clients.producer import Producer
from model.ids import TopicPartition
from testing.waiting import ClusterFailed

EVERY_S = 0.002
READ_S = 30.0
_SURE_S = 1.0
_MARK = ("odradek-chaos", b"probe")
"""A header by which consumers of somebody else's topic can pass our records over."""
_QUICK = {"retry.backoff.ms": 5, "retry.backoff.max.ms": 20, "reconnect.backoff.ms": 5, "reconnect.backoff.max.ms": 20}


class Probe:
    """Writes to one partition from `__enter__` to `__exit__`; may be asked afterwards as well.

    Other `acks` than "all" are for showing what they cost; with 0 nobody tells where a record went.
    """

    def __init__(
        self, bootstrap: str, topic: str, partition: int, every_s: float = EVERY_S, *, acks: str = "all"
    ) -> None:
        self.bootstrap = bootstrap
        self.place = TopicPartition(topic, partition)
        self.every_s = every_s
        self.acks = acks
        self.acked: dict[bytes, int] = {}  # value -> offset
        self.acked_s: list[float] = []  # monotonic time of each ack
        self.failed: dict[bytes, str] = {}
        self._name = os.urandom(6).hex()
        self._ends = threading.Event()
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._write, name="chaos-probe", daemon=True)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.set()
        self._thread.join()

    def wait_for_acks(self, count: int, timeout_s: float = 60.0) -> None:
        """Until so many more writes than now are acknowledged. Raises ClusterFailed."""
        goal = len(self.acked_s) + count
        with self._moved:
            if not self._moved.wait_for(lambda: len(self.acked_s) >= goal, timeout_s):
                told = f": {next(reversed(self.failed.values()))}" if self.failed else ""
                raise ClusterFailed(f"waited {timeout_s:g} s in vain for writes to {self.place} to go on{told}")

    def longest_gap_ms(self, since_s: float) -> float:
        """The longest time between two acks of which the later one came after `since_s` (`time.monotonic`)."""
        gaps = (later - earlier for earlier, later in itertools.pairwise(self.acked_s) if later >= since_s)
        return max(gaps, default=0.0) * 1000

    def lost(self) -> list[bytes]:
        """What was acknowledged and is not where it should be."""
        return lost_of(self.acked, self.read())

    def doubled(self) -> list[bytes]:
        return [value for value, offsets in self.read().items() if len(offsets) > 1]

    def read(self) -> dict[bytes, list[int]]:
        """This probe's records as they lie in the partition: value → offsets. Raises ClusterFailed."""
        found: dict[bytes, list[int]] = {}
        if not self.acked:
            return found
        config = {"bootstrap.servers": self.bootstrap, "enable.auto.commit": False, **_QUICK}
        # ours are in no transaction, so an open one of somebody else's must not hide them
        with Consumer({**config, "isolation.level": "read_uncommitted"}) as consumer:
            consumer.assign([self.place])
            consumer.seek(self.place, max(0, min(self.acked.values())))
            end = max(*self.acked.values(), consumer.end_offsets([self.place])[self.place] - 1) + 1
            deadline = time.monotonic() + READ_S
            shorter_since_s: float | None = None
            while (at := consumer.position(self.place)) < end:
                now_s = time.monotonic()
                if now_s > deadline:
                    raise ClusterFailed(f"{self.place} can't be read up to {end}; it ended at {at}")
                for record in consumer.poll(100):
                    if record.value is not None and record.value.startswith(self._name.encode()):
                        found.setdefault(record.value, []).append(record.offset)
                if consumer.position(self.place) > at or at < consumer.end_offsets([self.place])[self.place]:
                    shorter_since_s = None
                elif shorter_since_s is None:
                    shorter_since_s = now_s
                elif now_s - shorter_since_s > _SURE_S:
                    break  # it is shorter than what was acknowledged, and not only to a new leader: that is loss
        return found

    def _write(self) -> None:
        config = {"bootstrap.servers": self.bootstrap, "acks": self.acks, "enable.idempotence": self.acks == "all",
                  "linger.ms": 0, "client.id": "odradek-chaos-probe", **_QUICK}  # fmt: skip
        with Producer(config) as producer:
            for number in itertools.count():
                value = f"{self._name} {number}".encode()
                producer.send(  # with a key of its own: compacted topics take none without, and keep each
                    self.place.topic, value, value, partition=self.place.partition, headers=[_MARK],
                    on_delivery=lambda where, error, value=value: self._on_delivery(value, where, error),  # type: ignore[misc]
                )  # fmt: skip
                if self._ends.wait(self.every_s):
                    break

    def _on_delivery(self, value: bytes, where: object, error: BaseException | None) -> None:
        if error is not None:
            self.failed[value] = str(error)
            return
        self.acked[value] = where.offset  # type: ignore[attr-defined]
        with self._moved:
            self.acked_s.append(time.monotonic())
            self._moved.notify_all()


def lost_of(acked: dict[bytes, int], found: dict[bytes, list[int]]) -> list[bytes]:
    """Those that are not where their ack said, or nowhere at all if it did not say."""
    return [
        value
        for value, offset in acked.items()
        if (offset not in found.get(value, ()) if offset >= 0 else value not in found)
    ]
