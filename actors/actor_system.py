"""The tree of actors of one event loop: addresses, delivery, supervision, monitors.

Paths name places, not instances: a message sent to "/partitions/t-0" after a restart reaches the new instance.
Every place has a supervisor ("/" is the root). A place with children is their supervisor, and ends them when it ends.
`supervise` makes a place without an actor of its own, which starts its children again when it is restarted itself;
an actor that has children starts them in its `on_start`.

What an instance had in its inbox when it ended is not given to the next one: it goes to `on_dead_letter`, as does the
message it failed on and all that is told to a place where nothing runs.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import pykka

from actors import supervision
from actors.event_log import SILENCE, Silence
from actors.mailroom import Mailroom
from actors.place import ActorStatistics, Cell, Down
from actors.supervision import Restart, RestartPolicy
from model.errors import OdradekError

if TYPE_CHECKING:
    from actors.actor import Actor

logger = logging.getLogger(__name__)

ROOT = "/"


class ActorSystem:
    """Made inside the running loop that its actors shall share.

    `on_escalation(path, reason)` is called when the root gives up: the process should exit and be restarted.
    `on_dead_letter(path, message)` is called for each message that nobody handled, e.g. to answer its sender.
    """

    _of_loop: ClassVar[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, ActorSystem]] = weakref.WeakKeyDictionary()
    _being_born: ClassVar[tuple[ActorSystem, Cell] | None] = None

    def __init__(
        self,
        policy: RestartPolicy | None = None,
        *,
        on_escalation: Callable[[str, str], None] | None = None,
        on_dead_letter: Callable[[str, object], None] | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.on_escalation = on_escalation or self._log_escalation
        self.mail = Mailroom(self.loop, self.fail, on_dead_letter)
        # not methods of our own: one call less on the hot path
        self.tell = self.mail.tell
        self.ask = self.mail.ask
        self.events: Silence = SILENCE  # where failures are told; a process puts its EventLog here
        self._actors = self.mail.actors
        self._root = Cell(ROOT, None, None, "permanent", policy or RestartPolicy())
        self._cells: dict[str, Cell] = {ROOT: self._root}
        self._numbers = itertools.count(1)
        ActorSystem._of_loop[self.loop] = self

    @classmethod
    def of_running_loop(cls) -> ActorSystem:
        """The system of the running loop, made at the first call."""
        return cls._of_loop.get(asyncio.get_running_loop()) or cls()

    @classmethod
    def born(cls, actor: Actor) -> tuple[ActorSystem, Cell]:
        """For `Actor.__init__`: the system and the place this instance is made for."""
        if cls._being_born is None:
            raise RuntimeError(f"{type(actor).__name__} must be made by ActorSystem.start or its own start()")
        birth, cls._being_born = cls._being_born, None
        return birth

    def now_ms(self) -> int:
        return int(self.loop.time() * 1000)

    def start(
        self,
        path: str,
        factory: Callable[[], Actor],
        *,
        supervisor: str = ROOT,
        restart: Restart = "permanent",
        policy: RestartPolicy | None = None,
    ) -> bool:
        """Make `factory()` live at `path`; `policy` is for the children it may get. True: it runs.

        `__init__` and `on_start` have run on return. If they raised, the supervisor was told and may try again later.
        Raises ValueError when the path is taken, KeyError when there is no such supervisor.
        """
        return self._launch(self._new_cell(path, factory, supervisor, restart, policy))

    def supervise(
        self, path: str, policy: RestartPolicy | None = None, *, supervisor: str = ROOT, restart: Restart = "permanent"
    ) -> None:
        """Make a supervisor without an actor of its own at `path`."""
        self._launch(self._new_cell(path, None, supervisor, restart, policy))

    def start_unnamed(self, factory: Callable[[], Actor], name: str) -> pykka.ActorRef[Any]:
        """For `Actor.start`: raises what the constructor raises, and never restarts."""
        cell = self._new_cell(f"/{name}-{next(self._numbers)}", factory, ROOT, "temporary", None)
        try:
            actor = self._give_birth(cell)
        except BaseException:
            self._forget(cell)
            raise
        self._enliven(cell, actor)
        return actor.actor_ref

    def stop(self, path: str) -> bool:
        """End what lives at `path` now, children first, and forget the place. False: there was none.

        What is still in the inbox becomes dead letters; to let an actor finish, tell it so and let it `self.stop()`.
        """
        cell = self._cells.get(path)
        if cell is None or cell is self._root:
            return False
        self._end(cell, None)
        self._forget(cell)
        return True

    def stop_all(self) -> None:
        for cell in reversed(list(self._root.children.values())):
            self.stop(cell.path)

    def abandon(self) -> None:
        """As at a SIGKILL: nothing is told or stopped; only pykka's registry, which outlives us, lets the actors go."""
        for actor in self._actors.values():
            pykka.ActorRegistry.unregister(actor.actor_ref)

    def monitor(self, path: str, watcher: str) -> None:
        """Tell `watcher` a Down each time an instance at `path` ends, until the watcher itself does.

        If nothing runs there now, one Down("not running") comes at once.
        """
        cell = self._cells.get(path)
        if cell is not None:
            cell.watchers[watcher] = None
        if path not in self._actors:
            self.tell(watcher, Down(path, "not running"))

    def demonitor(self, path: str, watcher: str) -> None:
        cell = self._cells.get(path)
        if cell is not None:
            cell.watchers.pop(watcher, None)

    def is_running(self, path: str) -> bool:
        return path in self._actors

    def ref(self, path: str) -> pykka.ActorRef[Any]:
        """A pykka ref to the instance of this moment, e.g. for a proxy in a test. Raises KeyError."""
        return self._actors[path].actor_ref

    def statistics(self) -> dict[str, ActorStatistics]:
        return {path: cell.statistics() for path, cell in self._cells.items() if cell.factory is not None}

    def fail(self, actor: Actor, error: BaseException) -> None:
        """An instance failed: end it and let its supervisor decide. Ignored when it has ended already."""
        if actor._cell.actor is actor:
            logger.error("%s failed", actor, exc_info=error)
            self._tell_crash(actor._cell, error)
            self._failed(actor._cell, error)

    def ended_by_itself(self, actor: Actor) -> None:
        cell = actor._cell
        if cell.actor is actor:
            self._end(cell, None)
            self._tell_supervisor(cell, None)

    def _new_cell(
        self,
        path: str,
        factory: Callable[[], Actor] | None,
        supervisor: str,
        restart: Restart,
        policy: RestartPolicy | None,
    ) -> Cell:
        if path in self._cells:
            raise ValueError(f"{path} is taken")
        parent = self._cells[supervisor]
        cell = Cell(path, factory, parent, restart, policy or RestartPolicy())
        self._cells[path] = parent.children[path] = cell
        return cell

    def _launch(self, cell: Cell) -> bool:
        cell.timer = None
        assert cell.parent is not None
        cell.parent.supervision.step(supervision.ChildStarted(cell.path, cell.restart), self.now_ms())
        if cell.factory is None:
            for child in tuple(cell.children.values()):
                self._launch(child)
            return True
        try:
            actor = self._give_birth(cell)
        except Exception as error:
            logger.exception("%s could not be made", cell.path)
            self._tell_crash(cell, error)
            self._failed(cell, error)
            return False
        return self._enliven(cell, actor)

    def _give_birth(self, cell: Cell) -> Actor:
        assert cell.factory is not None
        outer, ActorSystem._being_born = ActorSystem._being_born, (self, cell)
        try:
            return cell.factory()
        finally:
            ActorSystem._being_born = outer

    def _enliven(self, cell: Cell, actor: Actor) -> bool:
        cell.actor = self._actors[cell.path] = actor
        pykka.ActorRegistry.register(actor.actor_ref)
        try:
            actor.on_start()
        except Exception as error:
            self.fail(actor, error)
        return cell.actor is actor

    def _tell_crash(self, cell: Cell, error: BaseException) -> None:
        words = f"{type(error).__name__}: {error}"[:300]
        cause = getattr(error, "event_id", 0)  # of who made it fail on purpose
        self.events.tell("actor-crashed", cell.path, cause=cause, error=words, restarts=cell.restarts)

    def _failed(self, cell: Cell, error: BaseException) -> None:
        cell.failures += 1
        self._end(cell, error)
        self._tell_supervisor(cell, error)

    def _end(self, cell: Cell, error: BaseException | None) -> None:
        """End what lives in `cell` and below, and tell the monitors; the supervisor is not told."""
        if cell.timer is not None:
            cell.timer.cancel()
            cell.timer = None
        for child in reversed(list(cell.children.values())):
            self._end(child, None)
            if cell.factory is not None:
                self._forget(child)
        actor, cell.actor = cell.actor, None
        if actor is not None:
            self._bury(actor, error)
        elif error is None:
            return
        reason = "stopped" if error is None else f"failed: {type(error).__name__}: {error}"
        for watcher in list(cell.watchers):
            if not self.tell(watcher, Down(cell.path, reason)):
                del cell.watchers[watcher]

    def _bury(self, actor: Actor, error: BaseException | None) -> None:
        del self._actors[actor.path]
        pykka.ActorRegistry.unregister(actor.actor_ref)
        for item in actor.end(error):
            self.mail.undelivered(actor.path, item)

    def _forget(self, cell: Cell) -> None:
        for child in list(cell.children.values()):
            self._forget(child)
        self._cells.pop(cell.path, None)
        if cell.parent is not None and cell.parent.children.pop(cell.path, None) is not None:
            cell.parent.supervision.step(supervision.ChildRemoved(cell.path), self.now_ms())

    def _tell_supervisor(self, cell: Cell, error: BaseException | None) -> None:
        parent = cell.parent
        assert parent is not None
        effects = parent.supervision.step(supervision.ChildEnded(cell.path, error is not None), self.now_ms())
        for effect in effects:
            match effect:
                case supervision.StopChild(path):
                    self._end(parent.children[path], None)
                case supervision.StartChild(path, delay_ms):
                    child = parent.children[path]
                    child.restarts += 1
                    child.timer = self.loop.call_later(delay_ms / 1000, self._launch, child)
                case supervision.ForgetChild(path):
                    self._forget(parent.children[path])
                case supervision.Escalate(path):
                    # later, not now: the supervisor may be an actor in the middle of a message
                    self.loop.call_soon(self._escalate, parent, path, error)

    def _escalate(self, supervisor: Cell, path: str, error: BaseException | None) -> None:
        reason = f"{path} ended too often, last by {error!r}"
        if supervisor is self._root:
            self.on_escalation(path, reason)
        elif self._cells.get(supervisor.path) is supervisor:
            logger.error("supervisor %s gives up: %s", supervisor.path, reason)
            self._failed(supervisor, OdradekError(reason))

    def _log_escalation(self, path: str, reason: str) -> None:
        logger.critical("the root of the actors gives up: %s", reason)
