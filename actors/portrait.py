"""A broker's actors as they are now, on request: SIGUSR2 has them written to `logs/broker-N.actors.json`.

For people and tests that look at a cluster from outside when something is wrong with it, so it needs nothing but a
process whose loop turns: no port, no bus, no supervisor.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from pathlib import Path

import msgspec

from actors.actor_system import ActorSystem
from actors.place import ActorStatistics

log = logging.getLogger(__name__)
REQUEST = signal.SIGUSR2


def portrait_path(log_dir: Path, broker_id: int) -> Path:
    return log_dir / f"broker-{broker_id}.actors.json"


def answer_requests(system: ActorSystem, log_dir: Path, broker_id: int) -> None:
    """On the running loop, from now on."""
    path = portrait_path(log_dir, broker_id)
    asyncio.get_running_loop().add_signal_handler(REQUEST, _write, system, path)


def _write(system: ActorSystem, path: Path) -> None:
    whole = path.with_suffix(".new")
    try:
        whole.write_bytes(msgspec.json.encode(system.statistics()))
        os.replace(whole, path)
    except OSError as error:
        log.warning("the actors can't be written to %s: %s", path, error)


def read_portrait(path: Path) -> dict[str, ActorStatistics]:
    """By the actor's path."""
    return msgspec.json.decode(path.read_bytes(), type=dict[str, ActorStatistics])
