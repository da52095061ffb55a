"""The supervisor's socket for chaos: orders go out, outcomes come back, what stays is repeated to the newborn."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from actors.chaos_socket import ChaosSocket
from protocol.cluster_chaos import (
    ClockSkew,
    CrashActor,
    HealAll,
    LinkRule,
    Network,
    Order,
    Outcome,
    Suffer,
    Suffered,
    decode_outcome,
    encode_line,
)


class Stage:
    def __init__(self, directory: Path) -> None:
        self.connected = {1, 2}
        self.told: list[tuple[int, Suffer]] = []
        self.silent: set[int] = set()
        self.socket = ChaosSocket(directory, lambda: self.connected, self._tell)

    def _tell(self, broker_id: int, message: Suffer) -> None:
        self.told.append((broker_id, message))
        if broker_id not in self.silent:
            self.socket.on_suffered(Suffered(message.number, broker_id, said=f"done by {broker_id}"))

    async def ask(self, line: bytes) -> Outcome:
        assert self.socket.path is not None
        reader, writer = await asyncio.open_unix_connection(self.socket.path)
        writer.write(line)
        found = decode_outcome(await reader.readline())
        writer.close()
        await writer.wait_closed()
        return found

    async def order(self, broker_id: int, fault: object, stays: bool = False) -> Outcome:
        return await self.ask(encode_line(Order(broker_id, fault, stays, "255.7.17")))  # type: ignore[arg-type]


def run(directory: Path, scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def live() -> None:
        stage = Stage(directory)
        await stage.socket.open()
        try:
            await asyncio.wait_for(scenario(stage), 20)
        finally:
            stage.socket.close()

    asyncio.run(live())


def test_broker_zero_is_everybody(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        assert await stage.order(0, CrashActor()) == Outcome({"1": "done by 1", "2": "done by 2"})
        assert [broker for broker, _ in stage.told] == [1, 2] and stage.told[0][1].event > 0

    run(tmp_path, scenario)


def test_who_does_not_run_or_does_not_answer_is_told(tmp_path: Path, monkeypatch: object) -> None:
    async def scenario(stage: Stage) -> None:
        stage.silent = {2}
        assert (await stage.order(3, CrashActor())).errors == {"3": "it does not run now"}
        import actors.chaos_socket as module

        patience, module.ANSWER_S = module.ANSWER_S, 0.05
        try:
            assert (await stage.order(2, CrashActor())).errors == {"2": "it did not answer"}
        finally:
            module.ANSWER_S = patience

    run(tmp_path, scenario)


def test_what_stays_is_told_to_the_next_incarnation_until_it_is_healed(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.order(1, ClockSkew(5), stays=True)
        await stage.order(2, CrashActor(), stays=False)
        stage.told.clear()
        stage.socket.on_connected(1)
        stage.socket.on_connected(2)
        assert [(broker, message.fault) for broker, message in stage.told] == [(1, ClockSkew(5))]
        await stage.order(0, HealAll())
        stage.told.clear()
        stage.socket.on_connected(1)
        assert stage.told == []

    run(tmp_path, scenario)


def test_the_newborn_hears_the_last_word_as_the_living_did(tmp_path: Path) -> None:
    deaf, noisy, whole = Network((LinkRule(2, loss=1.0),)), Network((LinkRule(),)), Network(())

    async def scenario(stage: Stage) -> None:
        for orders, at_last in (
            ([(0, noisy), (1, deaf), (0, whole)], whole),  # healed is healed, whatever came before
            ([(1, deaf), (0, whole), (1, deaf)], deaf),  # and a fault that comes again is one again
            ([(1, deaf), (0, noisy)], noisy),
            ([(0, noisy), (1, deaf)], deaf),
        ):
            for broker, fault in orders:
                await stage.order(broker, fault, stays=True)
            stage.told.clear()
            stage.socket.on_connected(1)
            assert stage.told[-1][1].fault == at_last
            await stage.order(0, HealAll())

    run(tmp_path, scenario)


def test_nonsense_is_answered(tmp_path: Path) -> None:
    async def scenario(stage: Stage) -> None:
        assert "not an order" in (await stage.ask(b"nonsense\n")).errors["supervisor"]
        unreadable = b'{"broker_id":1,"fault":["HealAll"],"event":"x"}\n'
        assert "not an order" in (await stage.ask(unreadable)).errors["supervisor"]
        assert stage.told == []

    run(tmp_path, scenario)


def test_the_socket_is_its_owners_alone(tmp_path: Path) -> None:
    modes: list[int] = []

    async def scenario(stage: Stage) -> None:
        assert stage.socket.path is not None
        modes.append(os.stat(stage.socket.path).st_mode & 0o777)

    run(tmp_path, scenario)
    assert modes == [0o600]
