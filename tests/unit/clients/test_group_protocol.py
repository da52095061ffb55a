"""What the leader of a classic group deals out, and what it waits for before."""

import asyncio

from metadata_broker import NEVER_MS, Broker, a_client_told_of

from clients.group_protocol import MemberProtocol
from model.ids import TopicPartition
from protocol.k11_join_group import JoinGroupResponseMember


class Host:
    """A consumer that has subscribed to these topics."""

    def __init__(self, *topics):
        self._topics = list(topics)

    def topics(self):
        return self._topics

    def owned(self):
        return []


def dealt_by(cluster, leader, *members):
    """Deals to all of them; what the first one gets."""

    async def deal():
        protocol = MemberProtocol(cluster, leader)
        offers = [MemberProtocol(cluster, each).offers(-1)[0].metadata for each in members]
        rows = [JoinGroupResponseMember(member_id=str(number), metadata=each) for number, each in enumerate(offers)]
        dealt = await protocol.deal_out(protocol.offers(-1)[0].name, rows)
        return protocol.read(dealt["0"])

    return deal()


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_a_leader_that_knows_its_topics_deals_at_once():
    async def scenario():
        broker = Broker()
        broker.partitions = {"orders": 2}
        cluster = await a_client_told_of(broker, NEVER_MS, "orders")
        orders = Host("orders")
        assert await dealt_by(cluster, orders, orders) == [TopicPartition("orders", 0), TopicPartition("orders", 1)]
        await cluster.close()

    run(scenario)


def test_topics_of_other_members_are_looked_up_anew():
    async def scenario():
        broker = Broker()
        broker.partitions = {"orders": 2, "payments": 1}
        cluster = await a_client_told_of(broker, 1, "orders", "payments")
        broker.partitions["payments"] = 2
        assert await dealt_by(cluster, Host("orders"), Host("payments"), Host("orders")) == [
            TopicPartition("payments", 0),
            TopicPartition("payments", 1),
        ]
        await cluster.close()

    run(scenario)
