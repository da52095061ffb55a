"""One transaction of librdkafka's, from begin to an outcome that can be told."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from chaos.history import OpType, send
from chaos.workloads.clients import producer
from chaos.workloads.workload import Workload

INIT_S = 10.0
END_S = 20.0
Ending = Literal["commit", "abort", "leave"]


class Transaction:
    """Sends, then an ending. `outcome` is ok (committed), fail (never was, never will be) or info (nobody knows)."""

    def __init__(self, workload: Workload, client: Producer) -> None:
        self.workload = workload
        self.client = client
        self.sends: list[tuple[str, int]] = []
        self.offsets: dict[int, int] = {}  # place in `sends` -> offset
        self.outcome: OpType = "info"
        self.error: str | None = None
        self.is_usable = True
        """Whether the producer can begin another one."""

    def begin(self) -> None:
        self.client.begin_transaction()

    def send(self, topic: str, partition: int, message: int) -> None:
        place = len(self.sends)
        self.sends.append((f"{topic}-{partition}", message))
        value = self.workload.encoded(message)
        self.client.produce(topic, value, partition=partition, on_delivery=partial(self._note, place))

    def micro_ops(self) -> list[Any]:
        return [send(key, message, self.offsets.get(place)) for place, (key, message) in enumerate(self.sends)]

    def run(self, body: Callable[[], None], ending: Ending) -> None:
        """`body` sends, polls, hands over offsets. Never raises KafkaException: the outcome tells.

        A transaction that is left behind, or fails before its commit, was never committed; only while a commit is
        under way can nobody know.
        """
        try:
            self.begin()
            body()
            if ending == "leave":
                self.outcome, self.is_usable, self.error = "fail", False, "left behind on purpose"
                return
            if ending == "commit":
                self._commit()
                return
        except (KafkaException, BufferError) as error:
            self._note_error(error)
        self._abort()

    def _commit(self) -> None:
        deadline = time.monotonic() + END_S
        attempts = 0
        while True:
            attempts += 1
            try:
                self.client.commit_transaction(5)
                self.outcome = "ok"
                return
            except KafkaException as error:
                self._note_error(error)
                told: KafkaError = error.args[0]
                if told.txn_requires_abort() and attempts == 1:
                    raise  # refused: it can't have been committed
                if not told.retriable() or time.monotonic() > deadline:
                    self.is_usable = False
                    return

    def _abort(self) -> None:
        deadline = time.monotonic() + END_S
        self.outcome = "fail"  # we never asked for a commit, or were refused
        while True:
            try:
                self.client.abort_transaction(5)
                return
            except KafkaException as error:
                self._note_error(error)
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    self.is_usable = False
                    return

    def _note_error(self, error: KafkaException | BufferError) -> None:
        if isinstance(error, KafkaException):
            self.workload.note_error(error)
        self.error = self.error or str(error)

    def _note(self, place: int, error: KafkaError | None, message: Message) -> None:
        offset = message.offset()
        if error is None and offset is not None and offset >= 0:
            self.offsets[place] = offset


def transactional_producer(workload: Workload, transactional_id: str) -> Producer | None:
    """Initialised, which ends what an earlier one of this id has left open; None when that failed: try again."""
    client = producer(workload.bootstrap, transactional_id=transactional_id, **workload.producer_configs)
    try:
        client.init_transactions(INIT_S)
    except KafkaException as error:
        workload.note_error(error)
        time.sleep(0.1)
        return None
    return client
