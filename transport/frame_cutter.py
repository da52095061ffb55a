"""Cuts a TCP byte stream into Kafka frames (a 4-byte big-endian length, then that many bytes).

No sockets here: the owner asks for room (`room`), lets the kernel fill it, and says how much came (`received`).
- Small frames arrive in a scratch buffer shared by every connection of a listener and are copied out once.
- What is left of a frame that didn't fit is received straight into the frame's own buffer.
- A length is only a claim: memory grows with the bytes that really came, never with the claim alone.
"""

from struct import Struct
from typing import Final

from model.errors import OdradekError

SCRATCH_BYTES: Final = 64 * 1024
_FIRST_ROOM: Final = 64 * 1024
_PROVEN_ROOM: Final = 1024 * 1024
_read_length = Struct(">i").unpack_from
_PREFIX: Final = 4


class BadFrameLength(OdradekError):
    """A peer announced a negative or too large frame.

    It speaks another protocol, or `socket.request.max.bytes` is too small.
    """


class FrameCutter:
    """One connection's position in its byte stream.

    `scratch` may be shared between cutters: it is only in use between a `room` and the `received` that follows it.
    """

    __slots__ = ("_filled", "_frame", "_head", "_largest", "_length", "_max_bytes", "_view")

    def __init__(self, max_bytes: int, scratch: bytearray) -> None:
        self._max_bytes = max_bytes
        self._view = memoryview(scratch)
        self._head = b""  # 1..3 bytes of a length that came in two pieces
        self._frame: bytearray | None = None  # the frame under way, when it didn't end within the scratch buffer
        self._filled = 0
        self._length = 0
        self._largest = 0  # of the frames that came whole: what this peer has proven to send

    def room(self) -> memoryview:
        """Where the next bytes belong; never empty. `received` must follow before another cutter uses the scratch."""
        frame = self._frame
        if frame is None:
            head = self._head
            self._view[: len(head)] = head
            return self._view[len(head) :]
        if self._filled == len(frame):
            frame = self._grow(frame)
        return memoryview(frame)[self._filled :]

    def received(self, count: int) -> list[memoryview]:
        """The frames that are whole now that `count` more bytes are in, each a writable view of a buffer of its own.

        Raises BadFrameLength; the stream can't be read on after that.
        """
        frame = self._frame
        if frame is None:
            return self._cut(count)
        self._filled += count
        if self._filled < self._length:
            return []
        self._frame = None
        if self._length > self._largest:
            self._largest = self._length
        return [memoryview(frame)]

    @property
    def bytes_held(self) -> int:
        """Memory reserved for the frame under way."""
        return 0 if self._frame is None else len(self._frame)

    def _cut(self, count: int) -> list[memoryview]:
        view, position = self._view, 0
        end = len(self._head) + count
        self._head = b""
        frames: list[memoryview] = []
        while end - position >= _PREFIX:
            (length,) = _read_length(view, position)
            if not 0 <= length <= self._max_bytes:
                raise BadFrameLength(f"frame of {length} bytes announced, {self._max_bytes} allowed")
            position += _PREFIX
            if position + length > end:
                self._begin(length, view[position:end])
                return frames
            frames.append(memoryview(bytearray(view[position : position + length])))
            position += length
        if position < end:
            self._head = bytes(view[position:end])
        return frames

    def _begin(self, length: int, first: memoryview) -> None:
        # A peer that has sent large frames before gets its next one allocated in one go.
        frame = bytearray(min(length, max(_FIRST_ROOM, min(self._largest, _PROVEN_ROOM))))
        frame[: len(first)] = first
        self._frame, self._length, self._filled = frame, length, len(first)

    def _grow(self, frame: bytearray) -> bytearray:
        more = min(self._length - len(frame), max(len(frame), _FIRST_ROOM))
        try:
            frame.extend(bytes(more))  # realloc: for large blocks the kernel moves pages, nothing is copied
        except BufferError:  # a loop that still holds the last view
            frame = frame + bytes(more)
            self._frame = frame
        return frame
