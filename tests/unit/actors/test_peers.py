"""Who lives, as one broker hears it: from lifelines, from the supervisor, or too late."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actors.controller_seat import BrokerCame
from actors.peers import Peers
from machines.controller import BrokerDied
from machines.metadata import BrokerInfo
from protocol.cluster_supervision import BrokerDown, BrokerView, ClusterView


class NoLifelines:
    """Nobody's life ends by itself here."""

    def __init__(self, *_: object) -> None:
        self.watched: list[tuple[int, int]] = []

    def watch(self, broker_id: int, incarnation: int) -> None:
        self.watched.append((broker_id, incarnation))

    def forget(self, broker_id: int, incarnation: int) -> None:
        """Nothing is held."""


class Broker:
    """As much of broker 1 as its peers need. `told` is what the controller's seat heard."""

    def __init__(self, run_dir: Path, registered: dict[int, int]) -> None:
        self.spec = SimpleNamespace(broker_id=1, incarnation=1, run_dir=run_dir)
        self.image = SimpleNamespace(brokers={b: BrokerInfo(b, number, "host", 9) for b, number in registered.items()})
        self.told: list[Any] = []
        self.gone: list[int] = []
        self.system = SimpleNamespace(tell=lambda path, message: self.told.append(message))
        self.replicas = SimpleNamespace(on_broker_back=lambda broker_id: None, on_broker_gone=self.gone.append)
        self.peers = Peers(self)  # type: ignore[arg-type]

    def hear(self, version: int, running: dict[int, int], down: dict[int, int] | None = None) -> None:
        self.told.clear()
        rows = [BrokerView(b, number, "running", "host", 9, "data", "control") for b, number in running.items()]
        rows += [BrokerView(b, number, "down", "host", 9) for b, number in (down or {}).items()]
        self.peers.on_cluster_view(ClusterView(version, 1, tuple(rows)))


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Broker:
    monkeypatch.setattr("actors.peers.Lifelines", NoLifelines)
    return Broker(tmp_path, registered={1: 1, 2: 3})


def test_a_death_that_was_not_told_is_known_by_the_next_view(broker: Broker) -> None:
    broker.hear(1, {1: 1, 2: 3})
    broker.hear(2, {1: 1}, down={2: 4})
    assert BrokerDied(2, 3) in broker.told and broker.gone == [2]
    assert (broker.peers.live, broker.peers.newest) == ({1: 1}, {1: 1, 2: 4})
    assert not broker.peers.is_settled, "the image does not know yet"


def test_a_whole_life_that_nobody_told_of_is_over_when_the_view_lists_the_next(broker: Broker) -> None:
    broker.hear(1, {1: 1}, down={2: 3})
    assert broker.told == [], "the third life of 2 registered before we heard that it began"
    broker.hear(2, {1: 1, 2: 4})
    assert broker.told == [BrokerDied(2, 3), BrokerCame(2)]


def test_a_view_that_is_older_than_a_registration_kills_nobody(broker: Broker) -> None:
    broker.hear(1, {1: 1, 2: 2})
    assert BrokerDied(2, 3) not in broker.told and broker.peers.is_settled


def test_the_dead_are_not_live_though_the_view_still_says_so(broker: Broker) -> None:
    broker.hear(1, {1: 1, 2: 3})
    broker.peers.on_broker_down(BrokerDown(2, 3, "its lifeline ended"))
    assert (broker.peers.live, broker.peers.newest[2]) == ({1: 1}, 3)
