"""What a group's actor gets besides news: calls of clients, and the reminders it sends itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from machines.group_events import DeleteGroup, FetchOffsets
from machines.group_refusals import refusal
from model.errors import ErrorCode
from protocol.codec import Struct


class GroupCall:
    """A client's request on its way through a group; `future` gets the response, also when it is a refusal.

    `may_wait`: the answer may be held until there are news, or until the client sends anything else (`hurry`).
    """

    __slots__ = ("body", "client_host", "client_id", "fresh_id", "future", "may_wait", "resume", "version")

    def __init__(
        self,
        body: Struct | FetchOffsets | DeleteGroup,
        version: int,
        future: asyncio.Future[Any],
        client_id: str = "",
        client_host: str = "",
        fresh_id: str = "",
        may_wait: bool = False,
    ) -> None:
        self.body = body
        self.version = version
        self.future = future
        self.client_id = client_id
        self.client_host = client_host
        self.fresh_id = fresh_id
        self.may_wait = may_wait
        self.resume: Callable[[], None] | None = None  # while it is held

    def hurry(self, _: int) -> None:
        """Its client has sent something else, which is answered after it."""
        self.may_wait = False
        if self.resume is not None:
            self.resume()

    def undelivered(self) -> None:
        """The group's actor ended before it took this in."""
        self.refuse(ErrorCode.NOT_COORDINATOR)

    def answer(self, response: Any) -> None:
        if not self.future.done():
            self.future.set_result(response)

    def refuse(self, error: ErrorCode) -> None:
        self.answer(refusal(self.body, self.version, error))


class Wake:
    """The alarm of a group rang."""

    __slots__ = ()


WAKE = Wake()


class Resume:
    """A call that was held is to be answered."""

    __slots__ = ("call",)

    def __init__(self, call: GroupCall) -> None:
        self.call = call
