"""What travels between two processes of a cluster, and its bytes.

One ZeroMQ message: the first frame is header + address + MessagePack of the message, every further frame is a raw
buffer (a record batch, say) that is never re-encoded. Nothing that comes from a socket is ever unpickled.
"""

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import Any, Final

import msgspec

from model.errors import OdradekError

# format, kind, buffers, address length, sender, incarnation, to_incarnation, leader_epoch, trace_id, position
_HEADER: Final = Struct("<BBHHIQQiQQ")
_FORMAT: Final = 0xD1
HEADER_BYTES: Final = _HEADER.size

TELL: Final = 0  # a message for an actor
CREDIT: Final = 1  # "I have handled your data up to `position`"
PROBE: Final = 2  # "all data up to `position` went before this: tell me so"

_pack, _unpack = _HEADER.pack, _HEADER.unpack_from


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


class Header:
    """The first frame's header, as it is read before the message is decoded."""

    __slots__ = (
        "address_bytes",
        "buffers",
        "incarnation",
        "kind",
        "leader_epoch",
        "position",
        "sender",
        "to_incarnation",
        "trace_id",
    )

    def __init__(self, frame: bytes) -> None:
        try:
            (
                version,
                self.kind,
                self.buffers,
                self.address_bytes,
                self.sender,
                self.incarnation,
                self.to_incarnation,
                self.leader_epoch,
                self.trace_id,
                self.position,
            ) = _unpack(frame)
        except StructError:
            raise MalformedEnvelope(f"{len(frame)} bytes are too few for a header") from None
        if version != _FORMAT or self.kind > PROBE:
            raise MalformedEnvelope(f"format {version:#x}, kind {self.kind}")


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
) -> bytes:
    """The first frame."""
    return (
        _pack(
            _FORMAT, kind, buffers, len(address), sender, incarnation, to_incarnation, leader_epoch, trace_id, position
        )
        + address
        + payload
    )


def decode(header: Header, frame: bytes, buffers: list[memoryview], decoder: Callable[[memoryview], Any]) -> Envelope:
    """The envelope of a TELL. Raises MalformedEnvelope when the address or the message can't be read."""
    start = HEADER_BYTES + header.address_bytes
    try:
        address = frame[HEADER_BYTES:start].decode()
        message = decoder(memoryview(frame)[start:])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedEnvelope(str(error)) from error
    return Envelope(
        header.sender,
        header.incarnation,
        header.to_incarnation,
        address,
        header.leader_epoch,
        header.trace_id,
        message,
        buffers,
    )
