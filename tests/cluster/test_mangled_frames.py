"""10,000 mangled frames of every key at a live broker: errors or closed connections, never a dead or a bloated one."""

from __future__ import annotations

import random
import socket
import struct
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_messages import RandomMessages

from odradek import Cluster
from protocol.api_keys import API_KEYS
from protocol.frames import request_frame

FRAMES = 10_000
PER_EXAMPLE = 20
MEMORY_MARGIN = 200 << 20
pytestmark = pytest.mark.cluster


def a_frame(source: random.Random) -> bytes:
    """A valid request of some key and version, then bitten: bits, bytes, lengths, ends."""
    api = API_KEYS[source.choice(sorted(API_KEYS))]
    version = source.choice(list(api.request.versions))
    message = RandomMessages(str(source.random())).message(api.request, version)
    pieces = request_frame(message, version, source.randrange(1 << 31), "mangler")
    body = bytearray(b"".join(bytes(piece) for piece in pieces))
    del body[:4]
    for _ in range(source.randrange(4)):
        position = source.randrange(len(body)) if body else 0
        match source.randrange(5):
            case 0 if body:
                body[position] ^= 1 << source.randrange(8)
            case 1:
                del body[position:]
            case 2:
                body[position:position] = source.randbytes(source.randrange(1, 9))
            case 3 if len(body) >= position + 4:
                body[position : position + 4] = struct.pack(">i", source.choice([-1, 1 << 30, 0x7FFFFFFF, -(1 << 31)]))
            case 4 if body:
                body[position] = 0xFF
    length = len(body)
    match source.randrange(20):
        case 0:
            length = source.choice([-1, 0x7FFFFFFF, 1 << 28, 0, 3])
        case 1:
            length += source.randrange(1, 100)
        case _:
            pass
    return struct.pack(">i", length) + bytes(body)


def throw(address: tuple[str, int], frames: list[bytes]) -> None:
    """Send each frame on its own connection and hang up; whatever the broker answers is its business."""
    for frame in frames:
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(frame)
            client.shutdown(socket.SHUT_WR)
            client.settimeout(10)
            try:
                while client.recv(65_536):
                    pass
            except ConnectionResetError:
                pass


def test_no_mangled_frame_kills_or_bloats_a_broker() -> None:
    with Cluster(brokers=1, configs={"auto.create.topics.enable": "false"}) as cluster:
        host, port = cluster.bootstrap.split(":")
        before = cluster.brokers()[1]
        process = psutil.Process(before["pid"])
        memory = process.memory_info().rss
        sent = 0

        @settings(
            max_examples=FRAMES // PER_EXAMPLE,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.integers(min_value=0, max_value=(1 << 64) - 1))
        def survive(seed: int) -> None:
            nonlocal sent
            source = random.Random(seed)
            frames = [a_frame(source) for _ in range(PER_EXAMPLE)]
            throw((host, int(port)), frames)
            sent += len(frames)

        survive()
        after = cluster.brokers()[1]
        assert sent >= FRAMES // 2
        assert (after["pid"], after["incarnation"]) == (before["pid"], before["incarnation"]), "the broker died"
        assert process.memory_info().rss < memory + MEMORY_MARGIN
        log = Path(cluster.data_dir) / "logs" / "broker-1.log"
        assert "Traceback" not in log.read_text(), "a mangled frame reached code that did not expect it"
