"""What a partition's leader keeps for each follower."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """What the leader knows of one follower."""

    incarnation: int = -1
    attempt: int = -1  # of its last Follow
    log_end_offset: int = -1  # acknowledged; -1: it has not said yet
    next_offset: int = -1  # the next one to push
    in_flight_bytes: int = 0
    in_flight: deque[tuple[int, int]] = field(default_factory=deque)  # (next offset after it, bytes), oldest first
    last_heard_ms: int = 0
    caught_up_ms: int = 0
    goal_offset: int = -1  # once it has this one, it was caught up at `goal_ms`
    goal_ms: int = 0
    told_high_watermark: int = -1
    is_following: bool = False
    is_gone: bool = False  # its process is dead: the next one asks by itself
    led_ms: int = 0  # when it was last told that we lead, or asked

    def forget_in_flight(self) -> None:
        """Nothing that was sent will be answered."""
        self.in_flight.clear()
        self.in_flight_bytes = 0
