"""A client's view of the cluster, when the cluster does not let it in."""

import asyncio

import pytest

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
