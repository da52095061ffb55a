"""What travels between two processes of a cluster, and its bytes.

One ZeroMQ message: the first frame is header + address + MessagePack of the message, every further frame is a raw
buffer (a record batch, say) that is never re-encoded. A single small buffer stands at the end of the first frame
instead: a frame costs both sides more than the copy. Nothing that comes from a socket is ever unpickled.
"""

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from model.errors import OdradekError

# format, kind, buffers in frames of their own, address length, bytes of the buffer in this frame (-1: none), sender,
# incarnation, to_incarnation, leader_epoch, trace_id, position
_HEADER: Final = Struct("<BBHHiIQQiQQ")
_FORMAT: Final = 0xD2
HEADER_BYTES: Final = _HEADER.size
INLINE_BYTES: Final = 4096  # the largest buffer that goes into the first frame

TELL: Final = 0  # a message for an actor
CREDIT: Final = 1  # "I have handled your data up to `position`"
PROBE: Final = 2  # "all data up to `position` went before this: tell me so"

_pack, _unpack = _HEADER.pack, _HEADER.unpack_from

Buffer: TypeAlias = bytes | bytearray | memoryview


class MalformedEnvelope(OdradekError):
    """A frame on the bus is not ours: another version of Odradek, or another program."""


class Envelope:
    """A message on its way to an actor of this process.

    `buffers` are views of memory that belongs to the receiver, except for messages that a process tells itself.
    """

    __slots__ = (
        "address",
        "buffers",
        "incarnation",
        "leader_epoch",
        "message",
        "sender",
        "to_incarnation",
        "trace_id",
    )

    def __init__(
        self,
        sender: int,
        incarnation: int,
        to_incarnation: int,
        address: str,
        leader_epoch: int,
        trace_id: int,
        message: Any,
        buffers: list[memoryview],
    ) -> None:
        self.sender = sender
        self.incarnation = incarnation
        self.to_incarnation = to_incarnation
        self.address = address
        self.leader_epoch = leader_epoch
        self.trace_id = trace_id
        self.message = message
        self.buffers = buffers

    def __repr__(self) -> str:
        return (
            f"Envelope({self.sender}.{self.incarnation} -> {self.address} epoch={self.leader_epoch} "
            f"trace={self.trace_id:x} {self.message!r} buffers={[len(b) for b in self.buffers]})"
        )


class Header(NamedTuple):
    """The first frame's header, as it is read before the message is decoded."""

    format: int
    kind: int
    buffers: int  # frames that follow
    address_bytes: int
    inline_bytes: int  # of the buffer at the end of this frame, -1 without one
    sender: int
    incarnation: int
    to_incarnation: int
    leader_epoch: int
    trace_id: int
    position: int


def read_header(frame: bytes) -> Header:
    """Raises MalformedEnvelope."""
    try:
        header = _make_header(_unpack(frame))
    except StructError:
        raise MalformedEnvelope(f"{len(frame)} bytes are too few for a header") from None
    if header.format != _FORMAT or header.kind > PROBE:
        raise MalformedEnvelope(f"format {header.format:#x}, kind {header.kind}")
    return header


_make_header = Header._make


def encode(
    kind: int,
    buffers: int,
    address: bytes,
    sender: int,
    incarnation: int,
    to_incarnation: int,
    leader_epoch: int,
    trace_id: int,
    position: int,
    payload: bytes,
    inline: Buffer | None = None,
) -> bytes:
    """The first frame. `buffers` counts the frames that follow, `inline` goes into this one."""
    head = _pack(
        _FORMAT,
        kind,
        buffers,
        len(address),
        -1 if inline is None else len(inline),
        sender,
        incarnation,
        to_incarnation,
        leader_epoch,
        trace_id,
        position,
    )
    return b"".join((head, address, payload) if inline is None else (head, address, payload, inline))


def decode(header: Header, frame: bytes, buffers: list[memoryview], decoder: Callable[[memoryview], Any]) -> Envelope:
    """The envelope of a TELL. Raises MalformedEnvelope when the address or the message can't be read."""
    _, _, _, address_bytes, inline_bytes, sender, incarnation, to_incarnation, leader_epoch, trace_id, _ = header
    start, end = HEADER_BYTES + address_bytes, len(frame)
    view = memoryview(frame)
    if inline_bytes >= 0:
        end -= inline_bytes
        if end < start:
            raise MalformedEnvelope(f"{inline_bytes} bytes of buffer announced in a frame of {len(frame)}")
        buffers.append(view[end:])
    try:
        address = str(view[HEADER_BYTES:start], "utf-8")
        message = decoder(view[start:end])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedEnvelope(str(error)) from error
    return Envelope(sender, incarnation, to_incarnation, address, leader_epoch, trace_id, message, buffers)
