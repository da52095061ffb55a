from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from log_builders import a_batch

import chaos.faults.fault as fault_module
import chaos.outcome as outcome_module
import testing.waiting as wait_module
from actors.broker import Broker
from chaos.faults import FAULTS
from chaos.faults.actor_crash import ActorCrash
from chaos.faults.bit_flip import BitFlip
from chaos.faults.damage import Damage, active_log, batch_starts
from chaos.faults.disk_full import DiskFull
from chaos.faults.kill import Kill, partition_of
from chaos.faults.noise import KINDS
from chaos.faults.partition import Partition
from chaos.faults.request import Request, api_of, error_of
from chaos.faults.torn_tail import TornTail
from chaos.faults.truncate import Truncate
from chaos.outcome import suffer
from chaos.patient import ChaosFailed
from chaos.plan import fault_of
from chaos.probe import Probe
from model.errors import ConfigError
from model.ids import TopicPartition
from protocol.cluster_supervision import SupervisionMessage


class TestPartition:
    def test_one_broker_is_cut_off_both_ways(self) -> None:
        assert Partition().unheard("one", 2, [1, 2, 3]) == {2: {1, 3}, 1: {2}, 3: {2}}

    def test_one_way_only_the_victim_is_not_heard(self) -> None:
        assert Partition().unheard("one-way", 2, [1, 2, 3]) == {2: {1, 3}}

    @pytest.mark.parametrize("size", [3, 4, 5, 7])
    def test_in_a_ring_everybody_reaches_a_majority_with_itself_and_no_two_the_same(self, size: int) -> None:
        brokers = list(range(1, size + 1))
        unheard = Partition().unheard("ring", 1, brokers)
        reached = {broker: frozenset(brokers) - deaf for broker, deaf in unheard.items()}
        assert all(broker in seen and len(seen) == size // 2 + 1 for broker, seen in reached.items())
        assert len(set(reached.values())) == size

    def test_sides_are_as_written(self) -> None:
        assert Partition(sides="1|2,3").unheard("sides", 1, [1, 2, 3]) == {1: {2, 3}, 2: {1}, 3: {1}}
        assert Partition(sides="1|2,3", one_way=True).unheard("sides", 1, [1, 2, 3]) == {1: {2, 3}}

    @pytest.mark.parametrize("sides", ["1,2,3", "1|1,2", "1|", "|2", "1,|2", "1|x", "1|-2"])
    def test_sides_that_make_no_sense_are_refused(self, sides: str) -> None:
        with pytest.raises(ConfigError, match="sides"):
            Partition(sides=sides)

    def test_sides_name_brokers_that_there_are(self) -> None:
        with pytest.raises(ChaosFailed, match="there is no broker 9: there are 1, 2, 3"):
            Partition(sides="1|9").unheard("sides", 1, [1, 2, 3])

    def test_one_way_needs_sides(self) -> None:
        with pytest.raises(ConfigError, match="shape one-way"):
            Partition("ring", one_way=True)

    @pytest.mark.parametrize(("shape", "lives"), [("ring", 2), ("ring", 1), ("one", 1), ("one-way", 1)])
    def test_a_shape_that_cuts_nobody_off_is_none(self, shape: str, lives: int) -> None:
        patient: Any = StubPatient()
        patient.lives = dict.fromkeys(range(1, lives + 1), 1)
        with pytest.raises(ChaosFailed, match="nobody would be cut off"):
            Partition(shape, broker=1).inject(patient)
        assert patient.done == []

    def test_shapes_that_are_none_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="star is no partition"):
            Partition("star")


def test_kill_knows_whom() -> None:
    with pytest.raises(ConfigError, match="kill whom"):
        Kill("everybody")
    for whom, of in (("leader", "orders"), ("broker", "x"), ("broker", "0"), ("all", "orders/0"), ("", "2")):
        with pytest.raises(ConfigError, match=of):
            Kill(whom, of)


def test_partitions_are_read_as_people_write_them() -> None:
    assert {partition_of(text) for text in ("a-b/0", "a-b:0", "a-b-0")} == {("a-b", 0)}
    with pytest.raises(ConfigError, match="write it as orders/0"):
        partition_of("orders")


def test_requests_are_named_by_api_and_error() -> None:
    assert api_of("produce") == api_of("0") == 0 and api_of("find-coordinator") == 10
    assert error_of("not-leader-or-follower") == 6
    with pytest.raises(ConfigError, match="no API"):
        api_of("nonsense")
    for name in ("nonsense", "none"):
        with pytest.raises(ConfigError, match="no error"):
            error_of(name)
    with pytest.raises(ConfigError, match="what shall happen"):
        Request("produce")
    with pytest.raises(ConfigError, match="its connection ends"):
        Request("produce", error="NOT_ENOUGH_REPLICAS", disconnect=True)


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("noise", {"loss": 5}), ("noise", {"duplication": -0.1}), ("noise", {"jitter_ms": -1}),
        ("noise", {"kind": "Replicat"}),
        ("slow-disk", {"sync_ms": -5}), ("actor-crash", {"count": 0}), ("bit-flip", {"of": "orders"}),
        ("request", {"nth": 0}), ("request", {"count": 0}), ("request", {"api": "produce", "delay_ms": -1}),
    ],
)  # fmt: skip
def test_options_that_no_cluster_could_mean_are_refused_before_anything_is_done(
    fault: str, options: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError):
        fault_of(fault, options)


def test_noise_knows_the_classes_of_what_brokers_tell_each_other() -> None:
    assert {"Replicate", "Credit"} <= set(KINDS) and len(set(KINDS)) == len(KINDS) > 20
    assert set(KINDS) == {"Credit", *(kind.__name__ for kind in get_args(Broker.message_type))} - {
        kind.__name__ for kind in get_args(SupervisionMessage)
    }


def test_every_fault_can_be_made_from_its_options() -> None:
    for name, kind in FAULTS.items():
        assert kind(**kind.options()).name == name


class TestDamage:
    @pytest.fixture
    def log(self, tmp_path: Path) -> Path:
        path = tmp_path / "00000000000000000000.log"
        path.write_bytes(b"".join(bytes(a_batch(1 + number % 3)) for number in range(10)))
        return path

    def damaged(self, fault: Damage, log: Path, seed: int) -> tuple[bytes, bytes]:
        before = log.read_bytes()
        fault.damage(log, random.Random(seed).randrange)
        return before, log.read_bytes()

    @pytest.mark.parametrize("seed", range(20))
    def test_a_torn_tail_leaves_a_part_of_the_last_batch_only(self, log: Path, seed: int) -> None:
        last = batch_starts(log, 1)[0]
        before, after = self.damaged(TornTail(), log, seed)
        assert last < len(after) < len(before) and before.startswith(after)

    @pytest.mark.parametrize("seed", range(100))
    def test_a_flipped_bit_is_one_that_the_checksum_guards(self, log: Path, seed: int) -> None:
        starts = batch_starts(log, 3)
        before, after = self.damaged(BitFlip(), log, seed)
        different = [at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
        assert len(different) == 1 and different[0] >= starts[0]
        begin = max(start for start in starts if start <= different[0])
        assert different[0] >= begin + 21, "not in what stands before the checksum"
        assert (before[different[0]] ^ after[different[0]]).bit_count() == 1

    @pytest.mark.parametrize("seed", range(20))
    def test_truncation_takes_whole_batches(self, log: Path, seed: int) -> None:
        starts = batch_starts(log, 50)
        before, after = self.damaged(Truncate(), log, seed)
        assert len(after) in starts and before.startswith(after)

    @pytest.mark.parametrize("fault", [TornTail(), BitFlip(), Truncate()])
    def test_an_empty_log_is_left_alone(self, tmp_path: Path, fault: Damage) -> None:
        path = tmp_path / "00000000000000000000.log"
        path.touch()
        with pytest.raises(ChaosFailed, match="nothing to be damaged"):
            fault.damage(path, random.Random(1).randrange)
        assert path.read_bytes() == b""

    def test_the_segment_that_is_written_to_is_the_last(self, log: Path) -> None:
        later = log.with_name("00000000000000000010.log")
        later.touch()
        assert active_log(log.parent) == later
        with pytest.raises(ChaosFailed, match="holds no log"):
            active_log(log.parent / "nowhere")


class StubPatient:
    """Says yes to all, but for the orders whose number is in `refused`; keeps what was done."""

    def __init__(self, *refused: int) -> None:
        self.refused = refused
        self.orders = 0
        self.done: list[str] = []
        self.lives = {1: 1, 2: 1}
        self.random = random.Random(1)

    def chosen(self, broker: int) -> int:
        return broker or 1

    def rows(self) -> dict[int, Any]:
        return dict.fromkeys(self.lives)

    def incarnation(self, broker: int) -> int:
        return self.lives[broker]

    def tell(self, *_: object, **__: object) -> int:
        return 1

    def order(self, broker: int, fault: object, **_: object) -> Any:
        self.orders += 1
        if self.orders in self.refused:
            raise ChaosFailed("it did not answer")
        self.done.append(f"{type(fault).__name__} {broker}")

    def strike(self, broker: int, number: int, **_: object) -> None:
        self.done.append(f"signal {broker}")

    def wait_for_next_life(self, broker: int, before: int) -> None:
        self.lives[broker] = before + 1


class TestHeal:
    def test_a_full_disk_is_healed_by_the_next_attempt_when_the_first_got_no_answer(self) -> None:
        patient: Any = StubPatient(2)
        fault = DiskFull(1)
        fault.inject(patient)
        with pytest.raises(ChaosFailed):
            fault.heal(patient)
        fault.heal(patient)
        fault.heal(patient)
        assert patient.done == ["DiskTrouble 1", "DiskTrouble 1", "signal 1"], "once, and then it is healed"

    def test_a_full_disk_is_healed_when_nobody_knows_whether_it_was_done(self) -> None:
        patient: Any = StubPatient(1)
        fault = DiskFull(1)
        with pytest.raises(ChaosFailed):
            fault.inject(patient)
        fault.heal(patient)
        assert patient.done == ["DiskTrouble 1", "signal 1"]

    def test_a_broker_that_restarted_meanwhile_has_room_and_is_left_alone(self) -> None:
        patient: Any = StubPatient()
        fault = DiskFull(1)
        fault.inject(patient)
        patient.lives[1] += 1
        fault.heal(patient)
        assert patient.done == ["DiskTrouble 1"]

    def test_a_partition_that_was_done_by_half_is_undone(self) -> None:
        patient: Any = StubPatient(2)
        with pytest.raises(ChaosFailed, match="did not answer"):
            suffer(patient, Partition(sides="1|2"), None)
        assert patient.done == ["Network 1", "Network 0"]

    def test_a_mistake_heals_nothing_of_what_goes_on(self) -> None:
        patient: Any = StubPatient()
        with pytest.raises(ChaosFailed, match="there is no broker 9"):
            suffer(patient, Partition(sides="1|9"), None)
        assert patient.done == []

    def test_whoever_is_interrupted_leaves_no_partition_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(_: float) -> None:
            raise KeyboardInterrupt

        patient: Any = StubPatient()
        monkeypatch.setattr(outcome_module.time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            suffer(patient, Partition(sides="1|2"), 3.0)
        assert patient.done == ["Network 1", "Network 2", "Network 0"]

    def test_what_lasts_goes_on_without_an_end(self) -> None:
        patient: Any = StubPatient()
        suffer(patient, Partition(sides="1|2"), None)
        assert patient.done == ["Network 1", "Network 2"]

    def test_a_heal_that_gets_no_answer_is_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fault_module.time, "sleep", lambda _: None)
        patient: Any = StubPatient(3, 4)
        suffer(patient, Partition(sides="1|2"), 0.0)
        assert patient.done == ["Network 1", "Network 2", "Network 0"]


    def test_crashed_actors_have_to_run_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(wait_module.time, "sleep", lambda _: None)
        told: list[Any] = [["/replica/t/0"], ChaosFailed("it does not run now"), []]

        class Crashing(StubPatient):
            def order(self, *_: object, **__: object) -> Any:
                return SimpleNamespace(said={"1": "/replica/t/0"})

            def brokers(self) -> list[int]:
                return [1]

            def insight(self, broker: int) -> Any:
                answer = told.pop(0)
                if isinstance(answer, ChaosFailed):
                    raise answer
                return SimpleNamespace(down=answer)

        patient: Any = Crashing()
        fault = ActorCrash()
        fault.inject(patient)
        fault.heal(patient)
        fault.heal(patient)
        assert told == [], "asked until they run, and not again"


class TestProbe:
    def a_probe(self, acked: dict[bytes, int], found: dict[bytes, list[int]]) -> Probe:
        class Told(Probe):
            def read(self) -> dict[bytes, list[int]]:
                return found

        probe = Told("nowhere:1", "t", 0)
        probe.acked = acked
        return probe

    def test_what_is_not_where_its_ack_said_is_lost(self) -> None:
        probe = self.a_probe({b"a": 1, b"b": 2, b"c": 3}, {b"a": [1], b"b": [5]})
        assert probe.lost() == [b"b", b"c"] and probe.doubled() == []

    def test_what_is_there_twice_is_doubled(self) -> None:
        probe = self.a_probe({b"a": 1}, {b"a": [1, 2]})
        assert probe.doubled() == [b"a"] and probe.lost() == []

    def test_the_gap_is_the_longest_that_ended_after_the_fault(self) -> None:
        probe = Probe("nowhere:1", "t", 0)
        probe.acked_s = [1.0, 3.0, 3.1, 3.2, 3.7, 3.8]
        assert probe.longest_gap_ms(3.15) == pytest.approx(500)
        assert probe.longest_gap_ms(0.0) == pytest.approx(2000)
        assert probe.longest_gap_ms(9.0) == 0.0
        assert probe.place == TopicPartition("t", 0)
