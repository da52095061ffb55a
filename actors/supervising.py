"""The supervisor's own process once everything is taken: loop, bus, signals, and the lines the user sees."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from typing import TYPE_CHECKING

from actors.actor_system import ActorSystem
from actors.broker_spawn import Child
from actors.broker_watch import BrokerWatch
from actors.cluster_plan import ClusterPlan, bootstrap_of
from actors.event_log import EventLog
from actors.supervision import RestartPolicy
from actors.supervisor import Supervisor
from protocol.cluster_supervision import SUPERVISOR_ADDRESS, SUPERVISOR_NODE, SupervisionMessage
from transport.bus import Bus
from transport.ports import port_of

if TYPE_CHECKING:
    from actors.launch import Ground, Options
    from transport.envelope import Envelope

logger = logging.getLogger(__name__)

# `timeout` and other wrappers send a signal to their child and to its group: that is one wish, not two
SAME_SIGNAL_S = 0.1
EXIT_INTERRUPTED = 130
EXIT_SUPERVISOR_FAILED = 70
# a supervisor that did not end in order may have given out more incarnations than cluster.json shows
UNCLEAN_SKIP = 100


def supervise(options: Options, ground: Ground, children: dict[int, Child], name: str, began_s: float) -> int:
    """Run the cluster until it is stopped; the exit code. No broker is left on return."""
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(levelname)s supervisor %(name)s: %(message)s"
    )
    logging.getLogger("pykka").setLevel(logging.WARNING)
    return asyncio.run(Supervising(options, ground, children, name, began_s).run())


class Supervising:
    def __init__(
        self, options: Options, ground: Ground, children: dict[int, Child], name: str, began_s: float
    ) -> None:
        self.options = options
        self.ground = ground
        self.children = children
        self.began_s = began_s
        self.plan = ClusterPlan(
            cluster_id=ground.directory.cluster_id,
            process_name=name,
            cluster_dir=ground.directory.path,
            run_dir=ground.run.path,
            host=options.host,
            overrides=ground.overrides,
            log_level=options.log_level,
            broker_class=options.broker_class,
            incarnation=int(time.time()),
        )
        self.events = EventLog(ground.directory.path, "supervisor", SUPERVISOR_NODE, self.plan.incarnation)
        self.supervisor: Supervisor
        self.done: asyncio.Future[int]
        self.stop_asked_s: float | None = None

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        self.done = loop.create_future()
        system = ActorSystem(RestartPolicy(intensity=0), on_escalation=self._on_escalation)
        bus = Bus(
            SUPERVISOR_NODE,
            self.plan.incarnation,
            directory=self.plan.run_dir,
            host=None,
            message_type=SupervisionMessage,
            deliver=lambda envelope: _hand_over(system, envelope),
        )
        await bus.start()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup has SIGHUP ignored, and that should stay so
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._on_signal)
        system.start(SUPERVISOR_ADDRESS, lambda: self._make_supervisor(bus))
        if self.plan.overrides.get("odradek.chaos.enabled", "true").lower() == "true":
            await self.supervisor.chaos.open()
        try:
            return await self.done
        finally:
            self.supervisor.kill_all()
            system.stop_all()
            self.supervisor.chaos.close()
            await bus.close()
            self.events.close()

    def _make_supervisor(self, bus: Bus) -> Supervisor:
        self.supervisor = Supervisor(
            self.plan,
            BrokerWatch(self._brokers(), restarts=self.options.restarts, policy=self._policy()),
            self.children,
            bus,
            say=_say,
            on_ready=self._on_ready,
            on_end=self._on_end,
            events=self.events,
        )
        return self.supervisor

    def _policy(self) -> RestartPolicy:
        return RestartPolicy(intensity=self.options.restarts_per_minute, period_ms=60_000)

    def _brokers(self) -> dict[int, tuple[str, int, int]]:
        before = self.ground.directory.before
        skip = UNCLEAN_SKIP if before is not None and before.state != "stopped" else 0
        return {
            number: (
                self.plan.host,
                port_of(reserved),
                (before.incarnation_of(number) if before is not None else 0) + skip,
            )
            for number, reserved in enumerate(self.ground.reserved, start=1)
        }

    def _on_ready(self) -> None:
        _say(f"ready bootstrap={bootstrap_of(self.supervisor.watch)} in {time.monotonic() - self.began_s:.2f} s")

    def _on_end(self, exit_code: int) -> None:
        if not self.done.done():
            self.done.set_result(exit_code)

    def _on_escalation(self, _path: str, reason: str) -> None:
        logger.critical("the supervisor failed, the cluster ends: %s", reason)
        self._on_end(EXIT_SUPERVISOR_FAILED)

    def _on_signal(self) -> None:
        now_s = time.monotonic()
        if self.stop_asked_s is None:
            self.stop_asked_s = now_s
            self.supervisor.stop_cluster()
        elif now_s - self.stop_asked_s > SAME_SIGNAL_S:
            self.supervisor.kill_all()
            self.ground.close()
            os._exit(EXIT_INTERRUPTED)


def _hand_over(system: ActorSystem, envelope: Envelope) -> None:
    system.tell(SUPERVISOR_ADDRESS, envelope.message)


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except OSError:
        # nobody reads our output any more; the cluster lives on
        pass
