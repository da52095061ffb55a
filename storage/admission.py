"""What a leader lets into its log: the checks between a producer's bytes and the append.

Only headers and CRCs are looked at, except where the topic asks for more: another compression than the producer's, or
keys on every record of a compacted topic.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.configs import LogConfig
from model.errors import (
    DuplicateSequenceNumber,
    InvalidRecord,
    InvalidTimestamp,
    MessageTooLarge,
    OutOfOrderSequenceNumber,
    RecordListTooLarge,
)
from protocol.control_batches import end_txn_marker
from protocol.records import (
    CODEC_MASK,
    CONTROL_BIT,
    MAX_SEQUENCE,
    TIMESTAMP_TYPE_BIT,
    BatchHeader,
    Buffer,
    check_crc,
    decode_records,
    encode_batch,
    iter_batches,
)
from storage.producer_entry import BatchEntry
from storage.producer_state import ProducerStateMap


def admit(batches: Buffer, config: LogConfig, now_ms: int, *, from_client: bool) -> list[BatchHeader]:
    """The headers of `batches`, all of them fit for the log, or an error for the lot.

    Raises CorruptMessage, InvalidRecord, InvalidTimestamp, MessageTooLarge, RecordListTooLarge.
    """
    headers = list(iter_batches(batches))
    if not headers:
        raise InvalidRecord("no batch to append")
    if len(batches) > config.segment_bytes:
        raise RecordListTooLarge(f"{len(batches)} bytes do not fit into a segment of {config.segment_bytes}")
    for header in headers:
        if header.size > config.max_message_bytes:
            raise MessageTooLarge(f"a batch of {header.size} bytes, the topic allows {config.max_message_bytes}")
        check_crc(batches, header)
        _check_form(header, from_client=from_client)
        _check_timestamps(header, config, now_ms)
        if config.is_compacted and from_client:
            _check_keys(batches, header)
    return headers


def _check_form(header: BatchHeader, *, from_client: bool) -> None:
    if header.record_count <= 0 or header.record_count != header.last_offset_delta + 1:
        raise InvalidRecord(f"{header.record_count} records with a last offset delta of {header.last_offset_delta}")
    if header.attributes & CODEC_MASK > 4:
        raise InvalidRecord(f"unknown compression codec {header.attributes & CODEC_MASK}")
    if not from_client:
        return
    if header.attributes & CONTROL_BIT:
        raise InvalidRecord("clients may not write control batches")
    if header.producer_id >= 0 and header.base_sequence < 0:
        raise InvalidRecord(f"producer {header.producer_id} sent a batch without a sequence")
    if header.producer_id < 0 and header.is_transactional:
        raise InvalidRecord("a transactional batch without a producer id")


def _check_timestamps(header: BatchHeader, config: LogConfig, now_ms: int) -> None:
    if config.message_timestamp_type == "LogAppendTime":
        return
    if header.attributes & TIMESTAMP_TYPE_BIT:
        raise InvalidTimestamp("the batch claims LogAppendTime, the topic says CreateTime")
    if header.max_timestamp - now_ms > config.message_timestamp_after_max_ms:
        raise InvalidTimestamp(f"timestamp {header.max_timestamp} is too far ahead of {now_ms}")
    if 0 <= header.base_timestamp < now_ms - config.message_timestamp_before_max_ms:
        raise InvalidTimestamp(f"timestamp {header.base_timestamp} is too far behind {now_ms}")


def _check_keys(batches: Buffer, header: BatchHeader) -> None:
    if any(record.key is None for record in decode_records(batches, header)):
        raise InvalidRecord("a compacted topic takes no record without a key")


def recompress(batches: Buffer, headers: Sequence[BatchHeader], compression_type: str) -> Buffer:
    """The same batches in the codec that the topic asks for; `batches` itself when they already are."""
    codec = "none" if compression_type == "uncompressed" else compression_type
    if codec == "producer" or all(header.codec == codec for header in headers):
        return batches
    rewritten = bytearray()
    for header in headers:
        rewritten += encode_batch(
            decode_records(batches, header),
            base_offset=header.base_offset,
            producer_id=header.producer_id,
            producer_epoch=header.producer_epoch,
            base_sequence=header.base_sequence,
            codec=codec,
            transactional=header.is_transactional,
            control=header.is_control,
        )
    return rewritten


def find_duplicate(
    batches: Buffer, headers: Sequence[BatchHeader], producers: ProducerStateMap
) -> tuple[BatchEntry, BatchEntry] | None:
    """The first and last entry of what was appended before, when all of `headers` are a retry; None when all are new.

    Raises what ProducerStateMap.check raises, and DuplicateSequenceNumber when only some are a retry.
    """
    duplicates: list[BatchEntry] = []
    pending: dict[int, BatchHeader] = {}
    for header in headers:
        if header.producer_id < 0:
            continue
        if header.is_control:
            marker = end_txn_marker(batches, header)
            if marker is not None:
                producers.check_marker(header, marker)
            continue
        before = pending.get(header.producer_id)
        if before is not None and before.producer_epoch == header.producer_epoch:
            _check_follows(before, header)
        elif (duplicate := producers.check(header)) is not None:
            duplicates.append(duplicate)
            continue
        pending[header.producer_id] = header
    if not duplicates:
        return None
    if len(duplicates) < len(headers):
        raise DuplicateSequenceNumber("some batches of this append were written before, others were not")
    return duplicates[0], duplicates[-1]


def _check_follows(before: BatchHeader, header: BatchHeader) -> None:
    """Two batches of one producer in one append: the state knows only what stands in the log."""
    expected = (before.last_sequence + 1) & MAX_SEQUENCE
    if header.base_sequence >= 0 and header.base_sequence != expected:
        raise OutOfOrderSequenceNumber(
            f"producer {header.producer_id} sent sequence {header.base_sequence}, {expected} was expected"
        )
