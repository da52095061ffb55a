"""What one answer to Fetch brought for one partition, opened batch by batch as the consumer takes from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from clients.records import ConsumerRecord, DeserializedRecord, Source
from model.errors import CorruptMessage, OdradekError, UnsupportedForMessageFormat
from protocol.control_batches import end_txn_marker
from protocol.records import HEADER_SIZE, LENGTH_PREFIX, MAGIC, BatchHeader, Buffer, check_crc, parse_header

if TYPE_CHECKING:
    from clients.configs import Deserializer
    from protocol.k01_fetch import AbortedTransaction


class Decoding:
    """How a consumer wants its records."""

    __slots__ = ("checks_crcs", "deserialize_key", "deserialize_value", "is_committed_only", "record_class")

    def __init__(
        self,
        deserialize_key: Deserializer | None,
        deserialize_value: Deserializer | None,
        *,
        checks_crcs: bool,
        is_committed_only: bool,
    ) -> None:
        self.deserialize_key = deserialize_key
        self.deserialize_value = deserialize_value
        self.checks_crcs = checks_crcs
        self.is_committed_only = is_committed_only
        is_plain = deserialize_key is None and deserialize_value is None
        self.record_class: type[ConsumerRecord] = ConsumerRecord if is_plain else DeserializedRecord


class Chunk:
    """`version` is the partition's when it was asked for: a seek since then makes the chunk void.

    `position` is the offset after the last record taken; at the end it passes what compaction and markers left out.
    """

    __slots__ = (
        "_aborted",
        "_buffer",
        "_current",
        "_decoding",
        "_failure",
        "_place",
        "_producers",
        "_records",
        "position",
        "size",
        "version",
    )

    def __init__(
        self,
        place: tuple[str, int],
        buffer: Buffer,
        start: int,
        version: int,
        aborted: Sequence[AbortedTransaction],
        decoding: Decoding,
    ) -> None:
        self._place = place
        self._buffer = memoryview(buffer)
        self._decoding = decoding
        self._aborted = sorted(aborted, key=lambda each: each.first_offset, reverse=True)
        self._producers: set[int] = set()  # those whose records here belong to aborted transactions
        self.position = start
        self.size = len(buffer)
        self.version = version
        self._records = self._open()
        self._failure: Exception | None = None
        self._current: tuple[BatchHeader, Iterator[ConsumerRecord]] | None = None  # begun, not at its end

    def take(self, most: int) -> tuple[list[ConsumerRecord], bool]:
        """Up to that many records, and whether the chunk is at its end. Raises CorruptMessage."""
        if self._failure is not None:
            raise self._failure
        taken: list[ConsumerRecord] = []
        while len(taken) < most:
            try:
                header, records = self._current or next(self._records)
                part = list(islice(records, most - len(taken)))
            except StopIteration:
                return taken, True
            except Exception as error:
                self._failure = _as_corrupt(self._place, error)
                if taken:  # first what is whole
                    return taken, False
                raise self._failure from error
            is_over = len(taken) + len(part) < most
            self.position = header.next_offset if is_over else part[-1].offset + 1
            self._current = None if is_over else (header, records)
            taken = taken + part if taken else part
        return taken, False

    def _open(self) -> Iterator[tuple[BatchHeader, Iterator[ConsumerRecord]]]:
        buffer, decoding = self._buffer, self._decoding
        position, end = 0, len(buffer)
        topic, partition = self._place
        while position + HEADER_SIZE <= end:
            header = parse_header(buffer, position)
            following = position + header.batch_length + LENGTH_PREFIX
            if following > end:
                return  # brokers may cut the last batch short
            if header.magic != MAGIC:
                raise UnsupportedForMessageFormat(f"{topic}-{partition} holds messages of format {header.magic}")
            if decoding.checks_crcs:
                check_crc(buffer, header)
            if header.next_offset > self.position and self._is_wanted(header):
                batch = bytes(buffer[position:following])  # a record that is kept must not keep the whole answer
                source = Source(topic, partition, batch, header, decoding.deserialize_key, decoding.deserialize_value)
                views = source.views(decoding.record_class)
                if header.base_offset < self.position:
                    views = [view for view in views if view.offset >= self.position]
                yield header, iter(views)
            else:
                self.position = max(self.position, header.next_offset)
            position = following

    def _is_wanted(self, header: BatchHeader) -> bool:
        """False for markers, and for what was aborted if only committed records are wanted."""
        if not self._decoding.is_committed_only:
            return not header.is_control
        while self._aborted and self._aborted[-1].first_offset <= header.last_offset:
            self._producers.add(self._aborted.pop().producer_id)
        if header.is_control:
            if header.producer_id in self._producers:
                marker = end_txn_marker(self._buffer, header)
                if marker is not None and not marker.is_commit:
                    self._producers.discard(header.producer_id)
            return False
        return not (header.is_transactional and header.producer_id in self._producers)


def last_header_of(buffer: Buffer) -> BatchHeader | None:
    """The header of the last whole batch."""
    position, last, end = 0, -1, len(buffer)
    while position + HEADER_SIZE <= end:
        following = position + int.from_bytes(buffer[position + 8 : position + 12], "big") + LENGTH_PREFIX
        if following > end:
            break
        last, position = position, following
    return None if last < 0 else parse_header(buffer, last)


def _as_corrupt(place: tuple[str, int], error: Exception) -> Exception:
    if isinstance(error, OdradekError):
        return error
    return CorruptMessage(f"a batch of {place[0]}-{place[1]} does not decode: {error}")
