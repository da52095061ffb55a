"""What every state store has in common, and what it needs from the task that owns it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from streams.errors import StateStoreError
from streams.records import Headers
from streams.serdes import Serde

ChangeWriter = Callable[[bytes, bytes | None, int | None, Headers], None]
"""Takes (key, value or None, timestamp or None for now, headers) of one change of a store."""

BatchChangeWriter = Callable[[Sequence[bytes], Sequence[bytes | None], Sequence[int]], None]
"""Takes keys, values and timestamps of many changes of a store."""


RestoredRecord = tuple[bytes, "bytes | None", int, Headers]
"""key, value or None, timestamp, headers: a record of a changelog"""


class StoreContext(Protocol):
    """The task's side: which record is being processed, where changes are logged, and the defaults of the app."""

    timestamp: int
    headers: Headers
    topic: str | None
    partition: int
    offset: int
    dropped_records: int

    @property
    def state_dir(self) -> Path | None: ...

    @property
    def task_partition(self) -> int: ...

    def wall_clock_ms(self) -> int: ...

    def key_serde(self, serde: Serde[Any] | None, used_by: str) -> Serde[Any]: ...

    def value_serde(self, serde: Serde[Any] | None, used_by: str) -> Serde[Any]: ...

    def changelog_topic(self, store_name: str) -> str: ...

    def change_writer(self, store_name: str) -> ChangeWriter: ...

    def batch_change_writer(self, store_name: str) -> BatchChangeWriter: ...


class StateStore:
    """A named store of one task. Not thread-safe: only its task touches it."""

    name: str
    is_persistent: bool = False

    def commit(self) -> None:
        """Write down whatever is held back, and log the changes that wait for a commit."""

    def restore(self, key: bytes, value: bytes | None, timestamp: int, headers: Headers) -> None:
        """Apply one record of the changelog, without logging it again."""
        raise StateStoreError(f"{self.name} is not restored from a changelog")

    def restore_many(self, records: Sequence[RestoredRecord]) -> None:
        """Apply many records of the changelog, in order."""
        restore = self.restore
        for key, value, timestamp, headers in records:
            restore(key, value, timestamp, headers)

    def close(self) -> None:
        """Release files. What was committed stays on disk."""


def no_change_log(_key: bytes, _value: bytes | None, _timestamp: int | None, _headers: Headers) -> None:
    """Stands in for the writer of a store whose logging is off."""
