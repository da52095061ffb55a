"""Two buses in one loop, over real ipc and tcp sockets."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop
import zmq

from model.errors import ConfigError
from model.metrics import Metrics
from transport.bus import Bus
from transport.credits import MESSAGE_BYTES
from transport.envelope import Envelope
from transport.faults import DELIVER, DROP, Verdict


class Append(msgspec.Struct, tag="Append", array_like=True, frozen=True, gc=False):
    topic: str
    offset: int


class Ack(msgspec.Struct, tag="Ack", array_like=True, frozen=True, gc=False):
    offset: int


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(scenario(), 20))


class Inbox:
    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    def __call__(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)

    @property
    def messages(self) -> list[Any]:
        return [envelope.message for envelope in self.envelopes]

    async def has(self, count: int) -> None:
        while len(self.envelopes) < count:
            await asyncio.sleep(0.001)


async def a_bus(directory: Path, node_id: int, incarnation: int = 1, **options: Any) -> tuple[Bus, Inbox]:
    inbox = Inbox()
    options.setdefault("deliver", inbox)
    bus = Bus(node_id, incarnation, directory=directory, message_type=Append | Ack, **options)
    await bus.start()
    return bus, inbox


def introduce(one: Bus, two: Bus) -> None:
    one.connect(two.node_id, two.incarnation, two.data_endpoint, two.control_endpoint)
    two.connect(one.node_id, one.incarnation, one.data_endpoint, one.control_endpoint)


@pytest.mark.parametrize("host", [None, "127.0.0.1"])
@pytest.mark.parametrize("control", [False, True])
def test_a_message_arrives_with_all_that_belongs_to_it(tmp_path, host, control):
    async def scenario() -> None:
        one, _ = await a_bus(tmp_path, 1, incarnation=5, host=host)
        two, inbox = await a_bus(tmp_path, 2, incarnation=9, host=host)
        introduce(one, two)
        buffers = [b"", b"small", memoryview(bytearray(b"x" * 20_000)), b"y" * 2_000_000]
        assert one.tell(2, "replica/t-0", Append("t", 4), buffers, control=control, leader_epoch=3, trace_id=77)
        await inbox.has(1)
        got = inbox.envelopes[0]
        assert (got.sender, got.incarnation, got.to_incarnation) == (1, 5, 9)
        assert (got.address, got.message, got.leader_epoch, got.trace_id) == ("replica/t-0", Append("t", 4), 3, 77)
        assert [bytes(b) for b in got.buffers] == [bytes(b) for b in buffers]
        assert two.tell(1, "leader/t-0", Ack(4))
        await one.close()
        await two.close()

    run(scenario)


def test_many_messages_keep_their_order_and_all_are_handled(tmp_path):
    async def scenario() -> None:
        one, _ = await a_bus(tmp_path, 1)
        two, inbox = await a_bus(tmp_path, 2)
        introduce(one, two)
        for n in range(5_000):
            assert one.tell(2, "a", Append("t", n), [b"x" * (n % 3)] if n % 2 else ())
        await inbox.has(5_000)
        assert [m.offset for m in inbox.messages] == list(range(5_000))
        await one.close()
        await two.close()

    run(scenario)


def test_a_message_to_oneself_is_delivered_in_a_later_turn(tmp_path):
    async def scenario() -> None:
        bus, inbox = await a_bus(tmp_path, 1)
        assert bus.tell(1, "a", Ack(1), [b"b"])
        assert inbox.messages == []
        await inbox.has(1)
        assert inbox.messages == [Ack(1)] and inbox.envelopes[0].buffers == [b"b"]
        await bus.close()

    run(scenario)


def test_a_tell_to_an_unknown_node_is_refused(tmp_path):
    async def scenario() -> None:
        metrics = Metrics()
        bus, _ = await a_bus(tmp_path, 1, metrics=metrics)
        assert not bus.tell(2, "a", Ack(1))
        assert metrics.snapshot()["bus_unroutable"] == 1
        await bus.close()

    run(scenario)


def test_a_peer_may_be_connected_before_it_is_there(tmp_path):
    async def scenario() -> None:
        one, _ = await a_bus(tmp_path, 1)
        one.connect(2, 1, f"ipc://{tmp_path}/2-1.d", f"ipc://{tmp_path}/2-1.c")
        assert one.tell(2, "a", Ack(1))
        two, inbox = await a_bus(tmp_path, 2)
        await inbox.has(1)
        await one.close()
        await two.close()

    run(scenario)


def test_messages_to_and_from_lives_that_are_over_are_dropped_and_counted(tmp_path):
    async def scenario() -> None:
        one, _ = await a_bus(tmp_path, 1, incarnation=2)
        two, inbox = await a_bus(tmp_path, 2, incarnation=8)
        introduce(one, two)
        one.disconnect(2)
        one.connect(2, 7, two.data_endpoint, two.control_endpoint)  # meant for its last life
        one.tell(2, "a", Ack(1))
        while two.statistics()["bus_stale_dropped"] < 1:
            await asyncio.sleep(0.001)
        one.disconnect(2)
        one.connect(2, 8, two.data_endpoint, two.control_endpoint)
        one.incarnation = 1  # a zombie speaks
        one.tell(2, "a", Ack(2))
        while two.statistics()["bus_stale_dropped"] < 2:
            await asyncio.sleep(0.001)
        one.incarnation = 3  # a life that nobody has told us of yet
        one.tell(2, "a", Ack(3))
        await inbox.has(1)
        assert inbox.messages == [Ack(3)]
        await one.close()
        await two.close()

    run(scenario)


def test_out_of_credit_is_refused_and_told_when_it_is_over(tmp_path):
    async def scenario() -> None:
        one, _ = await a_bus(tmp_path, 1, window_bytes=200_000)
        regained = asyncio.Event()
        one.on_credit(lambda node_id: regained.set() if node_id == 2 else None)
        one.connect(2, 1, f"ipc://{tmp_path}/2-1.d", f"ipc://{tmp_path}/2-1.c")  # nobody handles anything yet
        sent = 0
        while one.tell(2, "a", Append("t", sent), [b"x" * 10_000]):
            sent += 1
        assert 200_000 // (10_000 + MESSAGE_BYTES) <= sent <= 21
        assert one.tell(2, "a", Ack(0), control=True)  # control traffic goes on
        two, inbox = await a_bus(tmp_path, 2, window_bytes=200_000)
        two.connect(1, 1, one.data_endpoint, one.control_endpoint)
        await regained.wait()
        assert one.tell(2, "a", Append("t", sent), [b"x" * 10_000])
        await inbox.has(sent + 2)
        assert sorted(m.offset for m in inbox.messages if isinstance(m, Append)) == list(range(sent + 1))
        assert one.statistics()["bus_out_of_credit"] == 1
        await one.close()
        await two.close()

    run(scenario)


def test_credits_flow_without_a_pause_as_long_as_the_peer_handles(tmp_path):
    async def scenario() -> None:
        one, _ = await a_bus(tmp_path, 1, window_bytes=300_000)
        two, inbox = await a_bus(tmp_path, 2, window_bytes=300_000)
        introduce(one, two)
        regained = asyncio.Event()
        one.on_credit(lambda node_id: regained.set())
        for n in range(300):
            while not one.tell(2, "a", Append("t", n), [b"x" * 10_000]):
                regained.clear()
                await regained.wait()
        await inbox.has(300)
        assert [m.offset for m in inbox.messages] == list(range(300))
        await one.close()
        await two.close()

    run(scenario)


def test_a_lost_credit_is_asked_for_again(tmp_path):
    class LosesFirstCredits:
        lost = 0

        def decide(self, sender: int, to: int, kind: str) -> Verdict:
            if kind == "Credit" and self.lost < 3:
                self.lost += 1
                return DROP
            return DELIVER

    async def scenario() -> None:
        one, _ = await a_bus(tmp_path, 1, window_bytes=50_000)
        two, _ = await a_bus(tmp_path, 2, window_bytes=50_000, faults=LosesFirstCredits())
        introduce(one, two)
        regained = asyncio.Event()
        one.on_credit(lambda node_id: regained.set())
        while one.tell(2, "a", Ack(1), [b"x" * 20_000]):
            pass
        await regained.wait()
        await one.close()
        await two.close()

    run(scenario)


def test_the_fault_hook_drops_delays_and_duplicates_by_from_to_and_kind(tmp_path):
    class Faults:
        def decide(self, sender: int, to: int, kind: str) -> Verdict:
            assert (sender, to) == (1, 2)
            if kind == "Append":
                return DROP
            return verdicts.pop(0)

    verdicts = [Verdict(delay_ms=5), Verdict(duplicates=2), DELIVER]

    async def scenario() -> None:
        one, _ = await a_bus(tmp_path, 1, faults=Faults())
        two, inbox = await a_bus(tmp_path, 2)
        introduce(one, two)
        assert one.tell(2, "a", Append("t", 1))  # a lost message looks sent
        for n in range(3):
            assert one.tell(2, "a", Ack(n))
        await inbox.has(5)
        assert sorted(m.offset for m in inbox.messages) == [0, 1, 1, 1, 2]
        await one.close()
        await two.close()

    run(scenario)


def test_a_failing_handler_costs_its_message_only(tmp_path, caplog):
    async def scenario() -> None:
        handled = Inbox()

        def deliver(envelope: Envelope) -> None:
            if envelope.message == Ack(1):
                raise ZeroDivisionError("a bug")
            handled(envelope)

        one, _ = await a_bus(tmp_path, 1)
        two, _ = await a_bus(tmp_path, 2, deliver=deliver)
        introduce(one, two)
        for n in range(3):
            one.tell(2, "a", Ack(n))
        await handled.has(2)
        assert handled.messages == [Ack(0), Ack(2)] and two.statistics()["bus_deliver_failures"] == 1
        await one.close()
        await two.close()

    run(scenario)
    assert "a bug" in caplog.text


def test_strangers_on_the_socket_are_dropped_and_counted(tmp_path):
    async def scenario() -> None:
        one, _ = await a_bus(tmp_path, 1)
        two, inbox = await a_bus(tmp_path, 2)
        introduce(one, two)
        context = zmq.Context()
        stranger = context.socket(zmq.PUSH)
        stranger.connect(two.data_endpoint)
        stranger.send(b"hello")
        stranger.send_multipart([b"x" * 300, b"more", b"and more"])
        while two.statistics()["bus_malformed"] < 2:
            await asyncio.sleep(0.001)
        one.tell(2, "a", Ack(1), [b"buffer"])
        await inbox.has(1)
        assert inbox.envelopes[0].buffers == [b"buffer"]
        context.destroy(linger=0)
        await one.close()
        await two.close()

    run(scenario)


def test_closing_inside_a_delivery_and_twice_is_fine_and_leaves_no_socket_files(tmp_path):
    async def scenario() -> None:
        one, _ = await a_bus(tmp_path, 1)
        closed = asyncio.Event()
        closings: list[asyncio.Future[None]] = []

        def deliver(envelope: Envelope) -> None:
            if not closed.is_set():
                closed.set()
                closings.append(asyncio.ensure_future(two.close()))

        two, _ = await a_bus(tmp_path, 2, deliver=deliver)
        introduce(one, two)
        for n in range(1_000):
            one.tell(2, "a", Ack(n))
        await closed.wait()
        await asyncio.gather(*closings)
        await two.close()
        await two.close()
        for n in range(100):
            one.tell(2, "a", Ack(n), [b"x" * 300_000])
        await one.close()
        assert list(tmp_path.iterdir()) == []

    run(scenario)


PEER_THAT_NEVER_READS = """
import sys, time, zmq
context = zmq.Context()
pulls = []
for suffix in "dc":
    pulls.append(context.socket(zmq.PULL))
    pulls[-1].bind(f"ipc://{sys.argv[1]}/2-1.{suffix}")
print("bound", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGSTOP])
def test_a_peer_that_dies_or_freezes_never_blocks_a_sender(tmp_path, death):
    peer = subprocess.Popen([sys.executable, "-c", PEER_THAT_NEVER_READS, str(tmp_path)], stdout=subprocess.PIPE)

    async def scenario() -> None:
        try:
            assert peer.stdout is not None and peer.stdout.readline() == b"bound\n"
            one, _ = await a_bus(tmp_path, 1, window_bytes=4_000_000)
            one.connect(2, 1, f"ipc://{tmp_path}/2-1.d", f"ipc://{tmp_path}/2-1.c")
            assert one.tell(2, "a", Ack(0), [b"x" * 1_000_000])
            await asyncio.sleep(0.01)
            os.kill(peer.pid, death)
            while one.tell(2, "a", Ack(0), [b"x" * 500_000]):
                pass  # ends: credit, not a blocked send
            controls = 0
            while controls < 100_000 and one.tell(2, "a", Ack(0), control=True):
                controls += 1
            assert controls < 100_000
            await one.close()
        finally:
            peer.kill()
            peer.communicate()

        two, inbox = await a_bus(tmp_path, 2, incarnation=2)  # the files of its last life are gone, the node is back
        one, _ = await a_bus(tmp_path, 1, incarnation=2)
        introduce(one, two)
        assert one.tell(2, "a", Ack(5))
        await inbox.has(1)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["1-2.c", "1-2.d", "2-2.c", "2-2.d"]
        await one.close()
        await two.close()

    run(scenario)


def test_a_socket_path_that_is_too_long_is_refused_in_one_line(tmp_path):
    async def scenario() -> None:
        with pytest.raises(ConfigError, match="shorter run directory"):
            await a_bus(tmp_path / ("x" * 100), 1)

    run(scenario)
