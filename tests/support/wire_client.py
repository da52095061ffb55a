"""A client that speaks any version of any key, through our own codec, one request at a time."""

from __future__ import annotations

import socket
import struct
from types import TracebackType
from typing import Any

from protocol.api_keys import API_KEYS
from protocol.codec import Message
from protocol.frames import parse_response_header, request_frame


class WireClient:
    """One connection to one broker; `ask` raises ConnectionError when the broker hangs up instead of answering."""

    def __init__(self, address: str, timeout_s: float = 10.0) -> None:
        host, _, port = address.rpartition(":")
        self.port = int(port)
        self._socket = socket.create_connection((host, self.port), timeout_s)
        self._correlation_id = 0

    def ask(self, request: Message, version: int, *, answered_in: int | None = None) -> Any:
        """The response, decoded to its last byte; `answered_in` is its version when it isn't the request's."""
        key = type(request).api_key
        pieces = request_frame(request, version, self._correlation_id + 1, "wire-client")
        return self.ask_frame(b"".join(bytes(p) for p in pieces), key, version if answered_in is None else answered_in)

    def ask_frame(self, frame: bytes, key: int, version: int) -> Any:
        """The same for a whole frame, length first, whose correlation id is one above the last one's."""
        self._correlation_id += 1
        self._socket.sendall(frame)
        (size,) = struct.unpack(">i", self._read(4))
        answer = self._read(size)
        correlation_id, offset = parse_response_header(answer, key, version)
        assert correlation_id == self._correlation_id
        response = API_KEYS[key].response.decode(answer, version, offset)
        assert len(response.encode(version)) == size - offset, "bytes are left over"
        return response

    def _read(self, size: int) -> bytes:
        chunks = bytearray()
        while len(chunks) < size:
            chunk = self._socket.recv(size - len(chunks))
            if not chunk:
                raise ConnectionError("the broker closed the connection")
            chunks += chunk
        return bytes(chunks)

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> WireClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
