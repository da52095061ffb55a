"""Questions and answers between processes over ZeroMQ: one frame there, one frame back, in no order with others.

`QuestionServer` answers on a thread of its own; `Asker` is for any thread. What the frames mean is the caller's affair:
they come from a socket, so decode them, never unpickle them.
"""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final

import zmq

log = logging.getLogger(__name__)

_LOOK_EVERY_MS: Final = 200
MOST_BYTES: Final = 64 * 1024 * 1024


class QuestionServer:
    """`answer(question) -> answer` runs on the server's thread, one question at a time. Port 0 takes a free one.

    Raises OSError when the address can't be bound. `endpoint` is what askers need.
    """

    def __init__(self, host: str, port: int, answer: Callable[[bytes], bytes]) -> None:
        self._answer = answer
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.MAXMSGSIZE, MOST_BYTES)
        if ":" in host:
            self._socket.set(zmq.IPV6, 1)
        where = f"[{host}]" if ":" in host else host
        try:
            if port:
                self._socket.bind(f"tcp://{where}:{port}")
            else:
                port = self._socket.bind_to_random_port(f"tcp://{where}", 49152, 65535, 1000)
        except zmq.ZMQError as error:
            self._socket.close()
            raise OSError(error.errno, f"{host}:{port}: {error.strerror}") from error
        self.endpoint = f"tcp://{where}:{port}"
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"questions-{port}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Questions under way get no answer."""
        self._is_closed.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(5.0)

    def _run(self) -> None:
        try:
            while not self._is_closed.is_set():
                if not self._socket.poll(_LOOK_EVERY_MS):
                    continue
                sender, *between, question = self._socket.recv_multipart()
                try:
                    answer = self._answer(question)
                except Exception:
                    log.exception("a question could not be answered")
                    continue
                try:
                    self._socket.send_multipart([sender, *between, answer], zmq.NOBLOCK)
                except zmq.ZMQError as error:  # whoever asked has gone, or reads nothing
                    log.debug("an answer was not sent: %s", error)
        finally:
            self._socket.close()


class NoAnswer(Exception):
    """Nobody is there, or whoever is there was too slow."""


class Asker:
    """Keeps a connection per endpoint. Thread-safe; questions wait for each other."""

    def __init__(self) -> None:
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        self._lock = threading.Lock()

    def ask(self, endpoint: str, question: bytes, timeout_s: float) -> bytes:
        """Raises NoAnswer."""
        with self._lock:
            socket = self._sockets.get(endpoint) or self._connect(endpoint)
            try:
                socket.send(question, zmq.NOBLOCK)
                if socket.poll(max(1, int(timeout_s * 1000))):
                    return socket.recv()
            except zmq.ZMQError as error:
                self._drop(endpoint)
                raise NoAnswer(f"{endpoint}: {error}") from error
            self._drop(endpoint)  # a late answer must not be taken for the next one's
            raise NoAnswer(f"{endpoint} has not answered within {timeout_s:g} s")

    def close(self) -> None:
        with self._lock:
            for endpoint in list(self._sockets):
                self._drop(endpoint)

    def _connect(self, endpoint: str) -> "zmq.Socket[bytes]":
        socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REQ)
        socket.set(zmq.LINGER, 0)
        socket.set(zmq.MAXMSGSIZE, MOST_BYTES)
        if endpoint.startswith("tcp://["):
            socket.set(zmq.IPV6, 1)
        try:
            socket.connect(endpoint)
        except zmq.ZMQError as error:
            socket.close()
            raise NoAnswer(f"{endpoint}: {error}") from error
        self._sockets[endpoint] = socket
        return socket

    def _drop(self, endpoint: str) -> None:
        self._sockets.pop(endpoint).close()

    def __enter__(self) -> "Asker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
