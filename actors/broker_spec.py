"""What a broker process is told by the supervisor that spawned it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_BROKER_CLASS = f"{__package__}.broker:Broker"


@dataclass(frozen=True, slots=True)
class BrokerSpec:
    """`cluster_dir` is shared by all brokers of the cluster, `data_dir` is this broker's own, `run_dir` holds sockets.

    The port is reserved by the supervisor: bind it with SO_REUSEPORT (`transport.ports`).
    """

    broker_id: int
    incarnation: int
    cluster_id: str
    cluster_dir: Path
    data_dir: Path
    run_dir: Path
    log_dir: Path
    host: str
    port: int
    overrides: dict[str, str]
    log_level: str
    supervisor_pid: int
    supervisor_incarnation: int
    supervisor_data_endpoint: str
    supervisor_control_endpoint: str
    broker_class: str = DEFAULT_BROKER_CLASS

    def encode(self) -> bytes:
        import msgspec

        return msgspec.json.encode(self, enc_hook=str)

    @classmethod
    def decode(cls, encoded: bytes) -> BrokerSpec:
        import msgspec

        return msgspec.json.decode(encoded, type=cls, dec_hook=_path)


def _path(kind: type[Any], value: str) -> Any:
    assert issubclass(kind, Path)
    return Path(value)
