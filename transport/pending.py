"""An answer that comes later, without the price of a future and a task around it."""

import asyncio
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Pending(Generic[T]):
    """Made by a request handler, which calls `resolve` once; awaited like a future, by one waiter at most.

    `shape` turns what it was resolved with into what is sent; the dispatcher sets it.
    """

    __slots__ = ("_value", "_wake", "is_done", "shape")

    def __init__(self) -> None:
        self.is_done = False
        self.shape: Callable[[T], Any] | None = None
        self._value: T
        self._wake: Callable[[], object] | None = None

    def resolve(self, value: T) -> None:
        """Whoever waits is woken at once; a second call is ignored."""
        if self.is_done:
            return
        self.is_done = True
        self._value = value
        if self._wake is not None:
            self._wake()

    def when_done(self, wake: Callable[[], object]) -> None:
        """Call `wake` when there is an answer, at once when there is one. It must not raise."""
        if self.is_done:
            wake()
        else:
            self._wake = wake

    def answer(self) -> Any:
        """What is to be sent. Raises what `shape` raises."""
        return self._value if self.shape is None else self.shape(self._value)

    def __await__(self) -> Generator[Any, None, T]:
        if not self.is_done:
            waiter = asyncio.get_running_loop().create_future()
            self.when_done(partial(_set, waiter))
            yield from waiter
        return self._value


def _set(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
