"""MurmurHash3 x64 128, with the seed that Kafka's foreign-key joins hash rows with."""

from __future__ import annotations

import struct

_MASK = 0xFFFFFFFFFFFFFFFF
_C1, _C2 = 0x87C37B91114253D5, 0x4CF5AD432745937F
SEED = 104729


def _rotate(value: int, by: int) -> int:
    return ((value << by) | (value >> (64 - by))) & _MASK


def _mix(value: int) -> int:
    value ^= value >> 33
    value = value * 0xFF51AFD7ED558CCD & _MASK
    value ^= value >> 33
    value = value * 0xC4CEB9FE1A85EC53 & _MASK
    return value ^ (value >> 33)


def _scramble_low(block: int) -> int:
    return _rotate(block * _C1 & _MASK, 31) * _C2 & _MASK


def _scramble_high(block: int) -> int:
    return _rotate(block * _C2 & _MASK, 33) * _C1 & _MASK


def hash128(data: bytes, seed: int = SEED) -> bytes:
    """16 bytes: both halves big-endian."""
    low = high = seed
    whole = len(data) & ~15
    for block_low, block_high in struct.iter_unpack("<QQ", data[:whole]):
        low ^= _scramble_low(block_low)
        low = (_rotate(low, 27) + high) * 5 + 0x52DCE729 & _MASK
        high ^= _scramble_high(block_high)
        high = (_rotate(high, 31) + low) * 5 + 0x38495AB5 & _MASK
    tail = data[whole:]
    if len(tail) > 8:
        high ^= _scramble_high(int.from_bytes(tail[8:], "little"))
    if tail:
        low ^= _scramble_low(int.from_bytes(tail[:8], "little"))
    low ^= len(data)
    high ^= len(data)
    low = (low + high) & _MASK
    high = (high + low) & _MASK
    low, high = _mix(low), _mix(high)
    low = (low + high) & _MASK
    high = (high + low) & _MASK
    return struct.pack(">QQ", low, high)
