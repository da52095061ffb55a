"""The receiving half of the bus: frames → envelopes, fenced by incarnation, counted against credit."""

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

import msgspec
import zmq

from transport.credits import ReceiveCredit
from transport.envelope import CREDIT, PROBE, TELL, Envelope, Header, MalformedEnvelope, decode, read_header

log = logging.getLogger(__name__)

_NOBLOCK: Final = int(zmq.NOBLOCK)


class Counters(Protocol):
    """The part of model.metrics.Metrics that the bus needs."""

    def count(self, name: str, n: int = 1) -> None: ...


class Sender(Protocol):
    """What the receiving half needs of the sending half."""

    def peer_incarnation(self, node_id: int) -> int:
        """The life we are connected to; -1 when to none."""

    def credit_returned(self, node_id: int, position: int) -> None:
        """The peer has handled our data up to `position`."""

    def return_credit(self, node_id: int, received: ReceiveCredit) -> None:
        """Tell the peer how much of its data is handled."""


class Inbox:
    """Takes messages off the PULL sockets and hands them to `deliver`; what that raises costs only its message."""

    def __init__(
        self,
        node_id: int,
        incarnation: int,
        message_type: Any,
        deliver: Callable[[Envelope], None],
        sender: Sender,
        metrics: Counters | None,
        step_bytes: int,
    ) -> None:
        self.messages_in = self.bytes_in = 0
        self.stale_dropped = self.malformed = self.deliver_failures = 0
        self.received: dict[int, ReceiveCredit] = {}
        self._node_id = node_id
        self._incarnation = incarnation
        self._decode_message = msgspec.msgpack.Decoder(message_type).decode
        self._deliver = deliver
        self._sender = sender
        self._metrics = metrics
        self._step_bytes = step_bytes

    def receive(self, socket: "zmq.Socket[bytes]", recv: Callable[..., Any]) -> int:
        """Take one message; its bytes. Raises zmq.Again when there is none. `recv` is `socket.recv`, bound once."""
        frame: bytes = recv(_NOBLOCK)
        size = len(frame)
        buffers: list[memoryview] = []
        header = None
        try:
            header = read_header(frame)
            if header.buffers:
                size += _receive_buffers(recv, header.buffers, buffers)
            received = self._admit(header)
            if received is None:
                self.stale_dropped += 1
                if self._metrics is not None:
                    self._metrics.count("bus_stale_dropped")
                return size
            if header.kind == TELL:
                self.messages_in += 1
                self.bytes_in += size
                if self._metrics is not None:
                    self._metrics.count("bus_messages_in")
                    self._metrics.count("bus_bytes_in", size)
                self.hand_over(decode(header, frame, buffers, self._decode_message))
        except MalformedEnvelope as error:
            self.malformed += 1
            log.warning("dropping a malformed message on the bus of node %d: %s", self._node_id, error)
            if header is None:
                while socket.get(zmq.RCVMORE):
                    recv(_NOBLOCK)
                return size
            received = self.received.get(header.sender)
        if header.kind == CREDIT:
            self._sender.credit_returned(header.sender, header.position)
        elif header.position and received is not None and (received.handle(header.position) or header.kind == PROBE):
            self._sender.return_credit(header.sender, received)
        return size

    def hand_over(self, envelope: Envelope) -> None:
        """Deliver, and let nothing escape."""
        try:
            self._deliver(envelope)
        except Exception:
            self.deliver_failures += 1
            log.exception("delivering %r failed", envelope)

    def _admit(self, header: Header) -> ReceiveCredit | None:
        """The sender's credit; None where sender or receiver meant is a life that is over.

        A life we hadn't heard of yet is welcome.
        """
        incarnation, sender = header.incarnation, header.sender
        if header.to_incarnation != self._incarnation or incarnation < self._sender.peer_incarnation(sender):
            return None
        received = self.received.get(sender)
        if received is None or incarnation > received.incarnation:
            received = self.received[sender] = ReceiveCredit(incarnation, self._step_bytes)
        return received if received.incarnation == incarnation else None


def _receive_buffers(recv: Callable[..., Any], announced: int, buffers: list[memoryview]) -> int:
    """The rest of a message, uncopied; its bytes. Raises MalformedEnvelope when the count isn't as announced."""
    size, has_more = 0, True
    while has_more:
        part = recv(_NOBLOCK, False)
        view = part.buffer
        buffers.append(view)
        size += len(view)
        has_more = part.more
    if len(buffers) != announced:
        raise MalformedEnvelope(f"{announced} buffers announced, {len(buffers)} received")
    return size
