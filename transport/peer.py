"""The sending ends of the bus's two connections to one life of a peer."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import zmq

from transport.credits import SendCredit
from transport.endpoints import push_socket

Buffer: TypeAlias = bytes | bytearray | memoryview

# Below this a memcpy is cheaper than pyzmq's bookkeeping, which wakes a thread for each buffer that ZeroMQ has let go.
_ZERO_COPY_BYTES: Final = 128 * 1024
_CONTROL_MESSAGES: Final = 10_000  # control traffic is small and has no credits; a peer that takes none of it is dead


class Peer:
    """Sends never block: ZeroMQ queues while it connects, and refuses beyond its bounds."""

    __slots__ = ("_control", "_data", "credit", "data_endpoint", "incarnation", "is_closed", "node_id")

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

    def send(self, control: bool, first: bytes, buffers: Sequence[Buffer]) -> bool:
        """All frames or none. False when ZeroMQ takes no more."""
        socket = self._control if control else self._data
        try:
            if not buffers:
                socket.send(first, zmq.NOBLOCK)
                return True
            # Once the first frame is taken, ZeroMQ takes the others of the message too.
            socket.send(first, zmq.NOBLOCK | zmq.SNDMORE)
            last = len(buffers) - 1
            for index, buffer in enumerate(buffers):
                flags = zmq.NOBLOCK if index == last else zmq.NOBLOCK | zmq.SNDMORE
                socket.send(buffer, flags, copy=len(buffer) < _ZERO_COPY_BYTES)
        except zmq.Again:
            return False
        return True

    def close(self) -> None:
        """What is queued is lost."""
        self.is_closed = True
        self._data.close(linger=0)
        self._control.close(linger=0)
