"""What a request handler sees of a client, and the order in which it is answered; the same for TCP and ZeroMQ clients.

Kafka promises that responses leave in the order of their requests, while handlers finish in any order (a fetch that
waits, a produce that waits for its replicas). So every request that isn't answered at once takes a place in a queue,
and only the head of the queue may leave.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from model.errors import OdradekError
from transport.pending import Pending

Buffer: TypeAlias = bytes | bytearray | memoryview
Answer: TypeAlias = list[Buffer] | None
Dispatch: TypeAlias = Callable[["ClientConnection", memoryview], Answer | Awaitable[Answer] | Pending[Any]]

log = logging.getLogger(__name__)

_FRAME_BYTES: Final = 256  # counted for each frame on top of its length: what holding even an empty one costs


class ClientConnection(ABC):
    """One client.

    A handler may read and write `client_id`, `software` (the name the client gives itself) and `state` (sessions,
    authentication), and call `close`. What it puts into `before_next` is called once, with the API key of the client's
    next request, before that is dispatched: an answer that could wait must not hold up the next one. The frame it gets
    is writable and its own. The chunks it answers with must not change until they are sent, and a memoryview among them
    must be of bytes. An answer of None sends nothing (acks=0). When the client is gone, answers still under way are not
    cancelled, only dropped: look at `is_closed` where that saves work.
    """

    id: int
    peer: str  # "host:port"
    peer_host: str
    client_id: str | None
    software: str
    before_next: list[Callable[[int], None]]
    state: dict[str, Any]
    is_closed: bool
    is_zmq = False

    def __init__(self, connection_id: int, dispatch: Dispatch, max_open_requests: int, max_open_bytes: int) -> None:
        self.id = connection_id
        self.peer = self.peer_host = ""
        self.client_id = None
        self.software = ""
        self.before_next = []
        self.state = {}
        self.is_closed = False
        self._dispatch = dispatch
        self._max_open_requests = max_open_requests
        self._max_open_bytes = max_open_bytes
        self._waiting: deque[memoryview] = deque()  # cut, not yet dispatched
        self._waiting_bytes = 0
        # in request order
        self._open: deque[tuple[Pending[Any] | asyncio.Future[Answer] | list[Buffer], int]] = deque()
        self._is_answering = False
        self._open_bytes = 0
        self._is_write_blocked = False

    @property
    def open_requests(self) -> int:
        """Requests that wait for their own answer or for the answer of an earlier one."""
        return len(self._open)

    @abstractmethod
    def close(self, reason: str = "") -> None:
        """Answer nothing more. A reason is logged as a warning: give one when the client is at fault."""

    @abstractmethod
    def _send(self, answer: list[Buffer]) -> None:
        """Take the next response; it may be kept until `_flush`."""

    @abstractmethod
    def _flush(self) -> None:
        """Let all that was sent leave, and pause or resume reading as `_is_blocked` says."""

    def answer_aside(self, answer: list[Buffer]) -> None:
        """Send a response out of order: only for clients that find the request of an answer by its number."""
        if not self.is_closed:
            self._send(answer)
            self._flush()

    def _is_blocked(self) -> bool:
        return (
            self._is_write_blocked
            or len(self._open) >= self._max_open_requests
            or self._open_bytes >= self._max_open_bytes
            or self.is_closed
        )

    def _take(self, frame: memoryview) -> None:
        """Let a frame wait for `_serve`."""
        self._waiting.append(frame)
        self._waiting_bytes += len(frame) + _FRAME_BYTES

    def _serve(self) -> None:
        """Dispatch the waiting frames, as far as the limits allow."""
        waiting = self._waiting
        while waiting and not self._is_blocked():
            frame = waiting.popleft()
            frame_bytes = len(frame) + _FRAME_BYTES
            self._waiting_bytes -= frame_bytes
            try:
                answer = self._dispatch(self, frame)
            except Exception as error:
                self._fail(error)
                return
            if answer is None:
                continue
            if type(answer) is not list:
                self._await(answer, frame_bytes)  # type: ignore[arg-type]
            elif self._open:
                self._open.append((answer, frame_bytes))
                self._open_bytes += frame_bytes
            elif not self.is_closed:
                self._send(answer)
        self._flush()

    def _await(self, answer: Awaitable[Answer] | Pending[Any], frame_bytes: int) -> None:
        self._open_bytes += frame_bytes
        if isinstance(answer, Pending):
            self._open.append((answer, frame_bytes))
            answer.when_done(self._on_resolved)
            return
        future = asyncio.ensure_future(answer)
        self._open.append((future, frame_bytes))
        future.add_done_callback(self._on_answer)

    def _on_resolved(self) -> None:
        """Not at once: whoever resolves is amid its own work, and may have more answers for us."""
        if not self._is_answering:
            self._is_answering = True
            asyncio.get_running_loop().call_soon(self._answer_resolved)

    def _answer_resolved(self) -> None:
        self._is_answering = False
        if not self.is_closed:
            self._answer_in_order()

    def _on_answer(self, answered: "asyncio.Future[Answer]") -> None:
        if not self.is_closed:
            self._answer_in_order()
        elif not answered.cancelled() and (error := answered.exception()) is not None:
            log.error("a request of %s failed after the client had gone", self.peer, exc_info=error)

    def _answer_in_order(self) -> None:
        queue = self._open
        while queue:
            head, frame_bytes = queue[0]
            if isinstance(head, list):
                answer: Answer = head
            elif isinstance(head, Pending):
                if not head.is_done:
                    break
                try:
                    answer = head.answer()
                except Exception as error:
                    self._fail(error)
                    return
            elif head.done():
                try:
                    answer = head.result()
                except asyncio.CancelledError:
                    self.close("a request was cancelled")
                    return
                except Exception as error:
                    self._fail(error)
                    return
            else:
                break
            queue.popleft()
            self._open_bytes -= frame_bytes
            if answer is not None:
                self._send(answer)
        self._serve()

    def _fail(self, error: Exception) -> None:
        """A request that can't be answered costs its client the connection, and nobody else anything."""
        if not isinstance(error, OdradekError):
            log.error("closing %s (client %s): its request failed", self.peer, self.client_id, exc_info=error)
            self.close()
        else:
            self.close(f"{type(error).__name__}: {error}")

    def _forget_requests(self) -> None:
        self._waiting.clear()
        self._open.clear()
        self._open_bytes = self._waiting_bytes = 0
