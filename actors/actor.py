"""pykka actors that share one event loop.

With the GIL, one thread per actor costs a thread switch per message; here all actors of a process run on the loop of
the broker, and a tell is an append to a deque. pykka's refs, proxies, futures and hooks keep working.

    class Counter(Actor):
        def on_receive(self, message: object) -> None: ...

    system = ActorSystem()                      # inside a running loop
    system.start("/counter", Counter)
    system.tell("/counter", Add(1))             # True: accepted

What pykka leaves open is closed here and in `actor_system.py`: every failure (also of `ask`, `__init__` and `on_start`)
goes to the supervisor, addresses are paths and survive a restart, inboxes are bounded and counted.
An actor is only ever run by the loop's thread. `tell` by path is for that thread; refs may be used by any.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import Any, ClassVar, Self

import pykka
from pykka._envelope import Envelope
from pykka.messages import ProxyCall, ProxyGetAttr, ProxySetAttr, _ActorStop

from actors.actor_system import ActorSystem
from actors.place import ActorStatistics, Down, MailboxFull

__all__ = ["Actor", "ActorStatistics", "ActorSystem", "Down", "LoopFuture", "MailboxFull"]

logger = logging.getLogger(__name__)

# these need pykka's own dispatch; anything else goes bare into the inbox and straight to on_receive
_PYKKA_MESSAGES = frozenset({_ActorStop, ProxyCall, ProxyGetAttr, ProxySetAttr})


class Actor(pykka.Actor):
    """Base of all actors: override `on_receive`, `on_start`, `on_stop`, `on_failure`.

    `on_receive` runs to its end before any other message; it must not block. `self.system`, `self.path` and `self.tell`
    are there already in `__init__`.
    """

    inbox_capacity: ClassVar[int] = 100_000
    actor_inbox: LoopInbox

    def __init__(self) -> None:
        super().__init__()
        self._queue: deque[Any] = self.actor_inbox.queue
        self._capacity = self.inbox_capacity
        self._is_ready = False
        self._tasks: set[asyncio.Task[Any]] | None = None
        self.system, self._cell = ActorSystem.born(self)
        self.path: str = self._cell.path
        # an instance attribute, not a method: one call less on the hot path
        self.tell: Callable[[str, object], bool] = self.system.tell
        self.actor_inbox.owner = self

    def __str__(self) -> str:
        return f"{type(self).__name__} {self.path}"

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> pykka.ActorRef[Self]:
        """Start under the root of the running loop's system, at a path made of the class name and a number.

        For tests and pykka habits; it is not restarted after a failure. The way with a path, a supervisor and restarts
        is `ActorSystem.start`. Raises what `__init__` raises.
        """
        return ActorSystem.of_running_loop().start_unnamed(lambda: cls(*args, **kwargs), cls.__name__)

    def schedule(self, delay_ms: float, message: object) -> asyncio.TimerHandle:
        """Send `message` to this very instance after `delay_ms`; a timer of a dead instance falls silent."""
        return self.system.loop.call_later(delay_ms / 1000, self._tell_myself, message)

    def spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[Any]:
        """Run a coroutine that belongs to this instance: cancelled with it, and its failure is the actor's failure."""
        task = self.system.loop.create_task(work)
        if self._tasks is None:
            self._tasks = set()
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def statistics(self) -> ActorStatistics:
        return self._cell.statistics()

    def end(self, error: BaseException | None) -> list[Any]:
        """For the actor system, once: let go of everything. What was left in the inbox."""
        self.actor_stopped.set()
        self.actor_inbox.owner = None
        for task in self._tasks or ():
            task.cancel()
        try:
            if error is None:
                self.on_stop()
            else:
                self.on_failure(type(error), error, error.__traceback__)
        except Exception:
            logger.exception("%s failed while it ended", self)
        left = list(self._queue)
        self._queue.clear()
        return left

    def _tell_myself(self, message: object) -> None:
        if not self.actor_stopped.is_set():
            self.system.mail.enqueue(self, message)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        if self._tasks is not None:
            self._tasks.discard(task)
        if task.cancelled() or self.actor_stopped.is_set():
            return
        error = task.exception()
        if error is not None:
            self.system.fail(self, error)

    # pykka's points of extension

    @staticmethod
    def _create_actor_inbox() -> LoopInbox:
        return LoopInbox()

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return LoopFuture()

    def _start_actor_loop(self) -> None:
        # a thread is what pykka would begin here; our actors share the loop, and their ActorSystem runs them
        raise NotImplementedError("actors are started by their ActorSystem")

    def _stop(self) -> None:
        self.system.ended_by_itself(self)


class LoopInbox:
    """What a ref puts into: a bounded deque that wakes the actor system."""

    __slots__ = ("owner", "queue")

    def __init__(self) -> None:
        self.queue: deque[Any] = deque()
        self.owner: Actor | None = None

    def put(self, envelope: Envelope[Any], /) -> None:
        """Raises MailboxFull, since pykka's `tell` has no answer that could say so."""
        owner = self.owner
        if owner is None:
            raise pykka.ActorDeadError("the actor has ended")
        needs_pykka = envelope.reply_to is not None or type(envelope.message) in _PYKKA_MESSAGES
        owner.system.mail.enqueue_from_anywhere(owner, envelope if needs_pykka else envelope.message)

    def get(self) -> Envelope[Any]:
        item = self.queue.popleft()
        return item if type(item) is Envelope else Envelope(item)

    def empty(self) -> bool:
        return not self.queue


class LoopFuture(pykka.ThreadingFuture[Any]):
    """The answer to an `ask`: `await` it on the loop, `get()` it from other threads."""

    def __init__(self) -> None:
        super().__init__()
        self._waiters: list[asyncio.Future[None]] = []

    def get(self, *, timeout: float | None = None) -> Any:
        """Raises RuntimeError on a loop's thread when there is no answer yet: waiting there would wait for ever."""
        if self._result is None and self._get_hook is None and asyncio._get_running_loop() is not None:
            raise RuntimeError("get() would block the event loop that has to answer: await the future instead")
        return super().get(timeout=timeout)

    def set(self, value: Any | None = None) -> None:
        super().set(value)
        self._wake()

    def set_exception(self, exc_info: Any = None) -> None:
        super().set_exception(exc_info)
        self._wake()

    def __await__(self) -> Generator[Any, None, Any]:
        if self._result is None and self._get_hook is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            yield from waiter
        return self.get()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.get_loop().call_soon_threadsafe(_resolve, waiter)


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
