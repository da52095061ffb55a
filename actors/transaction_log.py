"""Records of `__transaction_state`: from bytes to states and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from protocol.internal_topics import TRANSACTION_KEY_TYPES, TransactionLogKey, TransactionLogValue
from protocol.records import Buffer, Record, decode_records, encode_batch, iter_batches
from protocol.version_prefix import decode_record_key, decode_with_version, encode_record_key, encode_with_version

VALUE_VERSION = 1


def encode(rows: Iterable[tuple[str, TransactionLogValue | None]], now_ms: int) -> bytearray:
    """One batch of (transactional id, value); None forgets the id."""
    return encode_batch(
        Record(
            -1,
            now_ms,
            encode_record_key(TransactionLogKey(transactional_id=transactional_id)),
            None if value is None else encode_with_version(value, VALUE_VERSION),
        )
        for transactional_id, value in rows
    )


def decode(batches: Buffer) -> Iterator[tuple[str, TransactionLogValue | None]]:
    """What `encode` wrote, of one or more batches; records of other kinds are passed over."""
    for header in iter_batches(batches):
        if header.is_control:
            continue
        for record in decode_records(batches, header):
            key = None if record.key is None else decode_record_key(TRANSACTION_KEY_TYPES, record.key)
            if isinstance(key, TransactionLogKey):
                value = record.value
                yield key.transactional_id, None if value is None else decode_with_version(TransactionLogValue, value)
