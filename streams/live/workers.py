"""Several processes for one app: this one starts workers, gives them the topology, and looks after them.

The topology travels by cloudpickle, from parent to child only, through the child's standard input. A worker that dies
is started again; the others have taken its tasks over by then (see watch.py). Workers end with their parent.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import cloudpickle  # type: ignore[import-untyped]
import msgspec

from streams.errors import StreamsError
from streams.live.answers import WHO
from streams.live.members import Dealt, decode_dealt
from streams.live.questions import ANYWHERE, Question, encode
from streams.live.settings import LiveSettings
from streams.topology import Topology
from transport.questions import Asker, NoAnswer

log = logging.getLogger(__name__)

_QUICK_DEATH_S = 5.0
_MOST_QUICK_DEATHS = 5
_END_S = 20.0
_LOOK_EVERY_S = 0.05


class News(msgspec.Struct):
    """What a worker says of itself, one JSON line each."""

    endpoint: str = ""
    state: str = ""
    failure: str = ""


class _Worker:
    def __init__(self, number: int, payload: bytes) -> None:
        self.number = number
        self.started = time.monotonic()
        self.news = News()
        read_end, write_end = os.pipe()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", str(write_end)],
            stdin=subprocess.PIPE,
            pass_fds=(write_end,),
            env=environment,
        )
        os.close(write_end)
        self._reader = threading.Thread(target=self._read, args=(os.fdopen(read_end, "rb"),), daemon=True)
        self._reader.start()
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(len(payload).to_bytes(8, "big") + payload)
            self.process.stdin.flush()  # and kept open: its end tells the worker that we are gone
        except BrokenPipeError:
            pass  # it has died already; whoever looks after it will see that

    def _read(self, lines: BinaryIO) -> None:
        with lines:
            for line in lines:
                self.news = msgspec.json.decode(line, type=News)


class Workers:
    """`run` returns after `is_stopping` is set and all have ended in order."""

    def __init__(
        self, topology: Topology, config: Mapping[str, Any], settings: LiveSettings, is_stopping: threading.Event
    ) -> None:
        self._config = {name.replace(".", "_"): value for name, value in config.items()}
        self._topology = topology
        self._settings = settings
        self._is_stopping = is_stopping
        self._workers: list[_Worker] = []
        self._deaths: list[float] = []
        self.restarts = 0

    def _start(self, number: int) -> _Worker:
        config = {**self._config, "processes": 1}
        config.pop("uncaught_exception_handler", None)
        if config.get("instance_id"):
            config["instance_id"] = f"{config['instance_id']}-{number}"
        if config.get("state_dir") is not None:
            config["state_dir"] = Path(config["state_dir"]) / f"worker-{number}"
        return _Worker(number, cloudpickle.dumps((self._topology, config)))

    def run(self) -> None:
        """Raises StreamsError when workers die as soon as they are started."""
        try:
            self._workers = [self._start(number) for number in range(self._settings.processes)]
            while not self._is_stopping.wait(_LOOK_EVERY_S):
                for at, worker in enumerate(self._workers):
                    if worker.process.poll() is not None:
                        self._count_death(worker)
                        self._workers[at] = self._start(worker.number)
        finally:
            self._end()

    def _count_death(self, worker: _Worker) -> None:
        self.restarts += 1
        worker._reader.join(1.0)
        failure = worker.news.failure
        log.warning("worker %d ended with %s: %s", worker.number, worker.process.returncode, failure or "killed")
        now = time.monotonic()
        if now - worker.started < _QUICK_DEATH_S:
            self._deaths = [at for at in self._deaths if now - at < 60.0] + [now]
        if len(self._deaths) >= _MOST_QUICK_DEATHS:
            raise StreamsError(f"workers end as soon as they have started: {failure or worker.process.returncode}")

    def _end(self) -> None:
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _END_S
        for worker in self._workers:
            try:
                worker.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            if worker.process.stdin is not None:
                worker.process.stdin.close()

    @property
    def pids(self) -> list[int]:
        return [worker.process.pid for worker in self._workers]

    def dealt(self) -> Dealt:
        """As one of the workers has heard it; empty while none answers."""
        application = str(self._config.get("application_id", "streams-app"))
        question = encode(Question(application, "", ANYWHERE, WHO))
        with Asker() as asker:
            for worker in self._workers:
                if worker.news.endpoint and worker.process.poll() is None:
                    try:
                        dealt = decode_dealt(asker.ask(worker.news.endpoint, question, 1.0))
                    except (NoAnswer, msgspec.DecodeError):
                        continue
                    if dealt.members:
                        return dealt
        return Dealt()
