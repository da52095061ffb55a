"""Unsigned varints (seven bits a byte, low bits first), as lengths and tags are written in flexible versions."""

from __future__ import annotations

from model.errors import OdradekError


class MalformedMessage(OdradekError):
    """The bytes are no such message: cut short, an absurd length, no UTF-8. The connection is closed."""


ONE_BYTE: tuple[bytes, ...] = tuple(bytes((value,)) for value in range(128))
"""The varints of 0..127, ready made: nearly every length in a real message."""

_MAX_BYTES = 5


def read_unsigned_varint(buffer: bytes | bytearray | memoryview, position: int) -> tuple[int, int]:
    """(value, position after it). Raises MalformedMessage beyond five bytes, IndexError at the end of the buffer."""
    value = 0
    for shift in range(0, 7 * _MAX_BYTES, 7):
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise MalformedMessage("a varint of more than five bytes")


def unsigned_varint(value: int) -> bytes:
    """`value` (not negative) as a varint."""
    if value < 0x80:
        return ONE_BYTE[value]
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
