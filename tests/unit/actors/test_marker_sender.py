"""When a coordinator sends its markers again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from actors.marker_sender import MarkerSender
from machines.marker_delivery import RESEND_MS, Leader
from machines.transaction_events import SendMarkers
from model.ids import TopicPartition


class Clocks:
    """Ports whose two clocks are set by hand; `sent` are the messages that went out."""

    def __init__(self) -> None:
        self.monotonic_ms, self.unix_ms = 5_000, 1_700_000_600_000
        self.sent: list[Any] = []
        self.sender = MarkerSender(0, 1, SimpleNamespace(
            now_ms=lambda: self.monotonic_ms,
            wall_ms=lambda: self.unix_ms,
            exists=lambda partition: True,
            leader_of=lambda partition: Leader(2, 1, 1),
            send_markers=lambda broker_id, message: self.sent.append(message) or True,
        ))  # type: ignore[arg-type]  # fmt: skip


def test_a_lost_marker_is_sent_again_though_the_wall_clock_was_set_back() -> None:
    """Simulated seed 1051: set back by ten minutes, a transaction stayed undecided for ten minutes."""
    clocks = Clocks()
    clocks.sender.add("x", SendMarkers(5, 0, False, 0, frozenset({TopicPartition("t", 0)})), 1)
    clocks.sender.send()
    clocks.unix_ms -= 600_000
    clocks.monotonic_ms += RESEND_MS - 1
    clocks.sender.send()
    assert len(clocks.sent) == 1
    clocks.monotonic_ms += 1
    clocks.sender.send()
    assert len(clocks.sent) == 2
