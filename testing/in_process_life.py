"""One incarnation of a broker on a thread of this process: its loop, its bus, its end."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import TYPE_CHECKING

from testing.waiting import ClusterFailed

if TYPE_CHECKING:
    from actors.actor_system import ActorSystem
    from actors.broker import Broker
    from actors.broker_spec import BrokerSpec
    from transport.bus import Bus
    from transport.envelope import Envelope

logger = logging.getLogger(__name__)


class InProcessLife:
    """One incarnation: a thread, its loop, its broker."""

    broker: Broker
    bus: Bus
    system: ActorSystem
    loop: asyncio.AbstractEventLoop

    def __init__(self, spec: BrokerSpec, events: list[str]) -> None:
        self.spec = spec
        self.may_turn = threading.Event()
        self.may_turn.set()
        self._events = events
        self._has_begun = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="odradek-broker-1", daemon=True)

    def begin(self, timeout_s: float) -> None:
        self._thread.start()
        if not self._has_begun.wait(timeout_s):
            raise ClusterFailed(f"the broker in this process did not start within {timeout_s:g} s")
        if self._failure is not None:
            raise self._failure

    def end(self, timeout_s: float, *, is_orderly: bool) -> None:
        self.may_turn.set()
        work = asyncio.run_coroutine_threadsafe(self._stop() if is_orderly else self._drop(), self.loop)
        try:
            work.result(timeout_s)
        except TimeoutError:
            logger.warning("the broker in this process did not end within %g s", timeout_s)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        import uvloop

        self.loop = loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._start())
        except BaseException as failure:
            self._failure = failure
            self._has_begun.set()
        else:
            self._has_begun.set()
            loop.run_forever()
        finally:
            loop.run_until_complete(_end_all_tasks())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    async def _start(self) -> None:
        from actors.actor_system import ActorSystem
        from actors.broker import Broker
        from actors.event_log import EventLog
        from protocol.cluster_supervision import BrokerView, ClusterView
        from protocol.events import birth
        from transport.bus import Bus
        from transport.ports import bind_socket

        spec = self.spec
        os.makedirs(spec.data_dir, exist_ok=True)
        self.system = ActorSystem(on_escalation=self._gave_up)
        self.system.events = EventLog(spec.cluster_dir, "broker-1", spec.broker_id, spec.incarnation)
        self.system.events.tell(
            "broker-started",
            "broker 1",
            own_id=birth(spec.broker_id, spec.incarnation),
            incarnation=spec.incarnation,
            pid=os.getpid(),
        )
        self.bus = Bus(
            spec.broker_id, spec.incarnation, directory=spec.run_dir, host=None, message_type=Broker.message_type,
            deliver=self._deliver,
        )  # fmt: skip
        await self.bus.start()
        self.broker = Broker(spec, self.bus, self.system)
        listener = bind_socket(spec.host, spec.port)
        ends = self.bus.data_endpoint, self.bus.control_endpoint
        view = BrokerView(spec.broker_id, spec.incarnation, "running", spec.host, spec.port, *ends, os.getpid())
        self.broker.on_cluster_view(ClusterView(1, -1, (view,)))
        await self.broker.start(listener)

    @property
    def gateway(self) -> str:
        """Where ZeroMQ clients connect."""
        from actors.gateways import gateway_endpoint

        return gateway_endpoint(self.broker.zmq_port, self.spec.run_dir, self.spec.host, self.spec.broker_id)

    async def _stop(self) -> None:
        await self.broker.stop()
        self.system.stop_all()
        await self._let_go()

    async def _drop(self) -> None:
        """Only what the kernel would do at a process's end: sockets, files and locks go, nothing is written."""
        broker = self.broker
        broker._is_stopping = True
        for timer in broker._timers:
            timer.cancel()
        await broker.controller.stop()
        await broker.listener.close()
        await broker.gateway.close()
        broker.peers.close()
        await self._let_go()

    async def _let_go(self) -> None:
        """What would otherwise stay open, or in pykka's registry, for as long as this process lives."""
        await self.bus.close()
        self.system.events.close()
        self.broker.replicas.disk.close_all()
        self.system.abandon()

    def _deliver(self, envelope: Envelope) -> None:
        self.broker.on_envelope(envelope)

    def _gave_up(self, path: str, reason: str) -> None:
        self._events.append(f"broker 1 failed: {path}: {reason}")


async def _end_all_tasks() -> None:
    """As asyncio.run does at its end; a killed broker leaves its actors' tasks behind."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
