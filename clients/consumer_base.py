"""What both consumers do without waiting: assign, seek, pause, commit in the background."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from clients.committed import OffsetAndMetadata
from clients.consumer_configs import EARLIEST, LATEST
from clients.consumer_core import ConsumerCore
from clients.group_metadata import GroupMetadata
from clients.positions import lag_of, positions_of
from clients.subscription import NOWHERE
from model.errors import OdradekError
from model.ids import TopicPartition

OnCommit = Callable[[Mapping[TopicPartition, OffsetAndMetadata], "BaseException | None"], Any]
Places = Iterable[TopicPartition]


class ConsumerCalls:
    """Mixed into Consumer and AsyncConsumer."""

    _core: ConsumerCore

    def assign(self, partitions: Places) -> None:
        """These partitions, whoever else reads them."""
        self._core.assign(partitions)

    def assignment(self) -> set[TopicPartition]:
        return set(self._core.subscription.assigned)

    def subscription(self) -> set[str]:
        return set(self._core.topics())

    def wakeup(self) -> None:
        """From another thread: the poll that waits, or the next one, raises WokenUp."""
        self._core.wakeup()

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """The next poll goes on there."""
        self._core.seek(partition, offset)

    def seek_to_beginning(self, partitions: Places = ()) -> None:
        """Of these, or of all assigned."""
        for place in list(partitions) or self.assignment():
            self._core.seek(place, NOWHERE, reset_to=EARLIEST)

    def seek_to_end(self, partitions: Places = ()) -> None:
        """Of these, or of all assigned."""
        for place in list(partitions) or self.assignment():
            self._core.seek(place, NOWHERE, reset_to=LATEST)

    def seek_to_time(self, timestamp_ms: int, partitions: Places = ()) -> None:
        """The first record at or after that time; the end where there is none."""
        for place in list(partitions) or self.assignment():
            self._core.seek(place, NOWHERE, reset_to=timestamp_ms)

    def pause(self, partitions: Places) -> None:
        """Return nothing of them until they are resumed; what was fetched is kept."""
        for place in partitions:
            self._core.subscription.pause(self._core.state_of(place), True)

    def resume(self, partitions: Places) -> None:
        for place in partitions:
            self._core.subscription.pause(self._core.state_of(place), False)
        self._core.fetcher.soon()

    def paused(self) -> set[TopicPartition]:
        return {place for place, state in self._core.subscription.assigned.items() if state.is_paused}

    def lag(self, partition: TopicPartition) -> int | None:
        """Records between the position and the end, as of the last fetch; None before the first."""
        return lag_of(self._core.state_of(partition), is_committed_only=self._core.is_committed_only)

    def positions(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """What `commit` would commit: the offset after the last record that was handed out, per partition."""
        return self._core.positions()

    def commit_async(
        self,
        offsets: Mapping[TopicPartition, OffsetAndMetadata | int] | None = None,
        on_commit: OnCommit | None = None,
    ) -> None:
        """One attempt in the background; `on_commit(offsets, error)` is called there."""
        wanted = positions_of(self._core, offsets)

        async def attempt() -> None:
            error: BaseException | None = None
            try:
                await self._core.commits.commit_once(wanted)
            except OdradekError as failure:
                error = failure
            if on_commit is not None:
                on_commit(wanted, error)

        self._core.start(attempt)

    def group_metadata(self) -> GroupMetadata:
        """Who this consumer is in its group, for `Producer.send_offsets_to_transaction`."""
        return self._core.group_metadata()

    def metrics(self) -> dict[str, float]:
        """Counters by the names that Java's consumer uses."""
        return self._core.metrics()
