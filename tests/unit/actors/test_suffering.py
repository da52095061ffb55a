"""Faults inside a broker: the network's rules, and requests that fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from actors.request_faults import RequestFaults, spoil
from actors.suffering import RuledNetwork, Suffering
from model.configs import BrokerConfig
from model.errors import ErrorCode, StorageFailure
from protocol.cluster_chaos import (
    ClockSkew,
    CrashActor,
    DiskTrouble,
    HealAll,
    HealRequests,
    LinkRule,
    Network,
    Order,
    Outcome,
    RequestFault,
    Suffer,
    decode_order,
    decode_outcome,
    encode_line,
)
from protocol.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from protocol.k02_list_offsets import (
    ListOffsetsPartitionResponse,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)
from storage.disk import OsDisk
from transport.faults import DELIVER, DROP


class TestRuledNetwork:
    def test_the_first_rule_that_fits_wins(self) -> None:
        network = RuledNetwork((LinkRule(2, "Lead", delay_ms=7), LinkRule(2, loss=1.0)), seed=1)
        assert network.decide(1, 2, "Lead").delay_ms == 7
        assert network.decide(1, 2, "Replicate") == DROP
        assert network.decide(1, 3, "Replicate") == DELIVER

    def test_the_supervisor_is_always_reached(self) -> None:
        assert RuledNetwork((LinkRule(loss=1.0),), seed=1).decide(1, 0, "Heartbeat") == DELIVER

    def test_probabilities_hold_and_follow_from_the_seed(self) -> None:
        rules = (LinkRule(loss=0.2, duplication=0.5, jitter_ms=10),)
        verdicts = [RuledNetwork(rules, seed=5).decide(1, 2, "x") for _ in range(3)]
        assert verdicts[0] == verdicts[1] == verdicts[2]
        network = RuledNetwork(rules, seed=5)
        many = [network.decide(1, 2, "x") for _ in range(2_000)]
        lost = sum(each.is_dropped for each in many)
        assert 300 < lost < 500
        assert 700 < sum(each.duplicates for each in many) < 900
        assert all(0 <= each.delay_ms <= 10 for each in many)


class FakeConnection:
    def __init__(self) -> None:
        self.is_closed = False

    def close(self, reason: str = "") -> None:
        self.is_closed = True


def a_context(key: int, version: int = 9) -> Any:
    header = SimpleNamespace(api_key=key, api_version=version)
    return SimpleNamespace(header=header, api_version=version, connection=FakeConnection())


def a_produce() -> ProduceRequest:
    part = PartitionProduceData(index=3, records=b"")
    return ProduceRequest(acks=-1, timeout_ms=1, topic_data=[TopicProduceData(name="t", partition_data=[part])])


class TestRequestFaults:
    def run(self, faults: list[RequestFault], keys: list[int], request: Any = None) -> list[str]:
        """What becomes of requests: served, a code, or gone."""

        async def scenario() -> list[str]:
            armed = RequestFaults(asyncio.get_running_loop())
            for fault in faults:
                armed.add(fault)
            said = []
            for key in keys:
                context = a_context(key)
                answer = armed.serve(context, request or a_produce(), lambda *_: "served")
                if asyncio.iscoroutine(answer):
                    answer = await answer
                if context.connection.is_closed:
                    said.append("gone")
                elif answer == "served":
                    said.append("served")
                else:
                    said.append(ErrorCode(answer.responses[0].partition_responses[0].error_code).name)
            return said

        return asyncio.run(scenario())

    def test_the_nth_and_those_after_it_fail_with_the_code(self) -> None:
        fault = RequestFault(0, nth=2, count=2, error=int(ErrorCode.NOT_LEADER_OR_FOLLOWER))
        assert self.run([fault], [0, 1, 0, 0, 0]) == [
            "served", "served", "NOT_LEADER_OR_FOLLOWER", "NOT_LEADER_OR_FOLLOWER", "served",
        ]  # fmt: skip

    def test_a_connection_is_lost_before_or_after_serving(self) -> None:
        assert self.run([RequestFault(0, disconnects=True)], [0, 0]) == ["gone", "served"]
        assert self.run([RequestFault(0, disconnects=True, after_serving=True)], [0, 0]) == ["gone", "served"]

    def test_an_unserved_request_is_not_served_and_a_lost_answer_is(self) -> None:
        served: Counter[str] = Counter()

        async def scenario(name: str, fault: RequestFault) -> None:
            armed = RequestFaults(asyncio.get_running_loop())
            armed.add(fault)

            async def handler() -> str:
                served[name] += 1
                return "served"

            answer = armed.serve(a_context(0), a_produce(), lambda *_: handler())
            if answer is not None:
                await answer

        asyncio.run(scenario("before", RequestFault(0, disconnects=True)))
        asyncio.run(scenario("after", RequestFault(0, disconnects=True, after_serving=True)))
        asyncio.run(scenario("refused", RequestFault(0, error=6)))
        asyncio.run(scenario("late", RequestFault(0, delay_ms=1)))
        assert served == {"after": 1, "late": 1}

    def test_a_refused_produce_names_its_partitions(self) -> None:
        async def scenario() -> Any:
            armed = RequestFaults(asyncio.get_running_loop())
            armed.add(RequestFault(0, error=6))
            return await armed.serve(a_context(0), a_produce(), lambda *_: None)

        response = asyncio.run(scenario())
        part = response.responses[0].partition_responses[0]
        assert (response.responses[0].name, part.index, part.error_code, part.base_offset) == ("t", 3, 6, -1)
        response.encode(9)

    def test_an_answer_is_spoilt_in_all_its_parts(self) -> None:
        part = ListOffsetsPartitionResponse(partition_index=0, error_code=0)
        response = ListOffsetsResponse(topics=[ListOffsetsTopicResponse(name="t", partitions=[part])])
        spoil(response, ErrorCode.NOT_LEADER_OR_FOLLOWER)
        assert part.error_code == 6

    def test_the_unheard_lose_their_connection_once_somebody_listens(self) -> None:
        async def scenario() -> None:
            armed = RequestFaults(asyncio.get_running_loop())
            armed.is_deaf = True
            context = a_context(0)
            answer = armed.serve(context, a_produce(), lambda *_: "served")
            await asyncio.sleep(0)
            assert not answer.done() and not context.connection.is_closed
            armed.hear_again()
            assert await answer is None and context.connection.is_closed
            assert armed.serve(a_context(0), a_produce(), lambda *_: "served") == "served"

        asyncio.run(scenario())


class Crashed(Exception):
    pass


class Stage:
    """What `Suffering` needs of a broker."""

    def __init__(self, **configs: str) -> None:
        self.failed: list[tuple[Any, BaseException]] = []
        system = SimpleNamespace(
            mail=SimpleNamespace(actors={"/replica/a": "a", "/replica/b": "b", "/upkeep": "u"}),
            fail=lambda actor, error: self.failed.append((actor, error)),
        )
        self.disk = OsDisk()
        self.broker: Any = SimpleNamespace(
            spec=SimpleNamespace(broker_id=2, incarnation=5),
            config=BrokerConfig({name.replace("_", "."): value for name, value in configs.items()}),
            bus=SimpleNamespace(faults=None),
            dispatcher=SimpleNamespace(faults=None),
            replicas=SimpleNamespace(disk=self.disk),
            system=system,
            loop=None,
        )
        self.suffering = Suffering(self.broker)

    def order(self, fault: Any) -> str:
        """What it said; raises what it complained of."""
        said = self.suffering.perform(Suffer(1, fault, 77))
        assert (said.number, said.broker_id) == (1, 2)
        if said.error:
            raise Crashed(said.error)
        return said.said


class TestSuffering:
    def test_nothing_is_obeyed_where_chaos_is_not_enabled(self) -> None:
        with pytest.raises(Crashed, match=r"odradek\.chaos\.enabled is false"):
            Stage(odradek_chaos_enabled="false").order(Network((LinkRule(),)))

    def test_the_bus_has_a_hook_only_while_there_are_rules(self) -> None:
        stage = Stage()
        stage.order(Network((LinkRule(loss=1.0),)))
        assert stage.broker.bus.faults.decide(2, 1, "x") == DROP
        stage.order(Network(()))
        assert stage.broker.bus.faults is None

    def test_requests_are_healed_without_the_rest(self) -> None:
        stage = Stage()
        stage.order(Network((LinkRule(1, loss=1.0),), hides_clients=True))
        stage.order(RequestFault(0))
        stage.broker.dispatcher.faults.met = 3
        assert stage.order(HealRequests()) == "3"
        assert stage.broker.bus.faults is not None and stage.broker.dispatcher.faults.is_deaf
        assert stage.order(HealRequests()) == "", "nobody met one since"
        stage.order(Network(()))
        assert stage.order(HealRequests()) == "" and stage.broker.dispatcher.faults is None

    def test_a_skewed_clock_is_wrong_for_everybody_until_it_is_healed(self) -> None:
        import time

        true = time.time, time.time_ns
        stage = Stage()
        try:
            stage.order(ClockSkew(3_600_000))
            assert 3_590 < time.time() - true[0]() < 3_610
            assert 3_590 < (time.time_ns() - true[1]()) / 1e9 < 3_610
            stage.order(ClockSkew(-3_600_000))
            assert -3_610 < time.time() - true[0]() < -3_590
        finally:
            stage.order(HealAll())
        assert (time.time, time.time_ns) == true

    def test_a_full_disk_fails_writes_to_the_path_until_it_is_healed(self, tmp_path: Any) -> None:
        stage = Stage()
        stage.order(DiskTrouble(is_full=True, path="orders-0"))
        with pytest.raises(StorageFailure, match="No space left"):
            stage.disk.write(tmp_path / "orders-0", b"x", 0)
        stage.disk.write(tmp_path / "others-0", b"x", 0)
        stage.order(DiskTrouble())
        stage.disk.write(tmp_path / "orders-0", b"x", 0)
        assert (tmp_path / "orders-0").read_bytes() == b"x"
        stage.disk.close_all()

    def test_an_actor_fails_in_a_turn_of_its_own_with_the_wish_as_its_cause(self) -> None:
        stage = Stage()

        async def scenario() -> str:
            said = stage.order(CrashActor("/replica/", seed=3))
            assert stage.failed == []
            await asyncio.sleep(0)
            return said

        path = asyncio.run(scenario())
        ((actor, error),) = stage.failed
        assert path == f"/replica/{actor}" and error.event_id == 77  # type: ignore[attr-defined]

    def test_whom_there_is_not_cannot_crash(self) -> None:
        with pytest.raises(Crashed, match="no actor below /nobody"):
            Stage().order(CrashActor("/nobody"))


def test_orders_and_outcomes_travel_as_lines() -> None:
    order = Order(2, Network((LinkRule(3, loss=0.5),), seed=9), True, "255.7.17")
    assert decode_order(encode_line(order)) == order
    outcome = Outcome({"2": "done"}, {"3": "it did not answer"})
    assert decode_outcome(encode_line(outcome)) == outcome
