"""SIGKILL, as a power cut for one process: leader, follower, controller, coordinator, majority, all, supervisor."""

from __future__ import annotations

import os
import signal

from chaos.faults.fault import Fault
from chaos.patient import ChaosFailed, Patient
from model.errors import ConfigError
from testing.processes import is_alive
from testing.waiting import wait_until

WHOM = ("leader", "follower", "controller", "coordinator", "majority", "all", "supervisor", "broker")
_ORPHANS_S = 5.0


class Kill(Fault):
    """`whom` "" is any but the supervisor; `of` is "topic/partition", a group or a broker's number."""

    name = "kill"
    lasts = False

    def __init__(self, whom: str = "", of: str = "") -> None:
        if whom and whom not in WHOM:
            raise ConfigError(f"kill whom? {whom} is none of {', '.join(WHOM)}")
        if of and whom in ("leader", "follower"):
            partition_of(of)
        elif of and whom == "broker":
            broker_of(of)
        elif of and whom != "coordinator":
            raise ConfigError(f"kill {whom or 'anybody'} {of}? Only leader, follower, coordinator and broker say whose")
        self.whom = whom
        self.of = of

    def inject(self, patient: Patient) -> str:
        whom = self.whom or patient.random.choice(WHOM[:6])
        if whom == "supervisor":
            return self._supervisor(patient)
        of = self.of
        if whom in ("leader", "follower") and not of:
            topic, partition = patient.a_partition()
            of = f"{topic}/{partition}"
        victims = self.victims(patient, whom, of)
        # nobody is asked twice: all of them die of one blow
        pids = [patient.strike(broker, signal.SIGKILL) for broker in victims]
        who = ", ".join(f"broker {broker} (pid {pid})" for broker, pid in zip(victims, pids, strict=True))
        return f"killed {whom} {of}".rstrip() + f": {who}"

    def victims(self, patient: Patient, whom: str, of: str) -> list[int]:
        match whom:
            case "leader":
                return [patient.leader(*partition_of(of))]
            case "follower":
                row = patient.partition(*partition_of(of))
                others = [broker for broker in row.replicas if broker != row.leader]
                if not others:
                    raise ChaosFailed("it has no followers")
                return [patient.random.choice(others)]
            case "controller":
                return [patient.controller()]
            case "coordinator":
                group = of or patient.group or patient.a_group()
                return [patient.coordinator(group) if group else patient.a_broker()]
            case "broker":
                return [patient.chosen(broker_of(of) if of else 0)]
        brokers = patient.brokers()
        count = len(brokers) if whom == "all" else patient.size() // 2 + 1
        return sorted(patient.random.sample(brokers, min(count, len(brokers))))

    @staticmethod
    def _supervisor(patient: Patient) -> str:
        state, brokers = patient.state(), patient.brokers()
        rows = patient.rows()
        pid = int(state["supervisor_pid"])
        patient.tell("kill", "supervisor", pid=pid)
        os.kill(pid, signal.SIGKILL)
        orphans = [int(rows[broker]["pid"]) for broker in brokers]
        wait_until(lambda: not any(map(is_alive, [pid, *orphans])), timeout_s=_ORPHANS_S, what="the orphans to end")
        if patient.revive is not None:
            patient.revive()
        return f"killed supervisor (pid {pid}); its {len(orphans)} brokers ended with it"


def partition_of(text: str) -> tuple[str, int]:
    """orders/0, orders:0 or orders-0. Raises ConfigError."""
    for separator in ("/", ":", "-"):
        topic, found, number = text.rpartition(separator)
        if found and topic and number.isdecimal():
            return topic, int(number)
    raise ConfigError(f"{text} is no partition: write it as orders/0")


def broker_of(text: str) -> int:
    """Raises ConfigError."""
    if not text.isdecimal() or not int(text):
        raise ConfigError(f"{text} is no broker: write its number")
    return int(text)
