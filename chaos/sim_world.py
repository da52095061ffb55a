"""Virtual time: one heap of events for the whole simulated world, and an event loop for each simulated process.

The loops run real asyncio futures and tasks; only time, order and death are ours. Two worlds with one seed do the same
things in the same order: nothing here asks the machine for time, threads or chance.
"""

from __future__ import annotations

import asyncio
import heapq
import inspect
from collections import deque
from collections.abc import Callable
from contextvars import Context
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

if TYPE_CHECKING:
    from chaos.sim_process import Process

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Killed(SystemExit):
    """The process ends amid whatever it does. SystemExit, since that passes through asyncio and the actors."""


class Violation(AssertionError):
    """An invariant does not hold. `invariant` is its name."""

    def __init__(self, invariant: str, details: str) -> None:
        super().__init__(f"{invariant}: {details}")
        self.invariant = invariant


class Timer:
    """What waits in the heap. Looks enough like an asyncio.TimerHandle."""

    __slots__ = ("_is_cancelled", "args", "callback", "owner", "when_s")

    def __init__(self, when_s: float, callback: Callable[..., object], args: tuple[Any, ...], owner: Any) -> None:
        self.when_s = when_s
        self.callback = callback
        self.args = args
        self.owner = owner
        self._is_cancelled = False

    def cancel(self) -> None:
        self._is_cancelled = True

    def cancelled(self) -> bool:
        return self._is_cancelled

    def when(self) -> float:
        return self.when_s


class World:
    """The clock, the heap, and one source of chance for each purpose, so that they do not disturb each other."""

    def __init__(self, seed: int, *, is_traced: bool = False) -> None:
        self.seed = seed
        self.now_s = 0.0
        self.events = 0
        self.lines: list[str] | None = [] if is_traced else None
        self.after_step: Callable[[Process], None] = lambda process: None
        self.current: Process | None = None
        self._heap: list[tuple[float, int, Timer]] = []
        self._number = 0

    def chance(self, purpose: str) -> Random:
        return Random(f"{self.seed}/{purpose}")

    def at(self, when_s: float, callback: Callable[..., object], *args: Any, owner: Process | None = None) -> Timer:
        timer = Timer(when_s, callback, args, owner)
        self._number += 1
        heapq.heappush(self._heap, (when_s, self._number, timer))
        return timer

    def after(self, delay_s: float, callback: Callable[..., object], *args: Any, owner: Process | None = None) -> Timer:
        return self.at(self.now_s + delay_s, callback, *args, owner=owner)

    def run(self, until_s: float) -> None:
        """Let everything happen up to `until_s`. Violations come out of here."""
        heap = self._heap
        while heap and heap[0][0] <= until_s:
            when_s, _, timer = heapq.heappop(heap)
            if timer._is_cancelled:
                continue
            self.now_s = when_s
            owner = timer.owner
            if owner is None:
                self.events += 1
                timer.callback(*timer.args)
            elif owner.is_dead:
                continue
            elif owner.held is not None:
                owner.held.append(timer)
            else:
                self.events += 1
                owner.enter(timer.callback, *timer.args)
        self.now_s = until_s

    def say(self, text: str) -> None:
        """One line of the transcript. Callers that build a long text look at `lines` first."""
        if self.lines is not None:
            self.lines.append(f"{self.now_s:10.6f} {text}")


class Clock:
    """A process's own idea of time: it runs a little fast or slow, and its wall may jump."""

    def __init__(self, world: World, start_s: float, wall_s: float) -> None:
        self._world = world
        self._local_s = start_s
        self._world_s = world.now_s
        self.rate = 1.0
        self.wall_ahead_s = wall_s - start_s

    def time(self) -> float:
        return self._local_s + (self._world.now_s - self._world_s) * self.rate

    def drift(self, rate: float) -> None:
        self._local_s, self._world_s = self.time(), self._world.now_s
        self.rate = rate

    def to_world(self, local_s: float) -> float:
        return self._world.now_s + max(0.0, local_s - self.time()) / self.rate


class VirtualExecutor:
    """Stands for a ThreadPoolExecutor: a job runs when its virtual time has come."""

    def __init__(self, *_: object, **__: object) -> None:
        self.jobs: list[tuple[Timer, Callable[[], None]]] = []

    def submit(self, func: Callable[..., object], *args: Any) -> VirtualResult:
        """As ThreadPoolExecutor.submit, whose `result()` waits for everything that was submitted before."""
        return VirtualResult(self, asyncio.get_running_loop().run_in_executor(self, func, *args))  # type: ignore[arg-type]

    def shutdown(self, wait: bool = True, **_: object) -> None:
        """Whoever waits for a job that is under way has it done now."""
        jobs, self.jobs = self.jobs if wait else [], []
        for timer, run in jobs:
            if not timer.cancelled():
                timer.cancel()
                run()


class VirtualResult:
    """Stands for a concurrent.futures.Future."""

    def __init__(self, executor: VirtualExecutor, future: asyncio.Future[Any]) -> None:
        self._executor = executor
        self._future = future

    def result(self) -> Any:
        self._executor.shutdown()
        return self._future.result()


class VirtualLoop(asyncio.AbstractEventLoop):
    """The loop of one process: real futures and tasks over virtual time."""

    def __init__(self, world: World, process: Process, clock: Clock, chance: Random) -> None:
        self.world = world
        self.process = process
        self.clock = clock
        self.ready: deque[tuple[Timer, Context | None]] = deque()
        self._chance = chance

    def time(self) -> float:
        return self.clock.time()

    def call_soon(  # type: ignore[override]
        self, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> Timer:
        timer = Timer(0.0, callback, args, None)
        self.ready.append((timer, context))
        return timer

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> Timer:
        return self.world.at(self.clock.to_world(when), callback, *args, owner=self.process)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[[Unpack[Ts]], object], *args: *Ts, context: Context | None = None
    ) -> Timer:
        return self.call_at(self.clock.time() + delay, callback, *args)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: object = None, context: Context | None = None) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        future: asyncio.Future[T] = self.create_future()

        def run() -> None:
            if future.done():
                return
            try:
                result = func(*args)
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        delay_s = self._chance.uniform(0.0003, 0.008) * self.process.slowness
        timer = self.world.after(delay_s, run, owner=self.process)
        if isinstance(executor, VirtualExecutor):
            executor.jobs = [(waiting, job) for waiting, job in executor.jobs if waiting.when_s > self.world.now_s]
            executor.jobs.append((timer, run))
        self.process.jobs = [(t, job) for t, job in self.process.jobs if t.when_s > self.world.now_s]
        self.process.jobs.append((timer, run))
        return future

    def drain(self) -> None:
        """Run what is ready, and what that makes ready."""
        ready = self.ready
        while ready:
            timer, context = ready.popleft()
            if timer._is_cancelled:
                continue
            if context is None:
                timer.callback(*timer.args)
            else:
                context.run(timer.callback, *timer.args)

    def end(self) -> None:
        """The process is dead: nothing that was about to happen does."""
        for task in asyncio.all_tasks(self):
            work = task.get_coro()
            if inspect.iscoroutine(work) and inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
                work.close()  # no step of it has run and none will: Python warns of those that nobody closed
        self.ready.clear()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self.process.is_dead and context.get("exception") is not None:
            self.process.unhandled(context["exception"])

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self.process.is_dead

    def _timer_handle_cancelled(self, handle: object) -> None:
        pass
