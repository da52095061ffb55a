"""What every workload is: topics of its own, clients on threads, a history of what they did, and an end."""

from __future__ import annotations

import itertools
import random
import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Any, ClassVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from chaos.history import History
from chaos.workloads.clients import SESSION_MS

CREATE_S = 30.0
_JOIN_S = 90.0


class WorkloadFailed(RuntimeError):
    """A client of the workload ended by an error that is none of the cluster's: the run proves nothing."""


class Ledger:
    """What was acknowledged and what was seen since, so that the end of a run knows what it still waits for.

    Counts operations too: each send, each record polled, each commit or abort is one.
    """

    def __init__(self) -> None:
        self.ops = 0
        self.acked: dict[str, set[int]] = defaultdict(set)
        self.seen: dict[str, set[int]] = defaultdict(set)
        self.ack_times_ns: list[int] = []  # of `time.monotonic_ns`, one for each operation acknowledged
        self._lock = threading.Lock()

    def note_acked(self, records: Iterable[tuple[str, int]]) -> None:
        with self._lock:
            for key, message in records:
                self.acked[key].add(message)
                self.ops += 1
            self.ack_times_ns.append(time.monotonic_ns())

    @property
    def acks(self) -> int:
        """Operations acknowledged so far."""
        return len(self.ack_times_ns)

    def note_seen(self, key: str, messages: Collection[int]) -> None:
        with self._lock:
            self.seen[key].update(messages)
            self.ops += len(messages)

    def note_ops(self, count: int) -> None:
        with self._lock:
            self.ops += count

    def unseen(self, topics: Collection[str], seen: dict[str, set[int]] | None = None) -> int:
        """How many acknowledged messages of these topics are not in `seen` (default: nobody has seen)."""
        with self._lock:
            seen = self.seen if seen is None else seen
            return sum(
                len(messages - seen.get(key, set()))
                for key, messages in self.acked.items()
                if key.rpartition("-")[0] in topics
            )

    def longest_stall_ms(self, since_ns: int, until_ns: int) -> int:
        """The longest time without an acknowledged write; before the first one only when there was none at all."""
        with self._lock:
            times = sorted(moment for moment in self.ack_times_ns if moment <= until_ns) or [since_ns]
            times.append(until_ns)
        return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0) // 1_000_000


class Workload(ABC):
    """`start`, let it run while things break, heal them, `stop`; then judge the history.

    `rate` is in sends per second, all producers together. The same seed makes the same choices.
    """

    name: ClassVar[str] = ""
    partitions: int = 4

    def __init__(self, bootstrap: str, history: History, *, seed: int, rate: int = 500) -> None:
        self.bootstrap = bootstrap
        self.history = history
        self.seed = seed
        self.rate = rate
        self.topics: list[str] = []
        self._run = f"{time.time_ns() // 1_000_000 % 16**6:06x}"
        self.topic_configs: dict[str, str] = {"min.insync.replicas": "2"}
        self.replication = 3  # at most; as many as there are brokers
        self.producer_configs: dict[str, Any] = {}  # for a run that shall go wrong
        self.session_ms = SESSION_MS  # of group members; brokers may ask for no less than 6 s
        self.record_bytes = 0  # at least: messages are filled up with spaces
        self.ledger = Ledger()
        self.writing_ends = threading.Event()
        self.all_ends = threading.Event()
        self._messages = itertools.count(1)
        self._threads: list[threading.Thread] = []
        self._writers: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        self._client_errors: dict[str, int] = defaultdict(int)
        self._repeats = 0
        self._began_ns = 0
        self._wrote_until_ns = 0
        self._ops_while_writing = 0

    # -- for whoever runs it ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Returns when the topics are there and the clients run. Raises KafkaException when they can't be made."""
        self._create_topics()
        self._began_ns = time.monotonic_ns()
        self.launch()

    def stop(self, drain_s: float = 20) -> None:
        """End the writing, read until everything acknowledged was seen or `drain_s` is over, end the clients.

        Call it when the faults are healed. Raises WorkloadFailed when a client ended by a mistake of ours.
        """
        deadline = time.monotonic() + drain_s
        self.writing_ends.set()
        self._wrote_until_ns = time.monotonic_ns()
        self._ops_while_writing = self.ledger.ops
        for thread in self._writers:
            thread.join(_JOIN_S)
        try:
            self.drain(max(deadline, time.monotonic() + drain_s / 2))
        finally:
            self.all_ends.set()
            for thread in self._threads:
                thread.join(_JOIN_S)
        stuck = [thread.name for thread in (*self._writers, *self._threads) if thread.is_alive()]
        if stuck:
            raise WorkloadFailed(f"{self.name}: {', '.join(stuck)} did not end")
        if self._errors:
            raise WorkloadFailed(f"{self.name}: a client ended by {self._errors[0]!r}") from self._errors[0]

    def stats(self) -> dict[str, Any]:
        """ops, acked, unseen (acked, not yet read), longest_stall_ms, and errors by name that clients were told.

        `repeats` are messages that a client handed out twice by itself, see `Member`.

        `ops` are those until the writing ended: that everything is read once more at the end is no load under faults.
        """
        ledger = self.ledger
        until_ns = self._wrote_until_ns or time.monotonic_ns()
        return {
            "ops": self._ops_while_writing if self._wrote_until_ns else ledger.ops,
            "acked": sum(map(len, ledger.acked.values())),
            "unseen": ledger.unseen(self.topics),
            "longest_stall_ms": ledger.longest_stall_ms(self._began_ns, until_ns),
            "errors": dict(self._client_errors),
            "repeats": self._repeats,
        }

    # -- for the workloads -----------------------------------------------------------------------------------------

    @abstractmethod
    def launch(self) -> None:
        """Start the clients, with `run_writer` and `run`."""

    @abstractmethod
    def drain(self, deadline: float) -> None:
        """Read what is acknowledged, until `deadline` (`time.monotonic`) at most."""

    def random(self, who: str) -> random.Random:
        """Choices of one client, from the seed and its name."""
        return random.Random(f"{self.seed}/{self.name}/{who}")

    def new_message(self) -> int:
        return next(self._messages)

    def encoded(self, message: int) -> bytes:
        return b"%d" % message if not self.record_bytes else (b"%d" % message).ljust(self.record_bytes)

    def topic(self, suffix: str = "") -> str:
        """Another one in each run: messages are unique within it only, and so are transactional ids."""
        return f"chaos-{self.name.replace('_', '')}{suffix}-{self.seed}-{self._run}"

    def keys(self, topic: str) -> list[str]:
        return [f"{topic}-{partition}" for partition in range(self.partitions)]

    def note_error(self, error: KafkaError | KafkaException) -> None:
        self._client_errors[error.args[0].name() if isinstance(error, KafkaException) else error.name()] += 1

    def note_repeat(self) -> None:
        """A client handed a message out twice by itself."""
        self._repeats += 1

    def run(self, live: Callable[[], None], name: str) -> None:
        """A client on a thread of its own, until `all_ends`."""
        self._threads.append(self._thread(live, name))

    def run_writer(self, live: Callable[[], None], name: str) -> None:
        """Likewise, until `writing_ends`."""
        self._writers.append(self._thread(live, name))

    def wait_until_seen(self, deadline: float, topics: Collection[str]) -> bool:
        """False when something acknowledged was not seen in time."""
        while self.ledger.unseen(topics):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _thread(self, live: Callable[[], None], name: str) -> threading.Thread:
        def guarded() -> None:
            try:
                live()
            except BaseException as error:
                self._errors.append(error)

        thread = threading.Thread(target=guarded, name=f"{self.name}-{name}", daemon=True)
        thread.start()
        return thread

    def _create_topics(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        there = admin.list_topics(timeout=CREATE_S)
        brokers = len(there.brokers)
        replication = min(self.replication, brokers)
        configs = dict(self.topic_configs)
        configs["min.insync.replicas"] = str(min(int(configs.get("min.insync.replicas", "1")), replication))
        new = [NewTopic(topic, self.partitions, replication, config=configs) for topic in self.topics]
        for future in admin.create_topics(new, operation_timeout=CREATE_S).values():
            future.result(CREATE_S)
