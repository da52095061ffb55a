"""One connection to one broker, over TCP or ZeroMQ: requests out, answers back in the same order.

A connection that ends fails all its requests with Disconnected and is not used again; `connections.py` makes new ones.
Everything here runs on one event loop.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Final, NamedTuple

from clients.addresses import Address
from clients.errors import Disconnected
from model.errors import UnsupportedVersion
from protocol.api_keys import API_KEYS, API_VERSIONS_KEY
from protocol.codec import Buffer, MalformedMessage, Message
from protocol.frames import parse_response_header, request_frame

_NO_ANSWER: Final = 0
VERSION_CAPS: Final = {8: 9, 9: 9, 28: 5}  # later ones name topics by id, which these calls have no use for


class _Pending(NamedTuple):
    correlation_id: int
    key: int
    version: int
    response: type[Message]
    future: asyncio.Future[Any]
    deadline: float


class Connection(ABC):
    """`features` are the cluster's finalized ones, `versions` what both sides speak: both known after `greet`."""

    def __init__(self, address: Address, client_id: str, request_timeout_s: float) -> None:
        self.address = address
        self.versions: dict[int, tuple[int, int]] = {}
        self.features: dict[str, int] = {}
        self.is_closed = False
        self.last_used = 0.0
        self.failure = ""
        self._client_id = client_id
        self._request_timeout_s = request_timeout_s
        self._loop = asyncio.get_running_loop()
        self._pending: deque[_Pending] = deque()
        self._correlation = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def in_flight(self) -> int:
        """Requests that wait for their answer."""
        return len(self._pending)

    def version_of(self, request: type[Message]) -> int:
        """The version in which this request is to be sent. Raises UnsupportedVersion when there is none in common."""
        key = request.api_key
        low, high = self.versions.get(key, (0, -1))
        best = min(high, API_KEYS[key].max_version, request.versions.stop - 1, VERSION_CAPS.get(key, high))
        if best < max(low, request.versions.start):
            raise UnsupportedVersion(f"{self.address} does not serve {API_KEYS[key].name} as we speak it")
        return best

    def send(
        self, request: Message, version: int, *, timeout_s: float | None = None, is_answered: bool = True
    ) -> asyncio.Future[Any]:
        """Put a request on the wire; the future is that of its response, decoded.

        Without answer (acks=0) the future is done at once. Raises Disconnected when the connection has ended.
        """
        if self.is_closed:
            raise Disconnected(f"{self.address}: {self.failure or 'closed'}")
        self._correlation = correlation = (self._correlation + 1) & 0x7FFFFFFF
        key = type(request).api_key
        chunks = request_frame(request, version, correlation, self._client_id)
        future = self._loop.create_future()
        now = self.last_used = self._loop.time()
        if is_answered:
            deadline = now + (self._request_timeout_s if timeout_s is None else timeout_s)
            self._pending.append(_Pending(correlation, key, version, API_KEYS[key].response, future, deadline))
            if self._timer is None:
                self._timer = self._loop.call_at(deadline, self._look_at_time)
        else:
            future.set_result(None)
        self._write(chunks)
        return future

    async def request(self, request: Message, *, timeout_s: float | None = None) -> Any:
        """`send` in the best version, and wait."""
        return await self.send(request, self.version_of(type(request)), timeout_s=timeout_s)

    async def greet(self, software: str = "odradek", software_version: str = "0.1.0") -> None:
        """Ask what the broker speaks. Must come first."""
        from protocol.k18_api_versions import ApiVersionsRequest, ApiVersionsResponse

        version = 4
        while True:
            request = ApiVersionsRequest(client_software_name=software, client_software_version=software_version)
            answer: ApiVersionsResponse = await self.send(request, version)
            self.versions = {row.api_key: (row.min_version, row.max_version) for row in answer.api_keys}
            if answer.error_code == 0:
                break
            highest = self.versions.get(API_VERSIONS_KEY, (0, 0))[1]
            if answer.error_code != 35 or highest >= version:
                raise Disconnected(f"{self.address} refused ApiVersions with error {answer.error_code}")
            version = highest
        self.features = {row.name: row.max_version_level for row in answer.finalized_features}

    async def wait_closed(self) -> None:
        """Until the connection has ended, whoever ends it."""
        await asyncio.shield(self._closed)

    def close(self, reason: str = "closed") -> None:
        """End it; what waits for answers fails with Disconnected. Idempotent."""
        if self.is_closed:
            return
        self.is_closed, self.failure = True, reason
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._shut()
        pending, self._pending = self._pending, deque()
        for each in pending:
            if not each.future.done():
                each.future.set_exception(Disconnected(f"{self.address}: {reason}"))
        if not self._closed.done():
            self._closed.set_result(None)

    @abstractmethod
    def _write(self, chunks: list[Buffer]) -> None:
        """Send a frame; the first four bytes are its length."""

    @abstractmethod
    def _shut(self) -> None:
        """Give the socket back."""

    def _take(self, frame: Buffer) -> None:
        """The next response, without its length."""
        if not self._pending:
            self.close("it answered what nobody asked")
            return
        head = self._pending.popleft()
        correlation, key, version, response, future, _ = head
        try:
            try:
                got, offset = parse_response_header(frame, key, version)
                if got != correlation:
                    raise MalformedMessage(f"answer {got} came for request {correlation}")
                message = response.decode(frame, version, offset)
            except MalformedMessage:
                if key != API_VERSIONS_KEY:
                    raise
                # a broker that doesn't know our version answers in version 0 (KIP-511)
                message = response.decode(frame, 0, parse_response_header(frame, key, 0)[1])
        except MalformedMessage as error:
            if not future.done():
                future.set_exception(error)
            self.close(str(error))
            return
        if not future.done():
            future.set_result(message)

    def _look_at_time(self) -> None:
        """Answers come in order, so only the first request that waits can be the one that is late."""
        self._timer = None
        if not self._pending:
            return
        deadline = self._pending[0].deadline
        if deadline <= self._loop.time():
            name = API_KEYS[self._pending[0].key].name
            self.close(f"no answer to {name} in time (request.timeout.ms)")
            return
        self._timer = self._loop.call_at(deadline, self._look_at_time)
