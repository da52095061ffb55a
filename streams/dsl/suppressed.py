"""How `KTable.suppress` holds changes back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from streams.errors import TopologyError
from streams.windowed_keys import MAX_TIME
from streams.windows import Duration, to_ms


@dataclass(frozen=True, slots=True)
class BufferConfig:
    """How much may be held back, and what happens beyond: let the first go early, or stop the task."""

    max_records: int = MAX_TIME
    max_bytes: int = MAX_TIME
    emits_early: bool = False
    is_logged: bool = True

    @classmethod
    def unbounded(cls) -> BufferConfig:
        return cls()

    @classmethod
    def of_max_records(cls, max_records: int) -> BufferConfig:
        return cls(max_records=max_records, emits_early=True)

    @classmethod
    def of_max_bytes(cls, max_bytes: int) -> BufferConfig:
        return cls(max_bytes=max_bytes, emits_early=True)

    def with_max_records(self, max_records: int) -> BufferConfig:
        return replace(self, max_records=max_records)

    def with_max_bytes(self, max_bytes: int) -> BufferConfig:
        return replace(self, max_bytes=max_bytes)

    def with_no_bound(self) -> BufferConfig:
        return replace(self, max_records=MAX_TIME, max_bytes=MAX_TIME, emits_early=False)

    def emit_early_when_full(self) -> BufferConfig:
        return replace(self, emits_early=True)

    def shut_down_when_full(self) -> BufferConfig:
        return replace(self, emits_early=False)

    def with_logging_disabled(self) -> BufferConfig:
        return replace(self, is_logged=False)

    def is_exceeded(self, records: int, size_bytes: int) -> bool:
        return records > self.max_records or size_bytes > self.max_bytes


@dataclass(frozen=True, slots=True)
class Suppressed:
    """`until_window_closes` emits one final result per window; `until_time_limit` emits at most so often per key."""

    wait_ms: int | None
    bounds: BufferConfig
    name: str | None = None

    @property
    def is_until_window_closes(self) -> bool:
        return self.wait_ms is None

    @classmethod
    def until_window_closes(cls, bounds: BufferConfig) -> Suppressed:
        """The buffer must be strict: a final result can't be emitted early."""
        if bounds.emits_early:
            raise TopologyError("final results need a buffer that is unbounded or shuts down when full")
        return cls(None, bounds)

    @classmethod
    def until_time_limit(cls, wait: Duration, bounds: BufferConfig) -> Suppressed:
        return cls(to_ms(wait), bounds)

    def with_name(self, name: str) -> Suppressed:
        return replace(self, name=name)
