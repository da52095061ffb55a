"""One broker as the supervisor sees it, over all its lives."""

from __future__ import annotations

from dataclasses import dataclass

from actors.supervision import Supervision
from protocol.cluster_supervision import BrokerState, BrokerView


@dataclass(slots=True)
class Watched:
    """One broker; `silence_ms` counts while a process runs."""

    broker_id: int
    host: str
    port: int
    incarnation: int
    supervision: Supervision
    state: BrokerState = "starting"
    pid: int = 0
    data_endpoint: str = ""
    control_endpoint: str = ""
    restarts: int = 0
    silence_ms: int = 0
    is_killed: bool = False
    stopping_ms: int = 0
    was_ready: bool = False

    def view(self) -> BrokerView:
        return BrokerView(
            self.broker_id,
            self.incarnation,
            self.state,
            self.host,
            self.port,
            self.data_endpoint,
            self.control_endpoint,
            self.pid,
        )
