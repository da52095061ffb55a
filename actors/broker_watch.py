"""What the supervisor knows of its brokers and what it decides: a pure machine, run by `actors/supervisor.py`.

Life of a broker: starting → running → (stopping →) down → starting … with a new incarnation each time; failed when it
died too often. Two witnesses of death: the process's end (`ProcessEnded`, at once) and silence (`Tick`). A silent
broker is first looked at: a stopped process is killed after STOPPED_MS, one that still runs may only be busy (a slow
disk, a long start) and gets BUSY_MS. Whoever is silent too long is killed before anyone else takes over what it led.
"""

from __future__ import annotations

from actors.broker_events import (
    AllStopped,
    Announce,
    AskToStop,
    BrokerIsUp,
    ClusterCannotStart,
    ClusterIsReady,
    Connect,
    Effect,
    Event,
    GaveUp,
    Kill,
    LookAt,
    Looked,
    ProcessEnded,
    Spawn,
    Spawned,
    StateChanged,
    StopRequested,
    Tick,
)
from actors.broker_watched import Watched
from actors.supervision import (
    ChildEnded,
    ChildReady,
    ChildStarted,
    Escalate,
    RestartPolicy,
    StartChild,
    Supervision,
)
from protocol.cluster_supervision import (
    BrokerDown,
    BrokerHello,
    BrokerReady,
    ClusterView,
    ControllerElected,
    Heartbeat,
)

TICK_MS = 100
# a view that a broker has missed would leave it without its peers until the next change
VIEW_AGAIN_MS = 1_000
LOOK_AFTER_MS = 300
STOPPED_MS = 800
BUSY_MS = 3_000
STARTING_MS = 60_000
# 50 ms .. 2 s between restarts; a broker that dies 20 times in a minute stays down
BROKER_RESTARTS = RestartPolicy(intensity=20, period_ms=60_000)
FIRST_START_ATTEMPTS = 3
# an orderly stop of the whole cluster; what is left then is killed
STOP_MS = 1_600


class BrokerWatch:
    """`brokers` maps id to (host, port, last incarnation given out before)."""

    def __init__(
        self,
        brokers: dict[int, tuple[str, int, int]],
        *,
        restarts: bool = True,
        policy: RestartPolicy = BROKER_RESTARTS,
    ) -> None:
        self.restarts = restarts
        self.brokers = {
            broker_id: Watched(broker_id, host, port, incarnation, Supervision(policy))
            for broker_id, (host, port, incarnation) in brokers.items()
        }
        self.controller_id = -1
        self.controller_epoch = -1
        self.was_ready = False
        self.is_stopping = False
        self._view = ClusterView(0, -1, ())
        self._view_age_ms = 0
        self._stopping_ms = 0
        self._last_tick_ms: int | None = None

    def begin(self) -> list[Effect]:
        """The first spawns. Their incarnations must be on disk (`StateChanged`) before they run."""
        return [StateChanged(), *(self._spawn(broker, 0) for broker in self.brokers.values())]

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        match event:
            case Heartbeat(broker_id, incarnation):
                broker = self._current(broker_id, incarnation)
                if broker is not None:
                    broker.silence_ms = 0
                return []
            case Tick():
                return self._tick(now_ms)
            case Looked(broker_id, incarnation, is_stopped):
                return self._looked(self._current(broker_id, incarnation), is_stopped)
            case Spawned(broker_id, incarnation, pid):
                return self._spawned(self.brokers[broker_id], incarnation, pid, now_ms)
            case BrokerHello():
                return self._hello(self._current(event.broker_id, event.incarnation), event)
            case BrokerReady(broker_id, incarnation):
                return self._ready(self._current(broker_id, incarnation), now_ms)
            case ControllerElected(broker_id, epoch):
                return self._elected(broker_id, epoch)
            case ProcessEnded(broker_id, incarnation, reason):
                return self._ended(self._current(broker_id, incarnation), reason, now_ms)
            case StopRequested():
                return self._stop()

    def view(self) -> ClusterView:
        """What is now, under the next version."""
        self._view_age_ms = 0
        brokers = tuple(broker.view() for broker in self.brokers.values())
        self._view = ClusterView(self._view.version + 1, self.controller_id, brokers)
        return self._view

    def _current(self, broker_id: int, incarnation: int) -> Watched | None:
        broker = self.brokers.get(broker_id)
        if broker is None or broker.incarnation != incarnation or broker.pid == 0:
            return None
        return broker

    def _changed(self) -> list[Effect]:
        return [Announce(self.view()), StateChanged()]

    def _spawn(self, broker: Watched, delay_ms: int) -> Spawn:
        broker.incarnation += 1
        return Spawn(broker.broker_id, broker.incarnation, delay_ms)

    def _spawned(self, broker: Watched, incarnation: int, pid: int, now_ms: int) -> list[Effect]:
        assert incarnation == broker.incarnation
        broker.state, broker.pid, broker.silence_ms = "starting", pid, 0
        broker.is_killed = False
        broker.supervision.step(ChildStarted("broker", "permanent" if self.restarts else "temporary"), now_ms)
        return [StateChanged()]

    def _hello(self, broker: Watched | None, hello: BrokerHello) -> list[Effect]:
        if broker is None or broker.data_endpoint == hello.data_endpoint:
            return []
        broker.data_endpoint, broker.control_endpoint = hello.data_endpoint, hello.control_endpoint
        broker.silence_ms = 0
        return [Connect(hello), *self._changed()]

    def _ready(self, broker: Watched | None, now_ms: int) -> list[Effect]:
        if broker is None or broker.state != "starting":
            return []
        broker.state = "running"
        broker.silence_ms = 0
        broker.supervision.step(ChildReady("broker"), now_ms)
        effects: list[Effect] = [BrokerIsUp(broker.broker_id, not broker.was_ready)]
        broker.was_ready = True
        if not self.was_ready and all(other.state == "running" for other in self.brokers.values()):
            self.was_ready = True
            effects.append(ClusterIsReady())
        return [*self._changed(), *effects]

    def _elected(self, broker_id: int, epoch: int) -> list[Effect]:
        if epoch <= self.controller_epoch:
            return []
        self.controller_id, self.controller_epoch = broker_id, epoch
        return self._changed()

    def _tick(self, now_ms: int) -> list[Effect]:
        # when we were held up ourselves (stopped, starved) everybody seems silent: that time does not count
        last_ms = now_ms if self._last_tick_ms is None else self._last_tick_ms
        passed_ms = min(now_ms - last_ms, 2 * TICK_MS)
        self._last_tick_ms = now_ms
        if self.is_stopping:
            return self._hurry(passed_ms)
        effects: list[Effect] = []
        self._view_age_ms += passed_ms
        if self._view.version and self._view_age_ms >= VIEW_AGAIN_MS:
            self._view_age_ms = 0
            effects.append(Announce(self._view))
        for broker in self.brokers.values():
            if broker.pid and not broker.is_killed:
                broker.silence_ms += passed_ms
                if broker.silence_ms >= LOOK_AFTER_MS:
                    effects.append(LookAt(broker.broker_id))
        return effects

    def _looked(self, broker: Watched | None, is_stopped: bool) -> list[Effect]:
        if broker is None or broker.is_killed:
            return []
        limit_ms = STOPPED_MS if is_stopped else STARTING_MS if broker.state == "starting" else BUSY_MS
        if broker.silence_ms < limit_ms:
            return []
        broker.is_killed = True
        return [Kill(broker.broker_id, f"no heartbeat for {broker.silence_ms} ms")]

    def _ended(self, broker: Watched | None, reason: str, now_ms: int) -> list[Effect]:
        if broker is None:
            return []
        dead = broker.incarnation
        broker.state, broker.pid, broker.data_endpoint, broker.control_endpoint = "down", 0, "", ""
        if self.controller_id == broker.broker_id:
            self.controller_id = -1
        # first of all: the others wait for this to elect new leaders
        effects: list[Effect] = [Announce(BrokerDown(broker.broker_id, dead, reason))]
        if self.is_stopping:
            return [*effects, StateChanged(), *self._stop_next()]
        decision = broker.supervision.step(ChildEnded("broker", is_failure=True), now_ms)
        for what in decision:
            match what:
                case StartChild(_, delay_ms):
                    if not self.was_ready and not broker.was_ready and broker.restarts + 1 >= FIRST_START_ATTEMPTS:
                        return [*effects, ClusterCannotStart(broker.broker_id, reason)]
                    broker.restarts += 1
                    effects.append(self._spawn(broker, delay_ms))
                case Escalate():
                    broker.state = "failed"
                    effects.append(GaveUp(broker.broker_id, reason))
        if not self.restarts and not self.was_ready and not broker.was_ready:
            return [*effects, ClusterCannotStart(broker.broker_id, reason)]
        return [*effects, *self._changed()]

    def _stop(self) -> list[Effect]:
        if self.is_stopping:
            return []
        self.is_stopping = True
        return [*self._stop_next(), *self._changed()]

    def _stop_next(self) -> list[Effect]:
        """One after the other, so that each can hand over to those that remain; the controller, their helper, last."""
        alive = [broker for broker in self.brokers.values() if broker.pid]
        if not alive:
            return [AllStopped()]
        if any(broker.state == "stopping" for broker in alive):
            return []
        return self._ask_one(alive)

    def _ask_one(self, candidates: list[Watched]) -> list[Effect]:
        broker = min(candidates, key=lambda other: (other.broker_id == self.controller_id, other.broker_id))
        broker.state = "stopping"
        return [AskToStop(broker.broker_id)]

    def _hurry(self, passed_ms: int) -> list[Effect]:
        """A broker that takes more than its share of STOP_MS no longer holds up the next; at the end all are killed."""
        self._stopping_ms += passed_ms
        alive = [broker for broker in self.brokers.values() if broker.pid]
        if self._stopping_ms >= STOP_MS:
            return [Kill(broker.broker_id, "did not stop in time") for broker in alive]
        slow = [broker for broker in alive if broker.state == "stopping"]
        for broker in slow:
            broker.stopping_ms += passed_ms
        share_ms = STOP_MS // (len(self.brokers) + 1)
        if any(broker.stopping_ms < share_ms for broker in slow):
            return []
        waiting = [broker for broker in alive if broker.state != "stopping"]
        return self._ask_one(waiting) if waiting else []

    def forget_processes(self) -> None:
        """All of them were killed and reaped from outside; nothing follows."""
        self.is_stopping = True
        self.controller_id = -1
        for broker in self.brokers.values():
            broker.state, broker.pid, broker.data_endpoint, broker.control_endpoint = "down", 0, "", ""

    def check(self) -> None:
        """Assert the invariants."""
        for broker in self.brokers.values():
            assert broker.pid == 0 or broker.state in ("starting", "running", "stopping"), broker
            assert broker.pid or not broker.data_endpoint, "an endpoint without a process"
        assert self.controller_id == -1 or self.controller_id in self.brokers
