"""A producer without transactions: an operation is one to four records in flight together."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from chaos.history import send
from chaos.workloads.clients import producer
from chaos.workloads.workload import Workload

MOST_AT_ONCE = 4
_MEAN_AT_ONCE = (1 + MOST_AT_ONCE) / 2
_LATE_S = 1.0
ANSWER_S = 40.0  # longer than a delivery may take


class Pace:
    """Keeps a mean number of operations per second; what was missed during a stall is not made up for."""

    def __init__(self, per_second: float) -> None:
        self._every_s = 1 / per_second
        self._next = time.monotonic()

    def wait(self) -> None:
        now = time.monotonic()
        self._next = max(self._next + self._every_s, now - _LATE_S)
        if self._next > now:
            time.sleep(self._next - now)


class Sender:
    """Lives until the writing ends; a producer that is past help is replaced, as another process."""

    def __init__(self, workload: Workload, topic: str, name: str, rate: float) -> None:
        self.workload = workload
        self.topic = topic
        self.choice: random.Random = workload.random(name)
        self.pace = Pace(max(1.0, rate / _MEAN_AT_ONCE))

    def live(self) -> None:
        while not self.workload.writing_ends.is_set():
            self._one_life()

    def _one_life(self) -> None:
        client = producer(self.workload.bootstrap, **self.workload.producer_configs)
        process = self.workload.history.new_process()
        while not self.workload.writing_ends.is_set():
            self.pace.wait()
            if not self._send(client, process):
                self.workload.history.append(process, "info", "crash")
                break
        client.purge()
        with suppress(KafkaException):  # it has failed for good, and been written down as such
            client.flush(1)

    def _send(self, client: Producer, process: int) -> bool:
        """False when the producer is of no more use."""
        workload, history = self.workload, self.workload.history
        partitions = [self.choice.randrange(workload.partitions) for _ in range(self.choice.randint(1, MOST_AT_ONCE))]
        records = [(partition, f"{self.topic}-{partition}", workload.new_message()) for partition in partitions]
        history.append(process, "invoke", "send", [send(key, message) for _, key, message in records])
        answers: dict[int, tuple[KafkaError | None, int | None]] = {}
        error = ""
        is_usable = True
        try:
            for place, (partition, _, message) in enumerate(records):
                note = partial(_note, answers, place)
                client.produce(self.topic, workload.encoded(message), partition=partition, on_delivery=note)
            deadline = time.monotonic() + ANSWER_S
            while len(answers) < len(records):
                client.poll(0.05)
                if time.monotonic() > deadline:
                    error, is_usable = "no answer", False
                    break
        except (KafkaException, BufferError) as refused:
            error, is_usable = str(refused), False
        offsets: list[int | None] = [None] * len(records)
        for place, (failure, offset) in list(answers.items()):
            if failure is None:
                offsets[place] = offset
            else:
                workload.note_error(failure)
                error = str(failure)
                is_usable = is_usable and not failure.fatal()
        done = [place for place, (failure, _) in answers.items() if failure is None]
        value: list[Any] = [
            send(key, message, offset) for (_, key, message), offset in zip(records, offsets, strict=True)
        ]
        history.append(process, "info" if error else "ok", "send", value, error=error or None)
        if done:
            workload.ledger.note_acked(records[place][1:] for place in done)
        return is_usable


def _note(
    answers: dict[int, tuple[KafkaError | None, int | None]], place: int, error: KafkaError | None, message: Message
) -> None:
    offset = message.offset()
    # acks=0 and a duplicate that the broker had forgotten are acknowledged without an offset
    answers[place] = (error, offset if offset is not None and offset >= 0 else None)
