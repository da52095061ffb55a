"""The supervisor of a cluster: an actor that performs what `BrokerWatch` decides on real processes.

Node 0 on the bus. It runs in the main thread, which alone may spawn, and keeps cluster.json true. A failure of its own
ends the process, and the brokers with it: they die with their parent.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors import broker_events as events
from actors.actor import Actor
from actors.broker_spawn import Child, is_stopped, spawn
from actors.broker_watch import TICK_MS, BrokerWatch
from actors.chaos_socket import ChaosSocket
from actors.cluster_file import ClusterState
from actors.cluster_plan import ClusterPlan
from actors.event_log import SILENCE, Silence
from protocol.cluster_chaos import Suffered
from protocol.cluster_supervision import (
    BROKER_ADDRESS,
    BrokerDown,
    BrokerHello,
    BrokerReady,
    ControllerElected,
    Heartbeat,
    Stop,
    SupervisionMessage,
)
from protocol.events import NOTHING, birth, blow, death

if TYPE_CHECKING:
    from transport.bus import Bus

logger = logging.getLogger(__name__)

# the broker's own limit, a little below what the supervisor grants
STOP_DEADLINE_MS = 1_500


@dataclass(frozen=True, slots=True)
class LinkEnded:
    child: Child


@dataclass(frozen=True, slots=True)
class SpawnNow:
    spawn: events.Spawn


@dataclass(frozen=True, slots=True)
class WriteFile:
    pass


class Supervisor(Actor):
    """Receives the brokers' mail and the events of `BrokerWatch`.

    `children` are processes spawned ahead that wait for their first spec. `say(line)` prints for the user.
    `on_ready()` is called when all brokers run for the first time, `on_end(exit code)` when none is left.
    """

    def __init__(
        self,
        plan: ClusterPlan,
        brokers: BrokerWatch,
        children: dict[int, Child],
        bus: Bus,
        *,
        say: Callable[[str], None],
        on_ready: Callable[[], None],
        on_end: Callable[[int], None],
        events: Silence = SILENCE,
    ) -> None:
        super().__init__()
        self.plan = plan
        self.watch = brokers
        self.bus = bus
        self.say = say
        self.on_ready = on_ready
        self.on_end = on_end
        self.events = events
        self.cluster_state: ClusterState = "starting"
        self._ahead = children
        self._children: dict[int, Child] = {}
        self._connected: set[int] = set()
        self._kill_reasons: dict[int, str] = {}
        self._kill_events: dict[int, int] = {}
        self._stop_event: int = NOTHING
        self.chaos = ChaosSocket(plan.run_dir, lambda: self._connected, self._tell_broker)
        self._is_file_stale = False

    def on_start(self) -> None:
        self._perform(self.watch.begin())
        self._tick()

    def on_receive(self, message: object) -> None:
        match message:
            case LinkEnded(child):
                self._on_link_ended(child)
            case SpawnNow(what):
                self._spawn(what)
            case WriteFile():
                if self._is_file_stale:
                    self.write_file()
            case events.Tick():
                self._tick()
            case Suffered():
                self.chaos.on_suffered(message)
            case BrokerHello() | BrokerReady() | Heartbeat() | ControllerElected():
                self._step(message)
            case _:
                logger.warning("a message that is not for the supervisor: %r", message)

    def stop_cluster(self) -> None:
        if self.cluster_state != "stopping":
            self._stop_event = self.events.tell("cluster-stops", "cluster")
        self.cluster_state = "stopping"
        self._step(events.StopRequested())

    def kill_all(self) -> None:
        """At once and without order; no process is left on return, and cluster.json says so."""
        for child in (*self._children.values(), *self._ahead.values()):
            child.kill()
        for child in (*self._children.values(), *self._ahead.values()):
            self.system.loop.remove_reader(child.link)
            child.reap()
        self._children.clear()
        self._ahead.clear()
        self.watch.forget_processes()
        self.cluster_state = "stopped"
        self.write_file()

    def write_file(self, *, is_durable: bool = False) -> None:
        self._is_file_stale = False
        chaos_socket = self.chaos.path if self.cluster_state != "stopped" else None
        file = self.plan.file_of(self.watch, self.cluster_state, chaos_socket)
        try:
            file.write(self.plan.cluster_dir, is_durable=is_durable)
        except OSError as error:
            # a full disk must not end the brokers that still serve
            logger.error("can't write cluster.json: %s", error)

    def _tick(self) -> None:
        self.schedule(TICK_MS, events.Tick())
        self._step(events.Tick())

    def _step(self, event: events.Event) -> None:
        self._perform(self.watch.step(event, self.system.now_ms()))

    def _perform(self, effects: list[events.Effect]) -> None:
        for effect in effects:
            match effect:
                case events.Announce(message):
                    cause = NOTHING
                    if isinstance(message, BrokerDown):
                        cause = death(message.broker_id, message.incarnation)
                    for broker_id in self._connected:
                        self._tell_broker(broker_id, message, cause)
                    if isinstance(message, BrokerDown) and not self.watch.is_stopping:
                        logger.warning("broker %d is down: %s", message.broker_id, message.reason)
                case events.StateChanged():
                    self._file_is_stale()
                case events.Spawn(_, _, delay_ms):
                    if delay_ms:
                        self.schedule(delay_ms, SpawnNow(effect))
                    else:
                        self._spawn(effect)
                case events.Connect(hello):
                    self._connect(hello)
                case events.LookAt(broker_id):
                    broker = self.watch.brokers[broker_id]
                    self._step(events.Looked(broker_id, broker.incarnation, is_stopped(broker.pid)))
                case events.Kill(broker_id, reason):
                    self._kill(broker_id, reason)
                case events.AskToStop(broker_id):
                    self._ask_to_stop(broker_id)
                case events.BrokerIsUp(broker_id, is_first_time):
                    broker = self.watch.brokers[broker_id]
                    cause = birth(broker_id, broker.incarnation)
                    self.events.tell("broker-ready", f"broker {broker_id}", cause=cause, port=broker.port)
                    again = "" if is_first_time else " again"
                    self.say(f"broker {broker_id} is up{again} at {broker.host}:{broker.port} (pid {broker.pid})")
                case events.ClusterIsReady():
                    self.cluster_state = "ready"
                    # whoever reads "ready" may look into cluster.json
                    self.write_file()
                    self.on_ready()
                case events.ClusterCannotStart(broker_id, reason):
                    log = self.plan.cluster_dir / "logs" / f"broker-{broker_id}.log"
                    self.say(f"broker {broker_id} can't start: {reason} (see {log})")
                    self.kill_all()
                    self.on_end(1)
                case events.GaveUp(broker_id, reason):
                    cause = death(broker_id, self.watch.brokers[broker_id].incarnation)
                    self.events.tell("broker-given-up", f"broker {broker_id}", cause=cause, reason=reason)
                    self.say(f"broker {broker_id} died too often and stays down, last: {reason}")
                case events.AllStopped():
                    self.kill_all()
                    self.on_end(0)

    def _spawn(self, what: events.Spawn) -> None:
        if self.watch.is_stopping:
            return
        broker = self.watch.brokers[what.broker_id]
        child = self._ahead.pop(what.broker_id, None)
        if child is None:
            child = spawn(what.broker_id, self.plan.process_name, self.plan.broker_class)
        self._children[what.broker_id] = child
        self._step(events.Spawned(what.broker_id, what.incarnation, child.pid))
        self.events.tell(
            "broker-started",
            f"broker {what.broker_id}",
            own_id=birth(what.broker_id, what.incarnation),
            cause=death(what.broker_id, what.incarnation - 1) if broker.restarts else NOTHING,
            incarnation=what.incarnation,
            pid=child.pid,
        )
        # before the broker can use its incarnation, the number must not be given out again
        self.write_file(is_durable=broker.restarts == 0)
        child.send_spec(self.plan.spec_of(broker, self.bus).encode())
        self.system.loop.add_reader(child.link, self._on_link_readable, child)

    def _on_link_readable(self, child: Child) -> None:
        if child.has_ended():
            self.system.loop.remove_reader(child.link)
            # as a message, so that a failure is the actor's
            self.tell(self.path, LinkEnded(child))

    def _on_link_ended(self, child: Child) -> None:
        broker_id = child.broker_id
        if self._children.get(broker_id) is not child:
            return
        del self._children[broker_id]
        reason = child.reap()
        reason = self._kill_reasons.pop(broker_id, reason)
        if broker_id in self._connected:
            self._connected.discard(broker_id)
            self.bus.disconnect(broker_id)
        incarnation = self.watch.brokers[broker_id].incarnation
        self.events.tell(
            "broker-down",
            f"broker {broker_id}",
            own_id=death(broker_id, incarnation),
            cause=self._kill_events.pop(broker_id, NOTHING) or blow(broker_id, incarnation),
            incarnation=incarnation,
            pid=child.pid,
            reason=reason,
        )
        self._step(events.ProcessEnded(broker_id, incarnation, reason))

    def _connect(self, hello: BrokerHello) -> None:
        self.bus.connect(hello.broker_id, hello.incarnation, hello.data_endpoint, hello.control_endpoint)
        self._connected.add(hello.broker_id)
        self.chaos.on_connected(hello.broker_id)

    def _tell_broker(self, broker_id: int, message: SupervisionMessage, cause: int = NOTHING) -> None:
        self.bus.tell(broker_id, BROKER_ADDRESS, message, control=True, trace_id=cause)

    def _kill(self, broker_id: int, reason: str) -> None:
        child = self._children.get(broker_id)
        if child is not None:
            logger.warning("killing broker %d: %s", broker_id, reason)
            self._kill_reasons[broker_id] = reason
            incarnation = self.watch.brokers[broker_id].incarnation
            self._kill_events[broker_id] = self.events.tell(
                "broker-fenced",
                f"broker {broker_id}",
                cause=blow(broker_id, incarnation),
                incarnation=incarnation,
                pid=child.pid,
                reason=reason,
            )
            child.kill()

    def _ask_to_stop(self, broker_id: int) -> None:
        broker = self.watch.brokers[broker_id]
        self.events.tell(
            "broker-stops",
            f"broker {broker_id}",
            own_id=blow(broker_id, broker.incarnation),  # so that what it hands over, and its end, follow from it
            cause=self._stop_event,
            incarnation=broker.incarnation,
            pid=broker.pid,
        )
        if broker_id in self._connected:
            self._tell_broker(broker_id, Stop(STOP_DEADLINE_MS))
        else:
            os.kill(self._children[broker_id].pid, signal.SIGTERM)

    def _file_is_stale(self) -> None:
        # several changes of one turn make one write
        if not self._is_file_stale:
            self._is_file_stale = True
            self.tell(self.path, WriteFile())
