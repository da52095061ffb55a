"""Tells messages to actors of the other processes of a cluster, over ZeroMQ.

Each process binds two PULL sockets, data and control, and connects a pair of PUSH sockets to every peer, so bulk data
never delays a heartbeat or a fence. Between two processes messages keep their order within data and within control, not
between the two. A peer may die at any moment: sends never block, and what can't be sent is refused with False.

Node 0 is the supervisor, 1..N are brokers. Every life of a process has an incarnation, higher than its last; messages
from or to a life that is over are dropped and counted.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import zmq

from transport.credits import WINDOW_BYTES, ReceiveCredit
from transport.endpoints import bind_tcp, endpoint_of, forget_ipc, ipc_endpoint, pull_socket, unlink_ipc
from transport.envelope import CREDIT, INLINE_BYTES, PROBE, TELL, Envelope, encode
from transport.faults import FaultHook
from transport.inbox import Counters, Inbox
from transport.peer import Buffer, Peer
from transport.zmq_reader import ZmqReader

log = logging.getLogger(__name__)

_PROBE_S = 0.25


class Bus:
    """One process's end. All of it runs on the loop that `start` was awaited on.

    `deliver` is called for every message, in a callback of the loop; what it raises is logged, the message lost.
    `message_type` is the msgspec union of all messages that may arrive.
    """

    def __init__(
        self,
        node_id: int,
        incarnation: int,
        *,
        directory: Path,
        message_type: Any,
        deliver: Callable[[Envelope], None],
        host: str | None = None,
        faults: FaultHook | None = None,
        metrics: Counters | None = None,
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        self.node_id = node_id
        self.incarnation = incarnation
        self.faults = faults
        self.data_endpoint = self.control_endpoint = ""
        self.messages_out = self.bytes_out = self.out_of_credit = self.unroutable = 0
        self._directory = directory
        self._host = host
        self._inbox = Inbox(node_id, incarnation, message_type, deliver, self, metrics, window_bytes // 8)
        self._metrics = metrics
        self._window_bytes = window_bytes
        self._encode_message = msgspec.msgpack.Encoder().encode
        self._addresses: dict[str, bytes] = {}
        self._peers: dict[int, Peer] = {}
        self._on_credit: list[Callable[[int], None]] = []
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._sockets: list[zmq.Socket[bytes]] = []
        self._readers: list[ZmqReader] = []
        self._probes: dict[int, asyncio.TimerHandle] = {}
        self._loop: asyncio.AbstractEventLoop

    async def start(self) -> None:
        """Bind both endpoints and read them. Raises ConfigError when the socket directory's path is too long."""
        self._loop = asyncio.get_running_loop()
        forget_ipc(self._directory, self.node_id)
        endpoints = [
            bind_tcp(self._host) if self._host else ipc_endpoint(self._directory, self.node_id, self.incarnation, kind)
            for kind in ("d", "c")
        ]
        self._context = zmq.Context()
        for endpoint in endpoints:
            socket = pull_socket(self._context)
            self._sockets.append(socket)
            socket.bind(endpoint)
        self.data_endpoint, self.control_endpoint = (endpoint_of(socket) for socket in self._sockets)
        # Control first: where both are readable in a turn of the loop, it is read first.
        for socket in reversed(self._sockets):
            self._readers.append(ZmqReader(socket, partial(self._inbox.receive, socket, socket.recv), self._loop))

    async def close(self) -> None:
        """Idempotent. What wasn't sent yet is lost, as at a crash; nothing waits for a peer."""
        for timer in self._probes.values():
            timer.cancel()
        self._probes.clear()
        for reader in self._readers:
            reader.stop()
        for peer in self._peers.values():
            peer.close()
        self._peers.clear()
        context, self._context = self._context, None
        if context is not None:
            context.destroy(linger=0)
            for endpoint in (self.data_endpoint, self.control_endpoint):
                unlink_ipc(endpoint)

    def connect(self, node_id: int, incarnation: int, data_endpoint: str, control_endpoint: str) -> None:
        """The peer need not be there yet. A connection to another life of the node is closed, to the same one kept."""
        if self._context is None:
            raise RuntimeError("the bus is not started")
        known = self._peers.get(node_id)
        if known is not None:
            if known.incarnation == incarnation and known.data_endpoint == data_endpoint:
                return
            self.disconnect(node_id)
        peer = Peer(self._context, node_id, incarnation, data_endpoint, control_endpoint, self._window_bytes)
        self._peers[node_id] = peer
        received = self._inbox.received.get(node_id)
        if received is not None and received.handled > received.returned:
            self.return_credit(node_id, received)  # it spoke before we knew where to answer

    def disconnect(self, node_id: int) -> None:
        """What is queued for the peer is lost. Unknown nodes are ignored."""
        timer = self._probes.pop(node_id, None)
        if timer is not None:
            timer.cancel()
        peer = self._peers.pop(node_id, None)
        if peer is not None:
            peer.close()

    def is_connected(self, node_id: int) -> bool:
        """Whether `connect` was called, not whether the peer lives."""
        return node_id in self._peers

    def on_credit(self, callback: Callable[[int], None]) -> None:
        """`callback(node_id)` when a peer that refused a tell for lack of credit takes data again."""
        self._on_credit.append(callback)

    def tell(
        self,
        to: int,
        address: str,
        message: msgspec.Struct,
        buffers: Sequence[Buffer] = (),
        *,
        control: bool = False,
        leader_epoch: int = -1,
        trace_id: int = 0,
    ) -> bool:
        """False when there is no connection to `to`, or no credit left: keep the message or forget it, see `on_credit`.

        Large buffers are not copied: they must not change any more. True is no promise that the message arrives.
        """
        if to == self.node_id:
            views = [memoryview(buffer) for buffer in buffers]
            envelope = Envelope(to, self.incarnation, self.incarnation, address, leader_epoch, trace_id, message, views)
            self._loop.call_soon(self._inbox.hand_over, envelope)
            return True
        peer = self._peers.get(to)
        if peer is None:
            self.unroutable += 1
            if self._metrics is not None:
                self._metrics.count("bus_unroutable")
            return False
        if self.faults is None:
            return self._send(peer, address, message, buffers, control, leader_epoch, trace_id)
        verdict = self.faults.decide(self.node_id, to, type(message).__name__)
        if verdict.is_dropped:
            return True
        is_sent = True
        for _ in range(1 + verdict.duplicates):
            if verdict.delay_ms > 0:
                arguments = (peer, address, message, buffers, control, leader_epoch, trace_id)
                self._loop.call_later(verdict.delay_ms / 1000, self._send, *arguments)
            else:
                is_sent = self._send(peer, address, message, buffers, control, leader_epoch, trace_id) and is_sent
        return is_sent

    def statistics(self) -> dict[str, int]:
        """Counters since the start, named like the rows of model.metrics."""
        return {
            "bus_messages_in": self._inbox.messages_in,
            "bus_messages_out": self.messages_out,
            "bus_bytes_in": self._inbox.bytes_in,
            "bus_bytes_out": self.bytes_out,
            "bus_stale_dropped": self._inbox.stale_dropped,
            "bus_malformed": self._inbox.malformed,
            "bus_out_of_credit": self.out_of_credit,
            "bus_unroutable": self.unroutable,
            "bus_deliver_failures": self._inbox.deliver_failures,
            "bus_outstanding": sum(peer.credit.outstanding for peer in self._peers.values()),
        }

    def _send(
        self,
        peer: Peer,
        address: str,
        message: msgspec.Struct,
        buffers: Sequence[Buffer],
        control: bool,
        leader_epoch: int,
        trace_id: int,
    ) -> bool:
        if peer.is_closed:  # a delayed message, and the peer died meanwhile
            return False
        payload = self._encode_message(message)
        size = len(payload)
        inline = None
        if buffers:
            for buffer in buffers:
                size += len(buffer)
            if len(buffers) == 1 and len(buffers[0]) <= INLINE_BYTES:
                inline, buffers = buffers[0], ()
        position = 0 if control else peer.credit.take(size)
        if position < 0:
            return self._refuse(peer)
        address_bytes = self._addresses.get(address)
        if address_bytes is None:
            address_bytes = self._address_bytes(address)
        first = encode(
            TELL,
            len(buffers),
            address_bytes,
            self.node_id,
            self.incarnation,
            peer.incarnation,
            leader_epoch,
            trace_id,
            position,
            payload,
            inline,
        )
        if not peer.send(control, first, buffers):
            return self._refuse(peer)
        self.messages_out += 1
        self.bytes_out += size
        if self._metrics is not None:
            self._metrics.count("bus_messages_out")
            self._metrics.count("bus_bytes_out", size)
        return True

    def _refuse(self, peer: Peer) -> bool:
        self.out_of_credit += 1
        if self._metrics is not None:
            self._metrics.count("bus_out_of_credit")
        if peer.credit.is_starved and peer.node_id not in self._probes:
            self._probe_later(peer)
        return False

    def _address_bytes(self, address: str) -> bytes:
        if len(self._addresses) > 100_000:
            self._addresses.clear()
        encoded = self._addresses[address] = address.encode()
        return encoded

    def _probe_later(self, peer: Peer) -> None:
        self._probes[peer.node_id] = self._loop.call_later(_PROBE_S, self._probe, peer)

    def _probe(self, peer: Peer) -> None:
        """A starved sender asks again now and then, behind all its data: data or credits may have been lost."""
        self._probes.pop(peer.node_id, None)
        if peer.is_closed or not peer.credit.is_starved:
            return
        peer.send(False, self._own(PROBE, peer, peer.credit.sent), ())
        self._probe_later(peer)

    def _own(self, kind: int, peer: Peer, position: int) -> bytes:
        return encode(kind, 0, b"", self.node_id, self.incarnation, peer.incarnation, -1, 0, position, b"")

    # What the receiving half asks of this one.

    def peer_incarnation(self, node_id: int) -> int:
        """The life of the peer that we are connected to; -1 when to none."""
        peer = self._peers.get(node_id)
        return -1 if peer is None else peer.incarnation

    def return_credit(self, node_id: int, received: ReceiveCredit) -> None:
        """Tell the peer how much of its data is handled; later, if we don't know yet where it is."""
        peer = self._peers.get(node_id)
        if peer is None or peer.incarnation != received.incarnation:
            return
        if self.faults is not None and self.faults.decide(self.node_id, node_id, "Credit").is_dropped:
            return
        if peer.send(True, self._own(CREDIT, peer, received.handled), ()):
            received.returned = received.handled

    def credit_returned(self, node_id: int, position: int) -> None:
        """The peer has handled our data up to `position`: tell who waits for room."""
        peer = self._peers.get(node_id)
        if peer is not None and peer.credit.returned(position):
            for callback in self._on_credit:
                try:
                    callback(node_id)
                except Exception:
                    log.exception("a credit callback failed")
