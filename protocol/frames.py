"""What stands around a message on a connection: the length and the request or response header.

    length 4 | api_key 2 | api_version 2 | correlation_id 4 | client_id 2+n | tagged fields | request
    length 4 | correlation_id 4 | tagged fields | response

Tagged fields are there in flexible versions only, and never in the header of an ApiVersions response: whoever reads
it doesn't know yet what the other side speaks. The frames handed around here have no length in front unless said.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from protocol.api_keys import API_KEYS, API_VERSIONS_KEY, NEVER_FLEXIBLE
from protocol.codec import Buffer, MalformedMessage, Message
from protocol.varint import read_unsigned_varint

_REQUEST_HEAD = struct.Struct(">hhih")  # with the length of the client id
_FRAMED_REQUEST_HEAD = struct.Struct(">ihhih")
_CORRELATION_ID = struct.Struct(">i")
_FRAMED_CORRELATION_ID = struct.Struct(">ii")

_FLEXIBLE_FROM = {row.key: row.flexible_from for row in API_KEYS.values()}
_LAST_API_VERSIONS = API_KEYS[API_VERSIONS_KEY].max_version


class RequestHeader(NamedTuple):
    api_key: int
    api_version: int
    correlation_id: int
    client_id: str | None
    body_offset: int


def parse_request_header(frame: Buffer) -> RequestHeader:
    """The header of a request, for known and unknown keys and versions alike.

    ApiVersions above our maximum must be answered whatever it carries after the client id (KIP-511); what an unknown
    key carries isn't known to be flexible. The `body_offset` of both is a guess. Raises MalformedMessage.
    """
    try:
        api_key, api_version, correlation_id, client_id_length = _REQUEST_HEAD.unpack_from(frame)
        position = _REQUEST_HEAD.size
        client_id = None
        if client_id_length >= 0:
            end = position + client_id_length
            client_id = str(frame[position:end], "utf-8")
            position = end
        is_known = api_key != API_VERSIONS_KEY or api_version <= _LAST_API_VERSIONS
        if is_known and api_version >= _FLEXIBLE_FROM.get(api_key, NEVER_FLEXIBLE):
            position = _skip_tagged_fields(frame, position)
    except (struct.error, IndexError, UnicodeDecodeError) as failure:
        raise MalformedMessage(f"request header: {failure}") from failure
    if position > len(frame):
        raise MalformedMessage("request header: cut short")
    return RequestHeader(api_key, api_version, correlation_id, client_id, position)


def response_header(api_key: int, version: int, correlation_id: int) -> bytes:
    """The bytes in front of a response, without the length."""
    head = _CORRELATION_ID.pack(correlation_id)
    return head + b"\0" if has_flexible_response_header(api_key, version) else head


def response_head(api_key: int, version: int, correlation_id: int, body_size: int) -> bytes:
    """The bytes in front of a response of `body_size` bytes, with the length."""
    if has_flexible_response_header(api_key, version):
        return _FRAMED_CORRELATION_ID.pack(body_size + 5, correlation_id) + b"\0"
    return _FRAMED_CORRELATION_ID.pack(body_size + 4, correlation_id)


def response_frame(api_key: int, version: int, correlation_id: int, response: Message) -> list[Buffer]:
    """A whole answer, length first, in pieces ready for `writelines`; long record batches are not copied."""
    chunks = response.encode_chunks(version)
    chunks[0] = b"".join((response_head(api_key, version, correlation_id, sum(map(len, chunks))), chunks[0]))
    return chunks


def has_flexible_response_header(api_key: int, version: int) -> bool:
    return api_key != API_VERSIONS_KEY and version >= _FLEXIBLE_FROM.get(api_key, NEVER_FLEXIBLE)


def request_frame(request: Message, version: int, correlation_id: int, client_id: str | None) -> list[Buffer]:
    """A client's whole request, length first, in pieces ready for `writelines`."""
    api_key = type(request).api_key
    chunks = request.encode_chunks(version)
    name = b"" if client_id is None else client_id.encode()
    tagged = b"\0" if request.is_flexible(version) else b""
    size = _REQUEST_HEAD.size + len(name) + len(tagged) + sum(map(len, chunks))
    name_length = -1 if client_id is None else len(name)
    head = _FRAMED_REQUEST_HEAD.pack(size, api_key, version, correlation_id, name_length)
    chunks[0] = b"".join((head, name, tagged, chunks[0]))
    return chunks


def parse_response_header(frame: Buffer, api_key: int, version: int) -> tuple[int, int]:
    """(correlation id, offset of the response). The id can be read before key and version are known: see below."""
    correlation_id = response_correlation_id(frame)
    position = _CORRELATION_ID.size
    if has_flexible_response_header(api_key, version):
        try:
            position = _skip_tagged_fields(frame, position)
        except IndexError as failure:
            raise MalformedMessage(f"response header: {failure}") from failure
    if position > len(frame):
        raise MalformedMessage("response header: cut short")
    return correlation_id, position


def response_correlation_id(frame: Buffer) -> int:
    """The first thing in a response: a client with several requests under way learns from it which one is answered."""
    try:
        correlation_id: int = _CORRELATION_ID.unpack_from(frame)[0]
    except struct.error as failure:
        raise MalformedMessage(f"response header: {failure}") from failure
    return correlation_id


def _skip_tagged_fields(frame: Buffer, position: int) -> int:
    """No tagged header field is defined so far; peers may send some all the same."""
    count, position = read_unsigned_varint(frame, position)
    for _ in range(count):
        _, position = read_unsigned_varint(frame, position)
        size, position = read_unsigned_varint(frame, position)
        position += size
    return position
