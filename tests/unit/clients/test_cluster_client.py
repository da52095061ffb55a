"""A client's view of the cluster: fresh enough, and when the cluster does not let it in."""

import asyncio

import pytest
from metadata_broker import NEVER_MS, Broker, a_client_told_of

from clients.cluster import ClusterClient
from clients.errors import CertificateRefused, Disconnected
from clients.producer_configs import producer_config
from model.coordinator_errors import SaslAuthenticationFailed


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 20))


def a_cluster(*answers):
    """Whose brokers answer every attempt to connect with one of these, in turn."""
    config = producer_config({"bootstrap.servers": "one:1,two:2", "retry.backoff.ms": 1}, {})
    cluster = ClusterClient(config)
    turns = iter(answers)

    async def get(_address, _lane="main"):
        raise next(turns)

    cluster.connections.get = get
    return cluster


@pytest.mark.parametrize("refusal", [SaslAuthenticationFailed("wrong password"), CertificateRefused("no friend")])
def test_who_waits_for_metadata_hears_of_a_refusal(refusal):
    async def scenario():
        cluster = a_cluster(refusal, refusal)
        told = []
        cluster.on_refused.append(told.append)
        with pytest.raises(type(refusal)):
            await cluster.refresh()
        assert told == [refusal]
        await cluster.close()

    run(scenario)


def test_a_broker_that_is_away_does_not_hide_that_another_one_refuses_us():
    async def scenario():
        cluster = a_cluster(SaslAuthenticationFailed("wrong password"), Disconnected("away"))
        with pytest.raises(SaslAuthenticationFailed):
            await cluster.refresh()
        await cluster.close()

    run(scenario)


def test_brokers_that_are_away_are_asked_again():
    async def scenario():
        away = [Disconnected("away")] * 4
        cluster = a_cluster(*away, SaslAuthenticationFailed("back, and changed"), Disconnected("away"))
        with pytest.raises(SaslAuthenticationFailed, match="back, and changed"):
            await cluster.refresh()
        await cluster.close()

    run(scenario)


def test_what_was_just_told_is_known_without_waiting_for_the_next_answer():
    async def scenario():
        broker = Broker()
        broker.partitions = {"orders": 2, "payments": 1}
        cluster = await a_client_told_of(broker, NEVER_MS, "orders", "payments")
        await cluster.know(["orders"])
        assert broker.asked == [["orders", "payments"]]
        assert len(cluster.metadata.topics["orders"].partitions) == 2
        await cluster.close()

    run(scenario)


def test_what_changed_since_the_answer_that_had_to_do_is_heard_of_afterwards():
    async def scenario():
        broker = Broker()
        broker.partitions = {"orders": 2}
        cluster = await a_client_told_of(broker, 50, "orders")
        broker.partitions = {"orders": 3}
        counts = asyncio.Queue()
        cluster.on_metadata.append(lambda: counts.put_nowait(len(cluster.metadata.topics["orders"].partitions)))
        await cluster.know(["orders"])
        assert await counts.get() == 3
        await cluster.close()

    run(scenario)


def test_a_topic_that_was_not_described_yet_is_waited_for():
    async def scenario():
        broker = Broker()
        broker.partitions = {"orders": 2, "payments": 1}
        cluster = await a_client_told_of(broker, 1, "orders")
        await cluster.know(["payments"])
        assert len(cluster.metadata.topics["payments"].partitions) == 1
        assert broker.asked[-1] == ["orders", "payments"]
        await cluster.close()

    run(scenario)


def test_what_was_told_long_ago_is_asked_again():
    async def scenario():
        broker = Broker()
        broker.partitions = {"orders": 2}
        cluster = await a_client_told_of(broker, 0, "orders")
        broker.partitions = {"orders": 3}
        await cluster.know(["orders"])
        assert len(cluster.metadata.topics["orders"].partitions) == 3
        await cluster.close()

    run(scenario)
