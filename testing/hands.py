"""What can be done to a cluster's brokers, and how it is seen that they have healed."""

from __future__ import annotations

import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testing.in_process import InProcess
from testing.waiting import ClusterFailed, Healed, wait_until

if TYPE_CHECKING:
    from testing.processes import Processes

HEAL_S = 30.0
_ASK_EVERY_S = 0.005


class Hands(ABC):
    """Mixed into `Cluster`."""

    _runner: Processes | InProcess
    controller_id: Any

    @abstractmethod
    def brokers(self) -> dict[int, dict[str, Any]]: ...

    @abstractmethod
    def pids(self) -> dict[int, int]: ...

    @abstractmethod
    def leader(self, topic: str, partition: int = 0) -> int: ...

    @abstractmethod
    def coordinator(self, group: str) -> int: ...

    def signal(self, broker_id: int, number: signal.Signals) -> int:
        """Send a signal to one broker; returns the pid it went to."""
        if isinstance(self._runner, InProcess):
            raise ClusterFailed("a broker in this process takes no signals: use kill, pause, resume or restart")
        return self._runner.signal(broker_id, number)

    def kill(self, broker_id: int) -> int:
        """SIGKILL one broker, as a power cut would end it. The supervisor restarts it with a new incarnation."""
        return self._runner.kill(broker_id)

    def kill_supervisor(self) -> None:
        """SIGKILL the supervisor. Its brokers end by themselves within 2 s; returns once they have."""
        self._runner.kill_supervisor()

    def kill_leader(self, topic: str, partition: int = 0, timeout_s: float = HEAL_S) -> Healed:
        """SIGKILL the broker that leads the partition; who leads it next, and since when."""
        victim = wait_until(
            lambda: max(0, self.leader(topic, partition)), timeout_s=timeout_s, what=f"{topic}-{partition} to be led"
        )

        def next_leader() -> int:
            leader = self.leader(topic, partition)
            return leader if leader > 0 and leader != victim else 0

        return self._kill_and_watch(f"{topic}-{partition}", victim, next_leader, timeout_s)

    def kill_controller(self, timeout_s: float = HEAL_S) -> Healed:
        """SIGKILL the broker that holds the controller's lease; who holds it next."""
        victim = int(wait_until(lambda: self.controller_id, timeout_s=timeout_s, what="a controller"))

        def next_controller() -> int:
            holder = self.controller_id or 0
            return holder if holder != victim else 0

        return self._kill_and_watch("controller", victim, next_controller, timeout_s)

    def kill_coordinator(self, group: str, timeout_s: float = HEAL_S) -> Healed:
        """SIGKILL the broker that coordinates a consumer group; who does next."""
        victim = self.coordinator(group)

        def next_coordinator() -> int:
            coordinator = self.coordinator(group)
            return coordinator if coordinator != victim else 0

        return self._kill_and_watch(f"coordinator of {group}", victim, next_coordinator, timeout_s)

    def pause(self, broker_id: int) -> int:
        """SIGSTOP. The supervisor takes a broker that stays stopped for 0.8 s for dead and replaces it."""
        if isinstance(self._runner, InProcess):
            self._runner.pause()
            return os.getpid()
        pid = self._runner.signal(broker_id, signal.SIGSTOP)
        wait_until(lambda: _is_stopped(pid), timeout_s=5.0, what=f"broker {broker_id} to stop", every_s=_ASK_EVERY_S)
        return pid

    def resume(self, broker_id: int) -> bool:
        """SIGCONT; False when the broker that was paused has been replaced meanwhile."""
        if isinstance(self._runner, InProcess):
            return self._runner.resume()
        pid = self.pids().get(broker_id)
        if pid is None or not _is_stopped(pid):
            return False
        os.kill(pid, signal.SIGCONT)
        return True

    def restart(self, broker_id: int, timeout_s: float = HEAL_S) -> Healed:
        """In order (SIGTERM): it hands over what it leads, ends, and comes back as its next incarnation."""
        before, killed_at, began_s = self._incarnation(broker_id), time.time(), time.monotonic()
        self._runner.restart(broker_id)
        self._await_next_life(broker_id, before, timeout_s)
        return Healed(f"restart of broker {broker_id}", broker_id, broker_id, killed_at, time.monotonic() - began_s)

    def _kill_and_watch(self, what: str, victim: int, healer: Callable[[], int], timeout_s: float) -> Healed:
        """Kill; healed is who `healer` names (0: nobody yet), or the victim once it is back and still in office."""
        before, killed_at, began_s = self._incarnation(victim), time.time(), time.monotonic()
        self.kill(victim)

        def is_healed() -> int:
            other = healer()
            if other:
                return other
            row = self.brokers().get(victim, {})
            is_back = row.get("incarnation", 0) > before and row.get("state") == "running"
            # asked again: it may have come back to find that another one has taken over
            return (healer() or victim) if is_back else 0

        by = int(wait_until(is_healed, timeout_s=timeout_s, what=f"{what} to heal", every_s=_ASK_EVERY_S))
        return Healed(what, victim, by, killed_at, time.monotonic() - began_s)

    def _incarnation(self, broker_id: int) -> int:
        return int(self.brokers().get(broker_id, {}).get("incarnation", 0))

    def _await_next_life(self, broker_id: int, before: int, timeout_s: float) -> None:
        def is_back() -> bool:
            row = self.brokers().get(broker_id, {})
            return row.get("incarnation", 0) > before and row.get("state") == "running"

        wait_until(is_back, timeout_s=timeout_s, what=f"broker {broker_id} to come back", every_s=_ASK_EVERY_S)


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "Tt"
    except OSError:
        return False
