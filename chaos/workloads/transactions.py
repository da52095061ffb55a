"""Transactions: a group copies one topic to another, each batch and its offsets in one transaction.

It aborts some of them, and its members crash now and then, often right after an abort.
What must hold: each acknowledged record is consumed by exactly one committed transaction, and readers of the copy see
all of those and nothing else.
"""

from __future__ import annotations

import time
from typing import Any

from confluent_kafka import KafkaException, Message, Producer, TopicPartition

from chaos.history import poll, send
from chaos.workloads.group_reader import Member
from chaos.workloads.reader import Reader, by_key, read_from_the_beginning
from chaos.workloads.sender import Sender
from chaos.workloads.transactional import Transaction, transactional_producer
from chaos.workloads.workload import Workload

_SENDERS = 2
_COPIERS = 2
_ABORTED = 0.1
_REWINDS = 0.6  # else it crashes, and the group's offsets must say where to go on
_MEAN_LIFE_S = 5.0


class TransactionsWorkload(Workload):
    name = "transactions"

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.topics = [self.topic("-from"), self.topic("-to")]

    def launch(self) -> None:
        source, target = self.topics
        for number in range(_SENDERS):
            self.run_writer(Sender(self, source, f"sender-{number}", self.rate / _SENDERS / 2).live, f"s{number}")
        for number in range(_COPIERS):
            self.run(_Copier(self, source, target, f"copier-{number}").live, f"c{number}")
        self.run(Reader(self, target, "reader-0").live, "r0")

    def drain(self, deadline: float) -> None:
        source, target = self.topics
        self.wait_until_seen(deadline, [source])
        read_from_the_beginning(self, target, deadline)


class _Copier:
    def __init__(self, workload: Workload, source: str, target: str, name: str) -> None:
        self.workload = workload
        self.source = source
        self.target = target
        self.name = name
        self.choice = workload.random(name)

    def live(self) -> None:
        while not self.workload.all_ends.is_set():
            client = transactional_producer(self.workload, f"{self.target}-{self.name}")
            if client is None:
                continue
            member = Member(self.workload, self.source, f"{self.target}-group")
            until = time.monotonic() + self.choice.expovariate(1 / _MEAN_LIFE_S) + 1.0
            try:
                while not self.workload.all_ends.is_set():
                    if time.monotonic() > until and not self.workload.writing_ends.is_set():
                        break
                    messages = member.poll_ours()
                    if messages and not self._copy(client, member, messages):
                        break
            except KafkaException as error:
                self.workload.note_error(error)
            finally:
                member.leave()

    def _copy(self, client: Producer, member: Member, messages: list[Message]) -> bool:
        """False when this pair of clients can't go on from where it is: the group's offsets say where it was."""
        workload, history = self.workload, self.workload.history
        records = [(message.partition() or 0, workload.new_message()) for message in messages]
        found = by_key(messages)
        sends = [send(f"{self.target}-{partition}", message) for partition, message in records]
        rebalances = member.taken_rebalances()
        history.append(member.process, "invoke", "txn", [poll(found), *sends])
        transaction = Transaction(workload, client)

        def body() -> None:
            for partition, message in records:
                transaction.send(self.target, partition, message)
            client.flush(10)
            positions = [
                TopicPartition(self.source, int(key.rpartition("-")[2]), pairs[-1][0] + 1)
                for key, pairs in found.items()
            ]
            client.send_offsets_to_transaction(positions, member.client.consumer_group_metadata(), 10)

        is_aborted = self.choice.random() < _ABORTED
        transaction.run(body, "abort" if is_aborted else "commit")
        done = transaction.micro_ops()
        history.append(
            member.process, transaction.outcome, "txn", [poll(found), *done, *sends[len(done) :]],
            error=transaction.error, rebalances=rebalances,
        )  # fmt: skip
        if transaction.outcome != "fail":  # an unknown outcome may be a commit
            for key, pairs in found.items():
                workload.ledger.note_seen(key, [message for _, message in pairs])
        if transaction.outcome != "ok":
            goes_on = is_aborted and transaction.is_usable and self.choice.random() < _REWINDS
            return goes_on and self._rewind(member, found)
        workload.ledger.note_acked(transaction.sends)
        workload.ledger.note_ops(1)
        return True

    def _rewind(self, member: Member, found: dict[str, list[list[int]]]) -> bool:
        """What the aborted transaction has read is read again. False when it is no longer ours to read."""
        try:
            for key, pairs in found.items():
                member.client.seek(TopicPartition(self.source, int(key.rpartition("-")[2]), pairs[0][0]))
        except KafkaException as error:
            self.workload.note_error(error)
            return False
        return True
