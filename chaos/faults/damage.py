"""What the three faults to files share: the victim is frozen, its files are changed, then it is killed.

In that order nobody writes amid the damage, and nobody starts before it is done. The machine's boot id is taken away as
well: after a power cut a broker must check its logs, and would not for the death of its process alone.
"""

from __future__ import annotations

import signal
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path

from chaos.faults.fault import Fault
from chaos.faults.kill import partition_of
from chaos.patient import ChaosFailed, Patient
from testing.processes import is_alive, signal_quietly
from testing.waiting import wait_until

BOOT_RECORD = ".boot"


class Damage(Fault):
    """`of` is "topic/partition" ("": any under test), `broker` 0 any of its replicas but one that stands alone."""

    lasts = False

    def __init__(self, of: str = "", broker: int = 0) -> None:
        if of:
            partition_of(of)
        self.of = of
        self.broker = broker

    def inject(self, patient: Patient) -> str:
        topic, partition = partition_of(self.of) if self.of else patient.a_partition()
        replicas = patient.partition(topic, partition).replicas
        if self.broker and patient.chosen(self.broker) not in replicas:
            raise ChaosFailed(f"broker {self.broker} has no replica of {topic}-{partition}: {replicas} have")
        # what only one replica has, its damage would destroy: no cluster can survive that
        if len(replicas) < 2:
            raise ChaosFailed(f"{topic}-{partition} has a single replica: nobody else has what would be damaged")
        wait_until(
            lambda: len(patient.partition(topic, partition).isr) > 1, timeout_s=30.0, what="a second replica in sync"
        )
        broker = self.broker or patient.random.choice(patient.partition(topic, partition).replicas)
        log = active_log(patient.directory(broker) / f"{topic}-{partition}")
        event = patient.tell(self.name, f"broker {broker}", log=str(log.relative_to(patient.data_dir)))
        pid = patient.strike(broker, signal.SIGSTOP, event=event)
        try:
            wait_until(lambda: is_stopped(pid), timeout_s=2.0, what=f"broker {broker} to stop", every_s=0.001)
            said = self.damage(log, patient.random.randrange)
            (patient.directory(broker) / BOOT_RECORD).unlink(missing_ok=True)
            patient.tell_damage(f"{topic}-{partition}", broker, said, event)
            was_replaced = not is_alive(pid)
        finally:
            signal_quietly(pid, signal.SIGKILL)
        if was_replaced:  # as everybody who stands still for 0.8 s: whoever came after it may have read the log before
            raise ChaosFailed(f"broker {broker} was replaced before its log could be damaged")
        return f"{said} of {topic}-{partition} on broker {broker}, then killed it (pid {pid})"

    @abstractmethod
    def damage(self, log: Path, randrange: Callable[[int], int]) -> str:
        """Change the file; what was done. Raises ChaosFailed when there is nothing in it to be damaged."""


def active_log(directory: Path) -> Path:
    """The segment that is written to. Raises ChaosFailed when there is none."""
    logs = sorted(directory.glob("*.log"))
    if not logs:
        raise ChaosFailed(f"{directory} holds no log")
    return logs[-1]


def batch_starts(log: Path, last: int) -> list[int]:
    """Where the last so many whole batches begin."""
    data = log.read_bytes()
    starts, position = [], 0
    while position + 12 <= len(data):
        size = 12 + int.from_bytes(data[position + 8 : position + 12], "big")
        if position + size > len(data) or size <= 12:
            break
        starts.append(position)
        position += size
    return starts[-last:]


def is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "Tt"
    except OSError:
        return True  # it is dead, and that is still enough
