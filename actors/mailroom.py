"""Delivery between the actors of one event loop: a tell is an append, one wakeup of the loop serves all that is queued.

What nobody handled is a dead letter: told to a place where nothing runs, left in the inbox of an instance that ended,
or the message it failed on.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pykka
from pykka._envelope import Envelope

from actors.place import MailboxFull

if TYPE_CHECKING:
    from actors.actor import Actor

# fairness: so many messages of one actor before the next one, so many in all before the loop looks at its sockets again
MESSAGES_PER_ACTOR = 100
MESSAGES_PER_WAKEUP = 1_000


class Mailroom:
    """`actors` are those that run, by path; `on_failure(actor, error)` must end the instance."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_failure: Callable[[Actor, BaseException], None],
        on_dead_letter: Callable[[str, object], None] | None,
    ) -> None:
        self.loop = loop
        self.actors: dict[str, Actor] = {}
        self.on_failure = on_failure
        self.on_dead_letter = on_dead_letter
        self.dead_letters = 0
        self._thread = threading.get_ident()
        self._ready: deque[Actor] = deque()
        self._is_awake = False

    @property
    def is_idle(self) -> bool:
        """Every inbox is empty."""
        return not self._is_awake

    def tell(self, path: str, message: object) -> bool:
        """Put `message` into the inbox at `path`; the loop's thread only.

        False: nothing runs there now, or the inbox is full (counted). The message is then a dead letter in the first
        case only: in the second the sender still has it and should slow down.
        """
        actor = self.actors.get(path)
        if actor is None:
            self.dead_letter(path, message)
            return False
        queue = actor._queue
        if len(queue) >= actor._capacity:
            actor._cell.rejected += 1
            return False
        queue.append(message)
        if not actor._is_ready:
            actor._is_ready = True
            self._ready.append(actor)
            if not self._is_awake:
                self._is_awake = True
                self.loop.call_soon(self.run_ready)
        return True

    def ask(self, path: str, message: object) -> pykka.Future[Any]:
        """Tell, with a future for the answer. It fails with what the actor raised, or with pykka.ActorDeadError."""
        actor = self.actors.get(path)
        if actor is None:
            raise pykka.ActorDeadError(f"nothing runs at {path}")
        future: pykka.Future[Any] = actor._create_future()
        if not self.enqueue(actor, Envelope(message, reply_to=future)):
            raise MailboxFull(f"the inbox of {actor} is full")
        return future

    def enqueue(self, actor: Actor, item: object) -> bool:
        if len(actor._queue) >= actor._capacity:
            actor._cell.rejected += 1
            return False
        actor._queue.append(item)
        if not actor._is_ready:
            actor._is_ready = True
            self._ready.append(actor)
            if not self._is_awake:
                self._is_awake = True
                self.loop.call_soon(self.run_ready)
        return True

    def enqueue_from_anywhere(self, actor: Actor, item: object) -> None:
        """For refs, from any thread. Raises MailboxFull."""
        if len(actor._queue) >= actor._capacity:
            actor._cell.rejected += 1
            raise MailboxFull(f"the inbox of {actor} is full")
        if threading.get_ident() == self._thread:
            self.enqueue(actor, item)
        else:
            self.loop.call_soon_threadsafe(self._enqueue_if_alive, actor, item)

    def _enqueue_if_alive(self, actor: Actor, item: object) -> None:
        if actor.actor_stopped.is_set() or not self.enqueue(actor, item):
            self.undelivered(actor.path, item)

    def run_ready(self) -> None:
        """Let actors handle what is in their inboxes, up to MESSAGES_PER_WAKEUP; the loop calls it once per wakeup."""
        ready = self._ready
        budget = MESSAGES_PER_WAKEUP
        self._is_awake = True
        try:
            while ready and budget > 0:
                budget -= self._run_one(ready.popleft())
        finally:
            # also when a KeyboardInterrupt passes through: the others must not be forgotten
            self._is_awake = bool(ready)
            if ready:
                self.loop.call_soon(self.run_ready)

    def _run_one(self, actor: Actor) -> int:
        queue = actor._queue
        receive = actor.on_receive
        cell = actor._cell
        count = 0
        item: Any = None
        if len(queue) > cell.depth_max:
            cell.depth_max = len(queue)
        try:
            while queue and count < MESSAGES_PER_ACTOR:
                item = queue.popleft()
                count += 1
                if type(item) is Envelope:
                    self._answer(actor, item)
                else:
                    receive(item)
        except (Exception, asyncio.CancelledError) as error:
            self.on_failure(actor, error)
            self.undelivered(actor.path, item)
        finally:
            cell.handled += count
            if queue:
                self._ready.append(actor)
            else:
                actor._is_ready = False
        return count

    def _answer(self, actor: Actor, envelope: Envelope[Any]) -> None:
        try:
            response = actor._handle_receive(envelope.message)
        except BaseException:
            if envelope.reply_to is not None:
                envelope.reply_to.set_exception()
            raise
        if envelope.reply_to is not None:
            envelope.reply_to.set(response)

    def undelivered(self, path: str, item: Any) -> None:
        if type(item) is not Envelope:
            self.dead_letter(path, item)
        elif item.reply_to is not None and getattr(item.reply_to, "_result", None) is None:
            error = pykka.ActorDeadError(f"{path} ended before it handled the message")
            item.reply_to.set_exception((type(error), error, None))

    def dead_letter(self, path: str, message: object) -> None:
        self.dead_letters += 1
        if self.on_dead_letter is not None:
            self.on_dead_letter(path, message)
