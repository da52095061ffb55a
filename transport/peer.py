"""The sending ends of the bus's two connections to one life of a peer."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import zmq

from transport.credits import SendCredit
from transport.endpoints import push_socket
from transport.envelope import Buffer

__all__ = ["Buffer", "Peer"]

_NOBLOCK: Final = int(zmq.NOBLOCK)  # an `|` of the enum costs more than a send
_NOBLOCK_MORE: Final = int(zmq.NOBLOCK | zmq.SNDMORE)

# Below this a memcpy is cheaper than pyzmq's bookkeeping, which wakes a thread for each buffer that ZeroMQ has let go.
_ZERO_COPY_BYTES: Final = 128 * 1024
_CONTROL_MESSAGES: Final = 10_000  # control traffic is small and has no credits; a peer that takes none of it is dead


class Peer:
    """Sends never block: ZeroMQ queues while it connects, and refuses beyond its bounds."""

    __slots__ = (
        "_control",
        "_data",
        "_send_control",
        "_send_data",
        "credit",
        "data_endpoint",
        "incarnation",
        "is_closed",
        "node_id",
    )

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        node_id: int,
        incarnation: int,
        data_endpoint: str,
        control_endpoint: str,
        window_bytes: int,
    ) -> None:
        self.node_id = node_id
        self.incarnation = incarnation
        self.data_endpoint = data_endpoint
        self.credit = SendCredit(window_bytes)
        self.is_closed = False
        self._data = push_socket(context, data_endpoint, max_messages=0)  # bounded by credits instead
        self._control = push_socket(context, control_endpoint, max_messages=_CONTROL_MESSAGES)
        # pyzmq's compiled send; the one of zmq.Socket is a Python function around it for socket types of drafts
        self._send_data: Callable[..., Any] = super(zmq.Socket, self._data).send
        self._send_control: Callable[..., Any] = super(zmq.Socket, self._control).send

    def send(self, control: bool, first: bytes, buffers: Sequence[Buffer]) -> bool:
        """All frames or none. False when ZeroMQ takes no more."""
        send = self._send_control if control else self._send_data
        try:
            if not buffers:
                send(first, _NOBLOCK, True)
                return True
            # Once the first frame is taken, ZeroMQ takes the others of the message too.
            send(first, _NOBLOCK_MORE, True)
            last = len(buffers) - 1
            for index, buffer in enumerate(buffers):
                send(buffer, _NOBLOCK if index == last else _NOBLOCK_MORE, len(buffer) < _ZERO_COPY_BYTES)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """What is queued is lost."""
        self.is_closed = True
        self._data.close(linger=0)
        self._control.close(linger=0)
