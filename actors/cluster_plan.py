"""What is the same for every broker over all its lives, and what follows from it for one life and for cluster.json."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from actors.broker_spec import BrokerSpec
from actors.broker_watch import BrokerWatch
from actors.broker_watched import Watched
from actors.cluster_file import BrokerEntry, ClusterFile, ClusterState
from actors.gateways import gateway_endpoint

if TYPE_CHECKING:
    from transport.bus import Bus


def bootstrap_of(brokers: BrokerWatch) -> str:
    """The addresses of all of them, as clients are given them."""
    return ",".join(f"{broker.host}:{broker.port}" for broker in brokers.brokers.values())


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """`incarnation` is the supervisor's own."""

    cluster_id: str
    process_name: str
    cluster_dir: Path
    run_dir: Path
    host: str
    overrides: dict[str, str]
    log_level: str
    broker_class: str
    incarnation: int

    def spec_of(self, broker: Watched, bus: Bus) -> BrokerSpec:
        """For the life that this broker begins now; `bus` is the supervisor's."""
        return BrokerSpec(
            broker_id=broker.broker_id,
            incarnation=broker.incarnation,
            cluster_id=self.cluster_id,
            cluster_dir=self.cluster_dir,
            data_dir=self.cluster_dir / f"broker-{broker.broker_id}",
            run_dir=self.run_dir,
            log_dir=self.cluster_dir / "logs",
            host=broker.host,
            port=broker.port,
            overrides=self.overrides,
            log_level=self.log_level,
            supervisor_pid=os.getpid(),
            supervisor_incarnation=self.incarnation,
            supervisor_data_endpoint=bus.data_endpoint,
            supervisor_control_endpoint=bus.control_endpoint,
            broker_class=self.broker_class,
        )

    def file_of(self, brokers: BrokerWatch, state: ClusterState, chaos_socket: str | None) -> ClusterFile:
        """What cluster.json says now."""
        return ClusterFile(
            cluster_id=self.cluster_id,
            state=state,
            supervisor_pid=os.getpid() if state != "stopped" else None,
            controller_id=brokers.controller_id if brokers.controller_id >= 0 else None,
            bootstrap=bootstrap_of(brokers),
            brokers=tuple(self._entry_of(broker) for broker in brokers.brokers.values()),
            chaos_socket=chaos_socket,
        )

    def _entry_of(self, broker: Watched) -> BrokerEntry:
        port = int(self.overrides.get("zmq.port", -1))
        endpoint = gateway_endpoint(port, self.run_dir, self.host, broker.broker_id)
        return BrokerEntry(
            id=broker.broker_id,
            pid=broker.pid or None,
            host=broker.host,
            port=broker.port,
            zmq_endpoint=endpoint if broker.state == "running" else None,
            state=broker.state,
            incarnation=broker.incarnation,
            restarts=broker.restarts,
        )
