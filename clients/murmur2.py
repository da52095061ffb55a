"""The 32-bit murmur2 hash as Java's producer computes it; keys must land where Java puts them."""

from __future__ import annotations

import struct
from typing import Final

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def murmur2(data: bytes | bytearray | memoryview) -> int:
    """Unsigned; Java's `toPositive` is `& 0x7fffffff`."""
    length = len(data)
    h = _SEED ^ length
    whole = length >> 2
    for k in struct.unpack_from(f"<{whole}I", data):
        k = k * _M & _MASK
        h = (h * _M & _MASK) ^ ((k ^ k >> 24) * _M & _MASK)
    rest, tail = length & 3, whole << 2
    if rest:
        if rest == 3:
            h ^= data[tail + 2] << 16
        if rest >= 2:
            h ^= data[tail + 1] << 8
        h = (h ^ data[tail]) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    return h ^ h >> 15
