"""Reads a ZeroMQ socket on an asyncio loop, without zmq.asyncio (which costs a future and a task step per message).

A ZeroMQ file descriptor is edge-triggered: it tells that something happened, not that something is there. So one wakeup
takes all that is there, and where the same socket is also sent on, a send may swallow the edge: call `look_again` after
it. Fairness: a wakeup stops after `_MESSAGES` or `_BYTES` and goes on in the next turn of the loop.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import zmq

log = logging.getLogger(__name__)

_EVENTS: Final = int(zmq.EVENTS)
_POLLIN: Final = int(zmq.POLLIN)
_MESSAGES: Final = 200
_BYTES: Final = 4 * 1024 * 1024


class ZmqReader:
    """Calls `receive` as long as there are messages.

    `receive` takes one message off the socket without blocking and returns its bytes, or raises zmq.Again.
    """

    __slots__ = ("_fd", "_is_paused", "_is_scheduled", "_is_stopped", "_loop", "_receive", "_socket")

    def __init__(
        self, socket: "zmq.Socket[bytes]", receive: Callable[[], int], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._socket = socket
        self._receive = receive
        self._loop = loop
        self._is_paused = self._is_stopped = self._is_scheduled = False
        self._fd = int(socket.get(zmq.FD))
        loop.add_reader(self._fd, self._drain)
        self._schedule()

    def stop(self) -> None:
        """Before the socket is closed."""
        if not self._is_stopped:
            self._is_stopped = True
            self._loop.remove_reader(self._fd)

    def pause(self) -> None:
        """Leave messages where they are: ZeroMQ's high-water mark then holds the peers back."""
        self._is_paused = True

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._schedule()

    def look_again(self) -> None:
        """After a send on the same socket."""
        if not self._is_scheduled and not self._is_paused and int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN:
            self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled and not self._is_stopped:
            self._is_scheduled = True
            self._loop.call_soon(self._drain_scheduled)

    def _drain_scheduled(self) -> None:
        self._is_scheduled = False
        self._drain()

    def _drain(self) -> None:
        if self._is_paused:
            # The edge must be taken even so, or a level-triggered loop would call us again at once, for ever.
            if not self._is_stopped:
                self._socket.get(zmq.EVENTS)
            return
        messages, budget, receive, get = _MESSAGES, _BYTES, self._receive, self._socket.get
        try:
            while messages and budget > 0:
                if self._is_stopped or self._is_paused:
                    return
                budget -= receive()
                messages -= 1
                # asked rather than tried: an exception costs five times as much, and most wakeups bring one message
                if not self._is_stopped and not int(get(_EVENTS)) & _POLLIN:
                    return
        except zmq.Again:
            return
        except zmq.ZMQError:
            if not self._is_stopped:
                log.exception("reading from %s failed", self._socket)
            return
        self._schedule()
