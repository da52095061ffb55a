"""The front door for outside programs.

    from odradek import Cluster, Producer

    with Cluster(brokers=3) as cluster:
        with Producer({"bootstrap.servers": cluster.bootstrap}) as producer:
            producer.send("orders", b"a record").result()
        print(cluster.kill_leader("orders", 0))

Everything is imported when it is first asked for: who wants a Cluster does not pay for the clients.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clients.admin import Admin, AsyncAdmin
    from clients.admin_types import NewTopic
    from clients.async_consumer import AsyncConsumer
    from clients.async_producer import AsyncProducer
    from clients.committed import OffsetAndMetadata
    from clients.consumer import Consumer
    from clients.producer import Producer
    from clients.rebalance import RebalanceListener
    from clients.records import ConsumerRecord
    from clients.retry_topics import PermanentFailure, RetryTopics
    from model.errors import OdradekError
    from model.ids import TopicPartition
    from testing.cluster import Cluster
    from testing.waiting import ClusterFailed, Healed, wait_until

__version__ = "0.1.0"
__all__ = [
    "Admin",
    "AsyncAdmin",
    "AsyncConsumer",
    "AsyncProducer",
    "Cluster",
    "ClusterFailed",
    "Consumer",
    "ConsumerRecord",
    "Healed",
    "NewTopic",
    "OdradekError",
    "OffsetAndMetadata",
    "PermanentFailure",
    "Producer",
    "RebalanceListener",
    "RetryTopics",
    "TopicPartition",
    "wait_until",
]

_PREFIX = f"{__name__}." if "__path__" in globals() else ""  # in the wheel we are a package and the rooms lie in it
_LAZY = {
    "Admin": "clients.admin",
    "AsyncAdmin": "clients.admin",
    "AsyncConsumer": "clients.async_consumer",
    "AsyncProducer": "clients.async_producer",
    "Cluster": "testing.cluster",
    "ClusterFailed": "testing.waiting",
    "Consumer": "clients.consumer",
    "ConsumerRecord": "clients.records",
    "Healed": "testing.waiting",
    "NewTopic": "clients.admin_types",
    "OdradekError": "model.errors",
    "OffsetAndMetadata": "clients.committed",
    "PermanentFailure": "clients.retry_topics",
    "Producer": "clients.producer",
    "RebalanceListener": "clients.rebalance",
    "RetryTopics": "clients.retry_topics",
    "TopicPartition": "model.ids",
    "wait_until": "testing.waiting",
}


if not _PREFIX:
    # In a checkout the rooms are top-level packages; `from odradek.streams import …` finds them there all the same.
    from model.room_alias import install

    install(f"{__name__}.streams", "streams")


def __getattr__(name: str) -> Any:
    if name == "streams":
        return importlib.import_module(f"{_PREFIX}streams")
    room = _LAZY.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(_PREFIX + room), name)
    return found


def main() -> int:
    """The `odradek` command."""
    try:
        command = importlib.import_module(f"{_PREFIX}cli.main")
    except ModuleNotFoundError as missing:
        if missing.name not in ("typer", "rich"):
            raise
        print("odradek: the command needs two more packages: pip install 'odradek[cli]'", file=sys.stderr)
        return 1
    code: int = command.main()
    return code


if __name__ == "__main__":
    sys.exit(main())
