"""What a workload counts, and how it knows what it still waits for."""

from __future__ import annotations

import threading

import pytest

from chaos.history import History
from chaos.workloads import WORKLOADS, Ledger, WorkloadFailed
from chaos.workloads.queue import QueueWorkload

MS = 1_000_000


def test_what_is_acknowledged_is_unseen_until_it_is_polled() -> None:
    ledger = Ledger()
    ledger.note_acked([("t-0", 1), ("t-1", 2), ("other-0", 3)])
    assert ledger.unseen(["t"]) == 2
    ledger.note_seen("t-0", [1])
    assert ledger.unseen(["t"]) == 1
    assert ledger.unseen(["t"], {"t-1": {2}}) == 1, "of this reader alone"
    assert ledger.ops == 4


def test_the_longest_stall_counts_to_the_end_of_writing() -> None:
    ledger = Ledger()
    assert ledger.longest_stall_ms(2 * MS, 50 * MS) == 48, "nothing was acknowledged at all"
    ledger.ack_times_ns = [0, 5 * MS, 45 * MS, 46 * MS]
    assert ledger.longest_stall_ms(0, 50 * MS) == 40
    assert ledger.longest_stall_ms(0, 146 * MS) == 100


def test_the_same_seed_makes_the_same_choices_and_clients_differ() -> None:
    first, second = (QueueWorkload("nowhere", History(), seed=5) for _ in range(2))
    assert first.random("a").random() == second.random("a").random() != first.random("b").random()


def test_every_workload_names_topics_that_tell_its_key_from_its_partition() -> None:
    for name, kind in WORKLOADS.items():
        workload = kind("nowhere", History(), seed=5)
        assert workload.name == name
        assert len(set(workload.topics)) == len(workload.topics) > 0
        assert workload.keys(workload.topics[0])[-1].rpartition("-")[0] == workload.topics[0]


def test_a_client_that_ends_by_a_mistake_of_ours_fails_the_run() -> None:
    class Mistaken(QueueWorkload):
        def launch(self) -> None:
            self.run_writer(lambda: 1 // 0, "mistaken")  # type: ignore[arg-type, return-value]

        def drain(self, deadline: float) -> None:
            pass

    workload = Mistaken("nowhere", History(), seed=1)
    workload.launch()
    with pytest.raises(WorkloadFailed, match="ZeroDivisionError"):
        workload.stop(0)


def test_histories_are_appended_to_from_many_threads() -> None:
    history = History()

    def client() -> None:
        process = history.new_process()
        for _ in range(200):
            history.append(process, "ok", "crash")

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [op.index for op in history] == list(range(800))
    assert {op.process for op in history} == {1, 2, 3, 4}
