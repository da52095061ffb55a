"""The controller's shell: nothing is sent before it is durable, and a lost lease ends it."""

import asyncio
from collections import defaultdict

from actors.controller import Controller
from model.configs import BrokerConfig
from model.errors import StorageFailure
from protocol.cluster_admin import CreateTopics, CreateTopicsReply, NewTopic
from protocol.cluster_control import (
    ControllerIs,
    MetadataSnapshot,
    MetadataUpdate,
    NotController,
    RegisterBroker,
    RegisterBrokerReply,
)
from storage.metadata_store import LocalMetadataStore


class Cluster:
    """Controllers of several brokers over a directory, which know `live` and `newest`. `inbox`: what each was sent."""

    def __init__(self, directory):
        self.directory = directory
        self.live = {1: 1, 2: 1}
        self.newest = {1: 1, 2: 1}
        self.inbox = defaultdict(list)
        self.lost = []

    def controller(self, broker_id, store=None):
        return Controller(
            broker_id,
            self.live[broker_id],
            store or LocalMetadataStore(self.directory),
            send=lambda to, message: self.inbox[to].append(message),
            peers=self,
            config=BrokerConfig(),
            clock=lambda: 0,
            on_lost=self.lost.append,
        )

    async def reply(self, controller, broker, request, kind):
        controller.on_message(broker, request)
        async with asyncio.timeout(10):
            while True:
                for message in self.inbox[broker]:
                    if isinstance(message, kind) and message.correlation_id == request.correlation_id:
                        return message
                await asyncio.sleep(0.001)


def run(scenario):
    asyncio.run(asyncio.wait_for(scenario, 20))


def test_an_elected_controller_announces_itself_and_answers(tmp_path):
    async def scenario():
        cluster = Cluster(tmp_path)
        controller = cluster.controller(1)
        await controller.run_for_lease()
        assert controller.is_active
        assert ControllerIs(1, 1, 1) in cluster.inbox[1] and ControllerIs(1, 1, 1) in cluster.inbox[2]
        await cluster.reply(controller, 2, RegisterBroker(1, 2, 1, "host", 9), RegisterBrokerReply)
        kinds = [type(message) for message in cluster.inbox[2]]
        assert kinds == [MetadataUpdate, ControllerIs, MetadataSnapshot, MetadataUpdate, RegisterBrokerReply]
        reply = await cluster.reply(controller, 2, CreateTopics(2, [NewTopic("t", 1, 1)]), CreateTopicsReply)
        assert reply.topics[0].error == 0
        assert LocalMetadataStore(tmp_path).get().version == controller.image.version
        await controller.stop()

    run(scenario())


def test_the_next_controller_goes_on_where_the_last_one_ended_and_fences_it(tmp_path):
    async def scenario():
        cluster = Cluster(tmp_path)
        first, second = cluster.controller(1), cluster.controller(2)
        await first.run_for_lease()
        for broker in (1, 2):
            await cluster.reply(first, broker, RegisterBroker(1, broker, 1, "host", 9), RegisterBrokerReply)
        await cluster.reply(first, 1, CreateTopics(2, [NewTopic("t", assignments={0: (1, 2)})]), CreateTopicsReply)
        waiting = asyncio.create_task(second.run_for_lease())
        await asyncio.sleep(0)
        refused = await cluster.reply(second, 1, CreateTopics(3, []), NotController)
        assert (refused.controller_id, refused.controller_epoch) == (1, 1)
        second.on_broker_down(1, 1)  # the view still says that it lives
        await first.stop()
        await waiting
        assert second.image.partition("t", 0).leader == 2
        assert second.image.controller_epoch == 2
        await second.stop()

    run(scenario())


def test_a_view_older_than_a_registration_fences_nobody(tmp_path):
    """What registered since has everything. Without it in the ISR a leader that dies next takes all of it along."""

    async def scenario():
        cluster = Cluster(tmp_path)
        first, second = cluster.controller(1), cluster.controller(2)
        await first.run_for_lease()
        for broker, incarnation in ((1, 1), (2, 1), (3, 1), (4, 2), (5, 7)):
            request = RegisterBroker(1, broker, incarnation, "host", 9)
            await cluster.reply(first, broker, request, RegisterBrokerReply)
        waiting = asyncio.create_task(second.run_for_lease())
        await asyncio.sleep(0)
        cluster.live, cluster.newest = {2: 1, 3: 1}, {1: 1, 2: 1, 3: 1, 4: 1, 5: 6}  # of 4's and 5's new lives: nothing
        second.on_broker_down(5, 7)
        await first.stop()
        await waiting
        fenced = {broker.broker_id for broker in second.image.brokers.values() if broker.is_fenced}
        assert fenced == {1, 5}, "1 is known to be down, and that 5 died was said"
        await second.stop()

    run(scenario())


def test_many_requests_become_few_writes_and_no_reply_comes_before_its_records(tmp_path):
    class CountingStore(LocalMetadataStore):
        puts = 0

        def put_if_version(self, controller_epoch, base_version, records):
            self.puts += 1
            return super().put_if_version(controller_epoch, base_version, records)

    async def scenario():
        cluster = Cluster(tmp_path)
        store = CountingStore(tmp_path)
        controller = cluster.controller(1, store)
        await controller.run_for_lease()
        controller.on_message(1, RegisterBroker(1, 1, 1, "host", 9))
        for number in range(2, 100):
            controller.on_message(1, CreateTopics(number, [NewTopic(f"t{number}", 1, 1)]))
        assert cluster.inbox[1][-1] == ControllerIs(1, 1, 1), "nothing is durable yet"
        await cluster.reply(controller, 1, CreateTopics(100, [NewTopic("last", 1, 1)]), CreateTopicsReply)
        assert store.puts < 10
        replies = [m.correlation_id for m in cluster.inbox[1] if isinstance(m, CreateTopicsReply)]
        assert replies == list(range(2, 101))
        await controller.stop()

    run(scenario())


def test_a_disk_that_fails_ends_the_controller_and_nobody_hears_what_was_not_written(tmp_path):
    class FullDisk(LocalMetadataStore):
        is_full = False

        def put_if_version(self, controller_epoch, base_version, records):
            if self.is_full:
                raise StorageFailure("full")
            return super().put_if_version(controller_epoch, base_version, records)

    async def scenario():
        cluster = Cluster(tmp_path)
        store = FullDisk(tmp_path)
        controller = cluster.controller(1, store)
        await controller.run_for_lease()
        store.is_full = True
        cluster.inbox.clear()
        controller.on_message(1, RegisterBroker(1, 1, 1, "host", 9))
        while not cluster.lost:
            await asyncio.sleep(0.001)
        assert not controller.is_active and cluster.inbox[1] == []
        store.is_full = False
        await controller.run_for_lease()
        assert controller.is_active and controller.image.controller_epoch == 2
        await controller.stop()

    run(scenario())


def test_a_controller_stopped_while_it_waits_gives_a_late_lease_back(tmp_path):
    async def scenario():
        cluster = Cluster(tmp_path)
        first, second, third = cluster.controller(1), cluster.controller(2), cluster.controller(1)
        await first.run_for_lease()
        waiting = asyncio.create_task(second.run_for_lease())
        await asyncio.sleep(0.01)
        await second.stop()
        waiting.cancel()
        await first.stop()
        await third.run_for_lease()
        assert third.is_active
        await third.stop()

    run(scenario())
