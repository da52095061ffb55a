"""Where chaos takes hold of the bus: one question before a message leaves, by (from, to, kind of message)."""

from dataclasses import dataclass
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a message. A dropped one looks sent to its sender, as on a real network.

    A delayed message may be overtaken by later ones, and by its peer's death.
    """

    is_dropped: bool = False
    delay_ms: float = 0.0
    duplicates: int = 0


DELIVER: Final = Verdict()
DROP: Final = Verdict(is_dropped=True)


class FaultHook(Protocol):
    """Asked by the sending bus, except for messages to itself.

    `kind` is the class name of the message, or "Credit" for the bus's own flow control.
    """

    def decide(self, sender: int, to: int, kind: str) -> Verdict: ...
