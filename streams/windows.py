"""The shapes of time: tumbling, hopping, sliding, session, unlimited and join windows.

Durations are ints in ms or `timedelta`. Grace is how long after its end a window still takes late records.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from streams.windowed_keys import MAX_TIME

Duration = int | timedelta


def to_ms(duration: Duration) -> int:
    """Whole milliseconds. Raises ValueError for what isn't a duration."""
    if isinstance(duration, timedelta):
        return duration // timedelta(milliseconds=1)
    if isinstance(duration, bool) or not isinstance(duration, int):
        raise ValueError(f"a duration is an int in ms or a timedelta, not {duration!r}")
    return duration


@dataclass(frozen=True, slots=True)
class TimeWindows:
    """Fixed-size windows [start, end) aligned to the epoch; tumbling unless they advance by less than their size."""

    size_ms: int
    advance_ms: int
    grace_ms: int

    def __post_init__(self) -> None:
        if self.size_ms <= 0:
            raise ValueError("the size of a window must be larger than zero")
        if not 0 < self.advance_ms <= self.size_ms:
            raise ValueError(f"windows of {self.size_ms} ms can't advance by {self.advance_ms} ms")
        if self.grace_ms < 0:
            raise ValueError("grace must not be negative")

    @classmethod
    def of_size_with_no_grace(cls, size: Duration) -> TimeWindows:
        return cls.of_size_and_grace(size, 0)

    @classmethod
    def of_size_and_grace(cls, size: Duration, grace: Duration) -> TimeWindows:
        return cls(to_ms(size), to_ms(size), to_ms(grace))

    def advance_by(self, advance: Duration) -> TimeWindows:
        return replace(self, advance_ms=to_ms(advance))

    def starts_for(self, timestamp: int) -> range:
        """Starts of every window that holds `timestamp`, ascending."""
        advance_ms = self.advance_ms
        first = max(0, timestamp - self.size_ms + advance_ms) // advance_ms * advance_ms
        return range(first, timestamp + 1, advance_ms)


@dataclass(frozen=True, slots=True)
class UnlimitedWindows:
    """One window from `start_ms` to the end of time. Records before it are not in any window."""

    start_ms: int = 0
    size_ms: int = MAX_TIME
    grace_ms: int = 0

    @classmethod
    def of(cls) -> UnlimitedWindows:
        return cls()

    def start_on(self, start_ms: int) -> UnlimitedWindows:
        if start_ms < 0:
            raise ValueError("a window can't start before the epoch")
        return replace(self, start_ms=start_ms)

    def starts_for(self, timestamp: int) -> range:
        return range(self.start_ms, self.start_ms + 1) if timestamp >= self.start_ms else range(0)


@dataclass(frozen=True, slots=True)
class SlidingWindows:
    """Windows [t - difference, t] and (t, t + 1 + difference] around each record; both ends inclusive."""

    time_difference_ms: int
    grace_ms: int

    def __post_init__(self) -> None:
        if self.time_difference_ms < 0 or self.grace_ms < 0:
            raise ValueError("time difference and grace must not be negative")

    @classmethod
    def of_time_difference_with_no_grace(cls, time_difference: Duration) -> SlidingWindows:
        return cls(to_ms(time_difference), 0)

    @classmethod
    def of_time_difference_and_grace(cls, time_difference: Duration, grace: Duration) -> SlidingWindows:
        return cls(to_ms(time_difference), to_ms(grace))


@dataclass(frozen=True, slots=True)
class SessionWindows:
    """Sessions of records of a key that are at most `gap_ms` apart; they merge when a record bridges them."""

    gap_ms: int
    grace_ms: int

    def __post_init__(self) -> None:
        if self.gap_ms < 0 or self.grace_ms < 0:
            raise ValueError("inactivity gap and grace must not be negative")

    @classmethod
    def of_inactivity_gap_with_no_grace(cls, gap: Duration) -> SessionWindows:
        return cls(to_ms(gap), 0)

    @classmethod
    def of_inactivity_gap_and_grace(cls, gap: Duration, grace: Duration) -> SessionWindows:
        return cls(to_ms(gap), to_ms(grace))


@dataclass(frozen=True, slots=True)
class JoinWindows:
    """A left record at t meets right records in [t - before, t + after]."""

    before_ms: int
    after_ms: int
    grace_ms: int

    def __post_init__(self) -> None:
        if self.before_ms + self.after_ms < 0:
            raise ValueError("a join window can't end before it starts")
        if self.grace_ms < 0:
            raise ValueError("grace must not be negative")

    @classmethod
    def of_time_difference_with_no_grace(cls, time_difference: Duration) -> JoinWindows:
        return cls.of_time_difference_and_grace(time_difference, 0)

    @classmethod
    def of_time_difference_and_grace(cls, time_difference: Duration, grace: Duration) -> JoinWindows:
        difference_ms = to_ms(time_difference)
        if difference_ms < 0:
            raise ValueError("time difference must not be negative")
        return cls(difference_ms, difference_ms, to_ms(grace))

    def before(self, time_difference: Duration) -> JoinWindows:
        return replace(self, before_ms=to_ms(time_difference))

    def after(self, time_difference: Duration) -> JoinWindows:
        return replace(self, after_ms=to_ms(time_difference))

    @property
    def size_ms(self) -> int:
        return self.before_ms + self.after_ms

    @property
    def retention_ms(self) -> int:
        return self.size_ms + self.grace_ms


@dataclass(frozen=True, slots=True)
class EmitStrategy:
    """When a windowed aggregation emits: at every update, or once per window after it closed."""

    is_on_window_close: bool

    @classmethod
    def on_window_update(cls) -> EmitStrategy:
        return cls(False)

    @classmethod
    def on_window_close(cls) -> EmitStrategy:
        return cls(True)
