"""Who is heard: the sessions of the registered brokers, and whether this controller is one of many or alone.

The supervisor says who is dead. A broker that lives and is cut off from the controller is found out here: it sends a
heartbeat every `broker.heartbeat.interval.ms`, and when none has come for `broker.session.timeout.ms`, it is fenced. A
broker that is heard and does not hear us says so (`is_deaf`); it would never learn what is decided, so it counts as
unheard.

Who hears fewer than half of the brokers resigns, since the others can't be told anything. Half is enough to go on: the
lease lets only one half have the controller, and with two brokers neither would ever be the better one.
"""

from __future__ import annotations

from collections.abc import Mapping

from machines.controller_state import ControllerState
from machines.metadata import BrokerInfo
from protocol.cluster_control import BrokerHeartbeat, BrokerHeartbeatReply, ControllerRequest, RegisterBroker

LATE_MS = 2_000
"""Between two ticks. Whoever was stopped for longer has heard nobody, and that is not their fault."""


def heartbeat(state: ControllerState, request: BrokerHeartbeat) -> BrokerHeartbeatReply:
    is_registered = state.is_current(request.broker_id, request.incarnation) is not None
    return BrokerHeartbeatReply(request.correlation_id, is_registered)


class Sessions:
    """The first call must be `begin`."""

    def __init__(self, state: ControllerState) -> None:
        self._state = state
        self._heard_ms: dict[int, int] = {}
        self._since_ms = 0  # when we began to listen
        self._looked_ms = 0
        self._cut_off: dict[int, int] = {}  # broker -> the incarnation that was fenced, though it may live

    def begin(self, alive: Mapping[int, int], now_ms: int) -> None:
        """Everybody has a whole session from now on. `alive` is broker -> incarnation."""
        self._since_ms = self._looked_ms = now_ms
        self._heard_ms.clear()
        for broker in self._state.image.brokers.values():
            if broker.is_fenced and alive.get(broker.broker_id) == broker.incarnation:
                self._cut_off[broker.broker_id] = broker.incarnation

    def hear(self, request: ControllerRequest, now_ms: int) -> None:
        """Only what a broker says of itself counts: other requests come from the deaf as well."""
        if type(request) is RegisterBroker:
            self._heard_ms[request.broker_id] = now_ms
        elif type(request) is BrokerHeartbeat:
            if not self._state.is_current(request.broker_id, request.incarnation):
                return
            if request.is_deaf:
                # half a session is left, in which all the others say so, too, if it is we who can't be heard
                now_ms = min(now_ms - self._session_ms // 2, self._last_heard_ms(request.broker_id))
            self._heard_ms[request.broker_id] = now_ms

    def is_cut_off(self, now_ms: int) -> bool:
        """Fewer than half of the brokers that may live have been heard for a session."""
        if now_ms - self._looked_ms > LATE_MS:
            self._heard_ms.clear()
            self._since_ms = now_ms
        self._looked_ms = now_ms
        has_listened = now_ms - self._since_ms >= self._session_ms  # those fenced before us had no time to come back
        return has_listened and not self._hears_half(now_ms, self._session_ms)

    def unheard(self, now_ms: int) -> list[BrokerInfo]:
        """Who must be fenced now.

        Nobody while half of them have been silent for a while: it may be we who are cut off, and whoever we fence
        before we know that is missed by the next controller.
        """
        session_ms = self._session_ms
        unheard = [broker for broker in self._others() if self._silence_ms(broker, now_ms) >= session_ms]
        if not unheard or not self._hears_half(now_ms, session_ms // 2):
            return []
        for broker in unheard:
            self._cut_off[broker.broker_id] = broker.incarnation
        return unheard

    @property
    def _session_ms(self) -> int:
        return self._state.config.get_int("broker.session.timeout.ms")

    def _others(self) -> list[BrokerInfo]:
        """Registered, and not this one."""
        image = self._state.image
        return [broker for broker in image.live_brokers() if broker.broker_id != image.controller_id]

    def _hears_half(self, now_ms: int, within_ms: int) -> bool:
        others, image, dead = self._others(), self._state.image, self._state.dead
        heard = sum(self._silence_ms(broker, now_ms) < within_ms for broker in others)
        for broker_id, incarnation in list(self._cut_off.items()):
            known = image.brokers.get(broker_id)
            is_back = known is None or not known.is_fenced or known.incarnation != incarnation
            if is_back or broker_id == image.controller_id or dead.get(broker_id, -1) >= incarnation:
                del self._cut_off[broker_id]
        return 2 * (1 + heard) >= 1 + len(others) + len(self._cut_off)

    def _silence_ms(self, broker: BrokerInfo, now_ms: int) -> int:
        return now_ms - self._last_heard_ms(broker.broker_id)

    def _last_heard_ms(self, broker_id: int) -> int:
        return self._heard_ms.get(broker_id, self._since_ms)
