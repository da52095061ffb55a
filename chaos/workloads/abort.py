"""Abort: transactional producers that abort, or leave behind, about half of what they begin.

What must hold: no reader sees an aborted record, nor one of a transaction that is still open, not even its own writer,
which polls in the middle of its transactions.
"""

from __future__ import annotations

import random
import time
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, Producer, TopicPartition

from chaos.history import poll, send
from chaos.workloads.clients import consumer
from chaos.workloads.reader import Reader, assign_all, by_key, good_ones, read_from_the_beginning
from chaos.workloads.sender import Pace
from chaos.workloads.transactional import Ending, Transaction, transactional_producer
from chaos.workloads.workload import Workload

_WRITERS = 3
_MOST_SENDS = 16
_ABORTED = 0.4
_LEFT = 0.02


class AbortWorkload(Workload):
    name = "abort"

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.topics = [self.topic()]

    def launch(self) -> None:
        for number in range(_WRITERS):
            self.run_writer(_Writer(self, f"writer-{number}", self.rate / _WRITERS).live, f"w{number}")
        self.run(Reader(self, self.topics[0], "reader-0").live, "r0")

    def drain(self, deadline: float) -> None:
        read_from_the_beginning(self, self.topics[0], deadline)


class _Writer:
    def __init__(self, workload: Workload, name: str, rate: float) -> None:
        self.workload = workload
        self.topic = workload.topics[0]
        self.name = name
        self.choice: random.Random = workload.random(name)
        self.pace = Pace(rate / ((1 + _MOST_SENDS) / 2))
        self._next: dict[int, int] = {}  # partition -> where its consumer goes on

    def live(self) -> None:
        while not self.workload.writing_ends.is_set():
            client = transactional_producer(self.workload, f"{self.topic}-{self.name}")
            if client is None:
                continue
            reader = consumer(self.workload.bootstrap, f"{self.topic}-{self.name}")
            process = assign_all(self.workload, reader, self.topic, self._next)
            try:
                while not self.workload.writing_ends.is_set():
                    self.pace.wait()
                    if not self._one(client, reader, process):
                        break
            finally:
                self.workload.history.append(process, "info", "crash")
                reader.close()

    def _one(self, client: Producer, reader: Consumer, process: int) -> bool:
        choice, workload = self.choice, self.workload
        ending: Ending = "commit"
        fate = choice.random()
        if fate < _LEFT:
            ending = "leave"
        elif fate < _LEFT + _ABORTED:
            ending = "abort"
        count = choice.randint(1, _MOST_SENDS)
        records = [(choice.randrange(workload.partitions), workload.new_message()) for _ in range(count)]
        sends = [send(f"{self.topic}-{partition}", message) for partition, message in records]
        workload.history.append(process, "invoke", "txn", [*sends, poll()])
        transaction = Transaction(workload, client)
        found: list[Message] = []

        def body() -> None:
            half = len(records) // 2
            for partition, message in records[:half]:
                transaction.send(self.topic, partition, message)
            client.flush(2)  # so that the poll could see them
            found.extend(good_ones(workload, reader.consume(200, timeout=0)))
            for partition, message in records[half:]:
                transaction.send(self.topic, partition, message)
            client.flush(10)

        transaction.run(body, ending)
        done = transaction.micro_ops()
        value = [*done[: count // 2], poll(by_key(found)), *done[count // 2 :], *sends[len(done) :]]
        workload.history.append(process, transaction.outcome, "txn", value, error=transaction.error)
        if transaction.outcome == "ok":
            workload.ledger.note_acked(transaction.sends)
            for message in found:
                self._next[message.partition() or 0] = (message.offset() or 0) + 1
            for key, pairs in by_key(found).items():
                workload.ledger.note_seen(key, [message for _, message in pairs])
        elif transaction.outcome == "fail":
            workload.ledger.note_ops(1)
            if found and transaction.is_usable:
                self._rewind(reader)
        return transaction.is_usable

    def _rewind(self, reader: Consumer) -> None:
        """What a failed transaction has read is read again."""
        try:
            reader.assign(
                [
                    TopicPartition(self.topic, partition, self._next.get(partition, OFFSET_BEGINNING))
                    for partition in range(self.workload.partitions)
                ]
            )
        except KafkaException as error:
            self.workload.note_error(error)
            time.sleep(0.1)
