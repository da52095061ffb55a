"""A broker that only tells of topics, and a client that knows no other."""

from clients.cluster import ClusterClient
from clients.consumer_configs import consumer_config
from protocol.k03_metadata import (
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)

NEVER_MS = 600_000  # longer than any test waits


class Broker:
    """Answers Metadata requests with `partitions` as they are then, and remembers what it was asked."""

    features: dict[str, int] = {}

    def __init__(self):
        self.partitions = {}
        self.asked = []

    async def request(self, request):
        names = [topic.name for topic in request.topics]
        self.asked.append(names)
        return MetadataResponse(
            brokers=[MetadataResponseBroker(node_id=1, host="one", port=1)],
            topics=[
                MetadataResponseTopic(
                    name=name,
                    partitions=[MetadataResponsePartition(partition_index=n) for n in range(self.partitions[name])],
                )
                for name in names
                if name in self.partitions
            ],
        )


def a_cluster_of(broker, backoff_ms):
    """A client that always reaches this broker, and asks for metadata so often at most."""
    cluster = ClusterClient(
        consumer_config(
            {"bootstrap.servers": "one:1", "retry.backoff.ms": backoff_ms, "retry.backoff.max.ms": backoff_ms}, {}
        )
    )

    async def get(_address, _lane="main"):
        return broker

    cluster.connections.get = get
    return cluster


async def a_client_told_of(broker, backoff_ms, *topics):
    """One that wants these topics and has had its first answer about them."""
    cluster = a_cluster_of(broker, backoff_ms)
    cluster.topics |= set(topics)
    await cluster.refresh()
    return cluster
