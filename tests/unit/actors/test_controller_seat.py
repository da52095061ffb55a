"""The controller as an actor: a crash costs it the lease, not the broker."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from actors.actor_system import ActorSystem
from actors.controller import Controller
from actors.controller_seat import CONTROLLER_PATH, BrokerCame, ControllerSeat, FromBroker
from actors.supervision import RestartPolicy
from model.configs import BrokerConfig
from protocol.cluster_admin import CreateTopics, CreateTopicsReply, NewTopic
from protocol.cluster_control import ControllerIs, NotController, RegisterBroker
from storage.metadata_store import LocalMetadataStore

SLOW_RESTART = RestartPolicy(backoff_first_ms=20, backoff_max_ms=20, intensity=1_000)


class Brokers:
    """Two of three brokers' seats over one directory, on one loop; `elected`: (broker, controller epoch) in order."""

    live = newest = MappingProxyType({1: 1, 2: 1, 3: 1})

    def __init__(self, directory: Path, tick_ms: int = 1_000) -> None:
        self.directory = directory
        self.now_ms = 0
        self.tick_ms = tick_ms
        self.inbox = defaultdict(list)
        self.elected: list[tuple[int, int]] = []
        self.systems: dict[int, ActorSystem] = {}
        self.controllers: dict[int, Controller] = {}

    def start(self, broker_id: int) -> None:
        controller = self.controllers[broker_id] = Controller(
            broker_id, 1, LocalMetadataStore(self.directory),
            send=lambda to, message: self.inbox[to].append(message),
            peers=self,
            config=BrokerConfig(),
            clock=lambda: self.now_ms,
            tick_ms=self.tick_ms,
        )  # fmt: skip
        system = self.systems[broker_id] = ActorSystem(SLOW_RESTART)
        system.start(
            CONTROLLER_PATH,
            lambda: ControllerSeat(controller, lambda epoch: self.elected.append((broker_id, epoch))),
        )

    def tell(self, broker_id: int, message: object) -> None:
        self.systems[broker_id].tell(CONTROLLER_PATH, message)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not is_so():
                await asyncio.sleep(0.001)

    async def stop(self) -> None:
        for broker_id, controller in self.controllers.items():
            await controller.stop()
            self.systems[broker_id].stop(CONTROLLER_PATH)


def test_a_seat_that_crashes_gives_up_the_lease_and_runs_for_it_again(tmp_path):
    async def scenario() -> None:
        brokers = Brokers(tmp_path)
        brokers.start(1)
        await brokers.until(lambda: brokers.elected == [(1, 1)])
        brokers.tell(1, "nonsense")
        await brokers.until(lambda: brokers.elected == [(1, 1), (1, 2)])
        assert brokers.systems[1].statistics()[CONTROLLER_PATH].restarts == 1
        await brokers.stop()

    asyncio.run(scenario())


def test_another_broker_takes_over_while_a_crashed_seat_is_down(tmp_path):
    async def scenario() -> None:
        brokers = Brokers(tmp_path)
        brokers.start(1)
        await brokers.until(lambda: brokers.elected == [(1, 1)])
        brokers.start(2)
        for _ in range(5):  # a seat that waits may crash as well: one thread waits for the lease all the same
            brokers.tell(2, "nonsense")
            await brokers.until(lambda: not brokers.systems[2].is_running(CONTROLLER_PATH))
            await brokers.until(lambda: brokers.systems[2].is_running(CONTROLLER_PATH))
        brokers.tell(1, "nonsense")
        await brokers.until(lambda: len(brokers.elected) > 1)
        assert brokers.elected[1:] in ([(2, 2)], [(1, 2)])
        holder = brokers.elected[-1][0]
        await brokers.until(lambda: brokers.systems[1].is_running(CONTROLLER_PATH))
        brokers.tell(holder, BrokerCame(7))
        brokers.tell(3 - holder, FromBroker(3 - holder, RegisterBroker(5, 3 - holder, 1, "host", 9)))
        await brokers.until(lambda: brokers.inbox[7] != [] and NotController(5, holder, 2) in brokers.inbox[3 - holder])
        assert isinstance(brokers.inbox[7][0], ControllerIs)
        await brokers.stop()

    asyncio.run(scenario())


def test_a_controller_that_too_few_hear_leaves_the_lease_to_others_with_its_partitions(tmp_path):
    async def scenario() -> None:
        brokers = Brokers(tmp_path, tick_ms=1)
        brokers.start(1)
        await brokers.until(lambda: brokers.elected == [(1, 1)])
        brokers.start(2)
        for broker in (1, 2, 3):
            brokers.tell(1, FromBroker(broker, RegisterBroker(5, broker, 1, "host", 9)))
        await brokers.until(lambda: len(brokers.inbox[3]) > 0)
        brokers.tell(1, FromBroker(1, CreateTopics(6, [NewTopic("t", assignments={0: (1, 2, 3)})])))
        await brokers.until(lambda: any(type(message) is CreateTopicsReply for message in brokers.inbox[1]))
        while brokers.elected == [(1, 1)]:
            brokers.now_ms += 100
            await asyncio.sleep(0.002)
        assert brokers.elected == [(1, 1), (2, 2)], "1 waits a session before it wants the lease again"
        image = brokers.controllers[2].image
        assert image.brokers[1].is_fenced and not image.brokers[2].is_fenced
        assert (image.partition("t", 0).leader, image.partition("t", 0).isr) == (2, (2, 3))
        assert not brokers.controllers[1].is_active and brokers.systems[1].is_running(CONTROLLER_PATH)
        await brokers.stop()

    asyncio.run(scenario())
