"""A broker made to suffer: performs the orders of `protocol/cluster_chaos.py` inside its own process.

Nothing here costs anything while no fault is in force: the bus asks its hook only when it has one, disk and clock are
replaced only then, and the dispatcher looks at one attribute.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from actors.request_faults import RequestFaults
from protocol.cluster_chaos import (
    ClockSkew,
    CrashActor,
    DiskTrouble,
    Fault,
    HealAll,
    HealRequests,
    Insight,
    Inspect,
    LinkRule,
    Network,
    RequestFault,
    Suffer,
    Suffered,
)
from protocol.cluster_supervision import SUPERVISOR_NODE
from protocol.events import birth
from storage.disk import full_disk
from transport.faults import DELIVER, DROP, Verdict

if TYPE_CHECKING:
    from actors.broker import Broker

logger = logging.getLogger(__name__)


class Injected(Exception):
    """An actor fails because somebody wished it. `event_id` is the wish."""

    def __init__(self, event_id: int) -> None:
        super().__init__("by chaos")
        self.event_id = event_id


class RuledNetwork:
    """The bus's fault hook."""

    def __init__(self, rules: tuple[LinkRule, ...], seed: int) -> None:
        self.rules = rules
        self._random = random.Random(seed)

    def decide(self, sender: int, to: int, kind: str) -> Verdict:
        if to == SUPERVISOR_NODE:
            return DELIVER
        for rule in self.rules:
            if rule.to in (-1, to) and rule.kind in ("", kind):
                return self._verdict(rule)
        return DELIVER

    def _verdict(self, rule: LinkRule) -> Verdict:
        chance = self._random.random
        if rule.loss and chance() < rule.loss:
            return DROP
        delay_ms = rule.delay_ms + (rule.jitter_ms * chance() if rule.jitter_ms else 0.0)
        is_twice = bool(rule.duplication) and chance() < rule.duplication
        return Verdict(delay_ms=delay_ms, duplicates=int(is_twice)) if delay_ms or is_twice else DELIVER


class Suffering:
    """All faults of one broker's process."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._clock: tuple[Callable[[], float], Callable[[], int]] | None = None
        self._disk: dict[str, Any] = {}

    def perform(self, order: Suffer) -> Suffered:
        """Never raises: what goes wrong is the answer."""
        me = self.broker.spec.broker_id
        if not self.broker.config.get_bool("odradek.chaos.enabled"):
            return Suffered(order.number, me, error="odradek.chaos.enabled is false")
        try:
            return Suffered(order.number, me, said=self._perform(order.fault, order.event))
        except Exception as error:
            logger.exception("chaos: %r", order.fault)
            return Suffered(order.number, me, error=f"{type(error).__name__}: {error}")

    def _perform(self, fault: Fault, event: int) -> str:
        if type(fault) is not Inspect:
            logger.info("chaos: %r", fault)
        match fault:
            case Network():
                self._network(fault)
            case ClockSkew():
                self._skew(fault)
            case DiskTrouble():
                self._trouble(fault, event)
            case CrashActor():
                return self._crash(fault, event)
            case RequestFault():
                self._request_faults().add(fault)
            case Inspect():
                return self._insight()
            case HealRequests():
                return self._heal_requests()
            case HealAll():
                return self._heal()
        return ""

    def _heal(self) -> str:
        self._network(Network(()))
        self._restore_clock()
        self._restore_disk()
        return self._heal_requests()

    def _heal_requests(self) -> str:
        faults = self.broker.dispatcher.faults
        if faults is None:
            return ""
        if not faults.is_deaf:
            self.broker.dispatcher.faults = None
        return str(faults.disarm() or "")

    # -- network -------------------------------------------------------------------------------------------------------

    def _network(self, fault: Network) -> None:
        self.broker.bus.faults = RuledNetwork(fault.rules, fault.seed) if fault.rules else None
        if fault.hides_clients:
            self._request_faults().is_deaf = True
        elif self.broker.dispatcher.faults is not None:
            self.broker.dispatcher.faults.hear_again()

    def _request_faults(self) -> RequestFaults:
        dispatcher = self.broker.dispatcher
        if dispatcher.faults is None:
            dispatcher.faults = RequestFaults(self.broker.loop)
        return dispatcher.faults

    # -- clock ---------------------------------------------------------------------------------------------------------

    def _skew(self, fault: ClockSkew) -> None:
        """For the whole process: whoever asks `time` for the wall clock gets the wrong one."""
        self._restore_clock()
        if not fault.offset_ms and not fault.drift:
            return
        _, wall_ns = self._clock = time.time, time.time_ns
        began_ns, offset_ns, drift = wall_ns(), fault.offset_ms * 1_000_000, fault.drift

        def skewed_ns() -> int:
            now_ns = wall_ns()
            return now_ns + offset_ns + int((now_ns - began_ns) * drift)

        time.time_ns = skewed_ns
        time.time = lambda: skewed_ns() / 1e9

    def _restore_clock(self) -> None:
        if self._clock is not None:
            time.time, time.time_ns = self._clock
            self._clock = None

    # -- disk ----------------------------------------------------------------------------------------------------------

    def _trouble(self, fault: DiskTrouble, event: int) -> None:
        """The disk's own methods, wrapped: a full one raises what the system would, a slow one blocks as it would.

        `event` is the wish, for the timeline: what fails for want of room fails for its sake.
        """
        self._restore_disk()
        if not (fault.is_full or fault.write_delay_ms or fault.sync_delay_ms):
            return
        disk: Any = self.broker.replicas.disk
        write, sync, part = disk.write, disk.sync, fault.path

        def troubled_write(path: Any, buffer: Any, position: int) -> None:
            if part in str(path):
                if fault.write_delay_ms:
                    time.sleep(fault.write_delay_ms / 1000)
                if fault.is_full and len(buffer):
                    failure = full_disk(path)
                    failure.event_id = event  # type: ignore[attr-defined]
                    raise failure
            write(path, buffer, position)

        def troubled_sync(path: Any) -> None:
            if fault.sync_delay_ms and part in str(path):
                time.sleep(fault.sync_delay_ms / 1000)
            sync(path)

        disk.write, disk.sync = troubled_write, troubled_sync
        self._disk = {"write": write, "sync": sync}

    def _restore_disk(self) -> None:
        for name in self._disk:
            delattr(self.broker.replicas.disk, name)
        self._disk = {}

    # -- actors --------------------------------------------------------------------------------------------------------

    def _crash(self, fault: CrashActor, event: int) -> str:
        system = self.broker.system
        paths = sorted(path for path in system.mail.actors if path.startswith(fault.prefix))
        if not paths:
            raise LookupError(f"no actor below {fault.prefix}")
        path = random.Random(fault.seed).choice(paths)
        # in a turn of its own, as a failure of its own would be
        asyncio.get_running_loop().call_soon(self._fail, path, event)
        return path

    def _insight(self) -> str:
        rows = self.broker.system.statistics()
        down = sorted(path for path, row in rows.items() if not row.is_running)
        failures = sum(row.failures for row in rows.values())
        return msgspec.json.encode(Insight(len(rows), down, failures, sum(r.restarts for r in rows.values()))).decode()

    def _fail(self, path: str, event: int) -> None:
        actor = self.broker.system.mail.actors.get(path)
        if actor is not None:
            spec = self.broker.spec
            self.broker.system.fail(actor, Injected(event or birth(spec.broker_id, spec.incarnation)))
