"""A simulated broker process: the real Broker with its actors, from boot to death.

Everything the broker does runs inside `enter`, which lends it the world: its loop, its clock, its disk. A process dies
at a step's end (kill), amid a disk operation (fuse), or in order (stop), and never runs again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.actor_system import ActorSystem
from actors.broker import Broker
from actors.broker_process import BrokerProcess
from actors.broker_spec import BrokerSpec
from chaos.sim_disk import ForgetfulDisk, Platter
from chaos.sim_network import VirtualBus
from chaos.sim_world import Clock, Killed, Timer, Violation, VirtualLoop
from model.errors import OdradekError

if TYPE_CHECKING:
    from chaos.sim_cluster import Cluster


class InjectedCrash(Exception):
    """An actor fails because the plan says so."""


class FakeSocket:
    """The reserved port."""

    def __init__(self, port: int) -> None:
        self.port = port

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)


class Process:
    """One incarnation. `held` collects what happens to a stopped (SIGSTOP) process until it goes on."""

    def __init__(self, cluster: Cluster, broker_id: int, incarnation: int, platter: Platter) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.broker_id = broker_id
        self.incarnation = incarnation
        self.name = f"b{broker_id}.{incarnation}"
        self.is_dead = False
        self.is_stopping = False
        self.slowness = 1.0  # of its disk
        self.held: deque[Timer] | None = None
        self.jobs: list[tuple[Timer, Callable[[], None]]] = []
        self.clock = Clock(self.world, cluster.skews[broker_id], cluster.wall_s(broker_id))
        self.clock.rate = cluster.rates[broker_id]
        self.loop = VirtualLoop(self.world, self, self.clock, cluster.executor_chance)  # type: ignore[abstract]
        self.disk = ForgetfulDisk(platter, self._torn)
        self.bus: VirtualBus
        self.broker: Broker | None = None
        self.shell: BrokerProcess

    # -- life ------------------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """What actors.broker_process does once its interpreter runs."""
        system = ActorSystem(on_escalation=self._escalate)
        self._watch_failures(system)
        self.shell = BrokerProcess(self._spec(), None)  # type: ignore[arg-type]  # no link to a parent
        self.bus = VirtualBus(self.cluster.network, self, self.shell._deliver)
        self.shell.bus = self.bus  # type: ignore[assignment]  # speaks as transport.bus.Bus does
        self.cluster.network.processes[self.broker_id] = self
        self.shell.beat()
        self.broker = Broker(self._spec(), self.bus, system)  # type: ignore[arg-type]
        live = self.loop.create_task(self.shell._run_broker(self.broker, FakeSocket(9000 + self.broker_id)))  # type: ignore[arg-type]
        live.add_done_callback(self._ended)

    def _spec(self) -> BrokerSpec:
        data = Path(f"/cluster/broker-{self.broker_id}")
        return BrokerSpec(
            broker_id=self.broker_id,
            incarnation=self.incarnation,
            cluster_id="simulated-cluster-00000",
            cluster_dir=Path("/cluster"),
            data_dir=data,
            run_dir=Path("/run"),
            log_dir=Path("/log"),
            host="127.0.0.1",
            port=9000 + self.broker_id,
            overrides=dict(self.cluster.overrides),
            log_level="info",
            supervisor_pid=1,
            supervisor_incarnation=1,
            supervisor_data_endpoint="data-0",
            supervisor_control_endpoint="control-0",
        )

    def enter(self, callback: Callable[..., object], *args: Any) -> None:
        """Run one step of this process with everything that follows from it at once, then look at the invariants."""
        if self.is_dead:
            return
        world = self.world
        asyncio._set_running_loop(self.loop)
        world.current = self
        try:
            self._run(callback, args)
            ready = self.loop.ready
            while ready:
                timer, context = ready.popleft()
                if not timer._is_cancelled:
                    if context is None:
                        self._run(timer.callback, timer.args)
                    else:
                        self._run(context.run, (timer.callback, *timer.args))
        except Killed:
            pass
        finally:
            world.current = None
            asyncio._set_running_loop(None)
        world.after_step(self)

    def _run(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        try:
            callback(*args)
        except Killed:
            if not self.is_dead:
                self._die("killed amid a step")
            raise
        except Violation:
            raise
        except Exception as error:
            self.unhandled(error)

    def stop_in_order(self) -> None:
        """SIGTERM, to one that has booted."""
        self.is_stopping = True
        self.enter(self.shell._stop.set)

    def kill(self, reason: str) -> None:
        """SIGKILL: at once, also for a stopped process."""
        if not self.is_dead:
            self._die(reason)

    def _ended(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure is not None and not isinstance(failure, OdradekError):
            self.unhandled(failure)
        self._die("stopped in order" if failure is None else f"cannot go on: {failure}")
        raise Killed

    def _escalate(self, path: str, reason: str) -> None:
        self._die(f"gives up: {path}: {reason}")
        raise Killed

    def _torn(self) -> None:
        self._die("killed amid a write")

    def _die(self, reason: str) -> None:
        self.is_dead = self.disk.is_dead = True
        self.held = None
        if self.broker is not None:
            self.broker.system.abandon()
        self.loop.end()
        self.cluster.died(self, reason)

    # -- what the world does to it ---------------------------------------------------------------------------------

    def pause(self) -> None:
        if not self.is_dead and self.held is None:
            self.held = deque()

    def resume(self) -> None:
        held, self.held = self.held, None
        for timer in held or ():
            self.world.at(self.world.now_s, timer.callback, *timer.args, owner=self)

    def on_credit(self, node_id: int) -> None:
        self.bus.credit_returned(node_id)

    def unhandled(self, error: BaseException) -> None:
        """Nothing may fail by itself: every exception that nobody handles is a bug."""
        if isinstance(error, Violation):
            raise error
        if not isinstance(error, InjectedCrash):
            raise Violation("NoCrash", f"{self.name}: {type(error).__name__}: {error}") from error

    def _watch_failures(self, system: ActorSystem) -> None:
        fail = system.fail

        def watched(actor: Any, error: BaseException) -> None:
            if isinstance(error, Violation):
                raise error
            if not isinstance(error, InjectedCrash):
                raise Violation("NoCrash", f"{self.name} {actor.path}: {type(error).__name__}: {error}") from error
            fail(actor, error)

        system.fail = system.mail.on_failure = watched  # type: ignore[method-assign]

    def crash_an_actor(self, path: str) -> None:
        assert self.broker is not None
        actor = self.broker.system.mail.actors.get(path)
        if actor is not None:
            self.broker.system.fail(actor, InjectedCrash("by plan"))

    def ask_controller(self, make: Callable[[int], Any]) -> None:
        """As an admin's request through this broker; the answer interests nobody."""
        assert self.broker is not None
        self.loop.create_task(_ignoring_refusal(self.broker.link.ask(make, 5_000)))


async def _ignoring_refusal(work: Coroutine[Any, Any, object]) -> None:
    try:
        await work
    except OdradekError:
        pass
