"""The controller as an actor: a crash costs it the lease, not the broker."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from actors.actor_system import ActorSystem
from actors.controller import Controller
from actors.controller_seat import CONTROLLER_PATH, BrokerCame, ControllerSeat, FromBroker
from actors.supervision import RestartPolicy
from model.configs import BrokerConfig
from protocol.cluster_control import ControllerIs, NotController, RegisterBroker
from storage.metadata_store import LocalMetadataStore

SLOW_RESTART = RestartPolicy(backoff_first_ms=20, backoff_max_ms=20, intensity=1_000)


class Brokers:
    """Two brokers' seats over one directory, on one loop; `elected` has (broker, controller epoch) in order."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.inbox = defaultdict(list)
        self.elected: list[tuple[int, int]] = []
        self.systems: dict[int, ActorSystem] = {}
        self.controllers: dict[int, Controller] = {}

    def start(self, broker_id: int) -> None:
        controller = self.controllers[broker_id] = Controller(
            broker_id, 1, LocalMetadataStore(self.directory),
            send=lambda to, message: self.inbox[to].append(message),
            view_of_live_brokers=lambda: {1: 1, 2: 1},
            config=BrokerConfig(),
            clock=lambda: 0,
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
