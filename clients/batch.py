"""One record batch of a producer: filled on the caller's thread, stamped and sent on the loop's.

Records are encoded as they come, by aiokafka's compiled codec. The producer's id, epoch and sequence are written into
the encoded header when the batch leaves, so that a batch can be given new ones without being encoded again.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from threading import Event, Lock
from typing import Any, Final

from crc32c import crc32c

from clients.delivery import RecordMetadata
from clients.errors import ClientClosed
from protocol.records import ATTRIBUTES_POSITION, CODECS, CRC_POSITION, MAGIC

_PRODUCER: Final = struct.Struct(">qhi")
_PRODUCER_POSITION: Final = 43
_CRC: Final = struct.Struct(">I")
NO_SEQUENCE: Final = -1
marking_done: Final = Lock()  # for all batches: held for an instant, once or twice in a batch's life


class Batch:
    """`append(offset delta, timestamp, key, value, headers)` is the codec's own: None when the batch is full."""

    __slots__ = (
        "_on_done",
        "_options",
        "accounted",
        "append",
        "attempts",
        "base_offset",
        "builder",
        "callbacks",
        "count",
        "created",
        "deadline",
        "encoded",
        "error",
        "event",
        "first",
        "hurry",
        "is_done",
        "is_sent",
        "log_append_time",
        "number",
        "partition",
        "parts",
        "sequence",
        "stamp",
        "topic",
        "was_restamped",
    )

    def __init__(
        self,
        topic: str,
        partition: int,
        number: int,
        *,
        batch_size: int,
        codec: str,
        is_transactional: bool,
        created: float,
        hurry: Callable[[], None],
    ) -> None:
        from aiokafka.record.default_records import DefaultRecordBatchBuilder

        self.topic = topic
        self.partition = partition
        self.number = number
        self.created = created
        self.hurry = hurry
        self.first = 0  # which record of the parent is this batch's first, after a split
        self.parts: list[Batch] = []
        self._options = (batch_size, codec, is_transactional)
        self.builder: Any = DefaultRecordBatchBuilder(
            magic=MAGIC,
            compression_type=CODECS.index(codec),
            is_transactional=is_transactional,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=-1,
            batch_size=batch_size,
        )
        self.append: Callable[[int, int | None, Any, Any, Any], Any] = self.builder.append
        self.count = 0
        self.accounted = 0  # bytes of buffer.memory
        self.callbacks: list[tuple[int, int, Callable[[Any, BaseException | None], Any]]] = []
        self.encoded: bytearray | None = None
        self.sequence = NO_SEQUENCE
        self.stamp = (-1, -1)
        self.was_restamped = False
        self.attempts = 0
        self.is_sent = False
        self.deadline = 0.0
        self.is_done = False
        self.error: BaseException | None = None
        self.base_offset = -1
        self.log_append_time = -1
        self.event: Event | None = None
        self._on_done: list[Callable[[], Any]] = []

    def encode(self) -> bytearray:
        """The whole batch, compressed if so configured; once only, then kept until it is done."""
        if self.encoded is None:
            self.encoded = self.builder.build()
            self.builder = None
        return self.encoded

    def stamped(self) -> bytearray:
        """The encoded batch with `stamp` and `sequence` in its header."""
        encoded = self.encode()
        if _PRODUCER.unpack_from(encoded, _PRODUCER_POSITION) != (*self.stamp, self.sequence):
            _PRODUCER.pack_into(encoded, _PRODUCER_POSITION, *self.stamp, self.sequence)
            with memoryview(encoded) as view, view[ATTRIBUTES_POSITION:] as covered:
                checksum = crc32c(covered)
            _CRC.pack_into(encoded, CRC_POSITION, checksum)
        return encoded

    def child(self, first: int) -> Batch:
        """An empty batch for the records from `first` on."""
        batch_size, codec, is_transactional = self._options
        child = Batch(
            self.topic,
            self.partition,
            self.number,
            batch_size=batch_size,
            codec=codec,
            is_transactional=is_transactional,
            created=self.created,
            hurry=self.hurry,
        )
        child.first = self.first + first
        child.attempts = self.attempts
        return child

    def adopt(self, children: list[Batch], on_all_done: Callable[[Batch], Any]) -> None:
        """The children carry this batch's records from now on; it is done when they are."""
        self.parts = children

        def tell() -> None:
            if all(child.is_done for child in children):
                on_all_done(self)

        for child in children:
            child.call_when_done(tell)

    def finish(self, base_offset: int, log_append_time: int, error: BaseException | None) -> None:
        """Acknowledged or failed, once; then everybody who waits is told."""
        if self.is_done:
            return
        self.base_offset, self.log_append_time, self.error = base_offset, log_append_time, error
        self.encoded = self.builder = None
        with marking_done:
            self.is_done = True
        if self.event is not None:
            self.event.set()
        for tell in self._on_done:
            tell()

    def call_when_done(self, tell: Callable[[], Any]) -> bool:
        """False when it is done already; `tell` is not called then."""
        with marking_done:
            if not self.is_done:
                self._on_done.append(tell)
                return True
        return False

    def wait(self, timeout_s: float | None) -> bool:
        """In a thread that is not the loop's; False when the time is up."""
        with marking_done:
            if self.is_done:
                return True
            event = self.event = self.event or Event()
        self.hurry()
        return event.wait(timeout_s)

    def outcome(self, index: int, timestamp: int) -> RecordMetadata:
        """Raises what the batch failed with."""
        for part in reversed(self.parts):
            if index >= part.first - self.first:
                return part.outcome(index - (part.first - self.first), timestamp)
        if self.error is not None:
            raise self.error
        if not self.is_done:
            raise ClientClosed("the producer was closed before the record was acknowledged")
        offset = self.base_offset + index if self.base_offset >= 0 else -1
        when = self.log_append_time if self.log_append_time >= 0 else timestamp
        return RecordMetadata(self.topic, self.partition, offset, when)

    def __repr__(self) -> str:
        return f"<Batch {self.number} of {self.topic}-{self.partition}, {self.count} records>"
