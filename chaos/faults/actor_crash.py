"""An actor inside a broker fails; its supervisor starts it again, the process goes on."""

from __future__ import annotations

from chaos.faults.fault import Fault
from chaos.patient import Patient
from protocol.cluster_chaos import CrashActor
from testing.waiting import wait_until


class ActorCrash(Fault):
    """`prefix` of the actor's path, e.g. "/replica/orders/0" or "/controller"; `broker` 0 is any."""

    name = "actor-crash"
    lasts = False

    def __init__(self, prefix: str = "/", broker: int = 0, count: int = 1) -> None:
        self.prefix = prefix
        self.broker = broker
        self.count = count

    def inject(self, patient: Patient) -> str:
        said: list[str] = []
        for _ in range(self.count):
            broker = self.broker or patient.a_broker()
            if said:  # the one before may be the one that is meant, and is just being started again
                wait_until(lambda broker=broker: not patient.insight(broker).down, what="the actor to run again")  # type: ignore[misc]
            event = patient.tell(self.name, f"broker {broker}", prefix=self.prefix)
            outcome = patient.order(broker, CrashActor(self.prefix, patient.random.randrange(1 << 30)), event=event)
            said += [f"{path} of broker {broker}" for path in outcome.said.values()]
        return f"crashed {', '.join(said)}"
