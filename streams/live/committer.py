"""Commits: what was read, written and logged becomes final together, in a transaction or in the right order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from clients.committed import OffsetAndMetadata
from model.errors import OdradekError
from model.ids import TopicPartition
from streams.config import StreamsConfig
from streams.errors import StreamsError, TaskFailed
from streams.live.settings import LiveSettings
from streams.live.task_shelf import TaskShelf
from streams.live.trouble import is_of_a_record

if TYPE_CHECKING:
    from clients.consumer import Consumer
    from clients.producer import Producer

log = logging.getLogger(__name__)


class Committer:
    """On the app's thread, but for `failed`. `has_committed` is true after the first offsets."""

    def __init__(
        self,
        config: StreamsConfig,
        settings: LiveSettings,
        shelf: TaskShelf,
        producer: Callable[[], Producer],
        consumer: Callable[[], Consumer],
    ) -> None:
        self.has_committed = False
        self._config = config
        self._settings = settings
        self._shelf = shelf
        self._producer = producer
        self._consumer = consumer
        self._failure: BaseException | None = None
        self._is_in_transaction = False
        self._errors_before = self._next = 0.0

    def failed(self, error: BaseException) -> None:
        """A record could not be written. From the producer's thread."""
        self._failure = error

    def raise_failure(self) -> None:
        """What kept records from being written: TaskFailed when it was the records, otherwise what the client raised,
        which a new life may find over."""
        failure = self._failure
        if failure is not None:
            if isinstance(failure, StreamsError) or not is_of_a_record(failure):
                raise failure
            raise TaskFailed(f"a record could not be written: {failure}") from failure

    def begin(self) -> None:
        """Before anything is processed."""
        if self._settings.is_exact and not self._is_in_transaction:
            self._producer().begin_transaction()
            self._is_in_transaction = True

    def due_in_s(self) -> float:
        return self._next - time.monotonic()

    def commit_if_due(self) -> None:
        if self.due_in_s() <= 0 or any(live.task.context.is_commit_requested for live in self._shelf.running()):
            self.commit()
            self._next = time.monotonic() + self._settings.commit_interval_s

    def commit(self) -> None:
        """Raises what the clients raise; then nothing is known to be final."""
        running = self._shelf.running()
        for live in running:
            if live.task.own_stores:
                self.begin()
            live.task.commit()
        positions = self._consumer().positions()
        offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        for live in running:
            offsets |= live.to_commit(positions)
        if self._settings.is_exact:
            self._commit_transaction(offsets)
        else:
            self._producer().flush()
            self.raise_failure()
            self._raise_lost_records()
            if offsets:
                self._consumer().commit(offsets)
        for live in running:
            live.was_committed(offsets)
        for live in self._shelf.all():
            if live.mode == "standby":
                live.write_down()
        self.has_committed = self.has_committed or bool(offsets)

    def _commit_transaction(self, offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        if not self._is_in_transaction and not offsets:
            return
        self.begin()
        producer = self._producer()
        # Before the offsets: whoever sees them pending finds in the changelogs all that belongs to them.
        producer.flush()
        self.raise_failure()
        if offsets:
            producer.send_offsets_to_transaction(offsets, self._consumer().group_metadata())
        producer.commit_transaction()
        self._is_in_transaction = False

    def abort(self) -> None:
        """Forget the open transaction, if there is one."""
        if self._is_in_transaction:
            self._is_in_transaction = False
            try:
                self._producer().abort_transaction()
            except (OdradekError, TimeoutError) as error:
                log.warning("the transaction was not aborted, the broker's timeout will do it: %s", error)

    def _raise_lost_records(self) -> None:
        """Without a handler nobody asks about single records: count those that were not written."""
        default = StreamsConfig.production_exception_handler
        if self._config.production_exception_handler is not default or self._config.dead_letter_topic is not None:
            return
        errors = self._producer().metrics()["record-error-total"]
        if errors > self._errors_before:
            lost, self._errors_before = errors - self._errors_before, errors
            why = self._producer().last_error
            if why is not None and not is_of_a_record(why):
                raise why
            raise TaskFailed(f"{lost:.0f} records could not be written, the last: {why}") from why
