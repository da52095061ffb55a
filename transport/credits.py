"""How much may be on its way to a peer: explicit refusals instead of silent high-water drops.

Both sides count positions: the bytes of all data ever sent to this incarnation of the peer. Every data message carries
the position it ends at, and a credit says "handled up to here". Positions rather than increments heal by themselves:
data or credits lost with a broken connection are made good by the next one that arrives.
"""

from typing import Final

WINDOW_BYTES: Final = 64 * 1024 * 1024
MESSAGE_BYTES: Final = 256  # added to every message: what its bookkeeping costs the receiver


class SendCredit:
    """The sender's side, one per connection to a peer."""

    __slots__ = ("handled", "is_starved", "sent", "window_bytes")

    def __init__(self, window_bytes: int = WINDOW_BYTES) -> None:
        self.window_bytes = window_bytes
        self.sent = 0
        self.handled = 0
        self.is_starved = False

    @property
    def outstanding(self) -> int:
        return self.sent - self.handled

    def take(self, size: int) -> int:
        """The position that a message of `size` bytes ends at, or -1 when the window is used up.

        One message may overrun the window, so that anything can be sent to a peer that has handled everything.
        """
        if self.sent - self.handled >= self.window_bytes:
            self.is_starved = True
            return -1
        self.sent += size + MESSAGE_BYTES
        return self.sent

    def returned(self, position: int) -> bool:
        """True when this ends a starvation: half of the window is free again."""
        if self.handled < position <= self.sent:
            self.handled = position
        if self.is_starved and self.sent - self.handled <= self.window_bytes // 2:
            self.is_starved = False
            return True
        return False


class ReceiveCredit:
    """The receiver's side, one per incarnation of a peer."""

    __slots__ = ("handled", "incarnation", "returned", "step_bytes")

    def __init__(self, incarnation: int, step_bytes: int = WINDOW_BYTES // 8) -> None:
        self.incarnation = incarnation
        self.step_bytes = step_bytes
        self.handled = 0
        self.returned = 0

    def handle(self, position: int) -> bool:
        """True when enough has been handled since the last credit to send one."""
        if position > self.handled:
            self.handled = position
        return self.handled - self.returned >= self.step_bytes
