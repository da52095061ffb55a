"""An actor inside a broker fails; its supervisor starts it again, the process goes on."""

from __future__ import annotations

from functools import partial

from chaos.faults.fault import Fault, at_least
from chaos.patient import ChaosFailed, Patient
from protocol.cluster_chaos import CrashActor
from testing.waiting import wait_until


class ActorCrash(Fault):
    """`prefix` of the actor's path, e.g. "/replica/orders/0" or "/controller"; `broker` 0 is any."""

    name = "actor-crash"
    lasts = False

    def __init__(self, prefix: str = "/", broker: int = 0, count: int = 1) -> None:
        at_least(1, count=count)
        self.prefix = prefix
        self.broker = broker
        self.count = count
        self._hurt: set[int] = set()  # brokers

    def inject(self, patient: Patient) -> str:
        said: list[str] = []
        for _ in range(self.count):
            said.append(self._crash(patient, is_first=not said))
        return f"crashed {', '.join(said)}"

    def _crash(self, patient: Patient, *, is_first: bool) -> str:
        """In one of the brokers that have such an actor: a controller, say, runs in one of them only."""
        chosen = patient.chosen(self.broker)
        others = [] if self.broker else [broker for broker in patient.brokers() if broker != chosen]
        seed = patient.random.randrange(1 << 30)
        for broker in [chosen, *others]:
            if not is_first:  # the one before may be the one that is meant, and is just being started again
                wait_until(lambda broker=broker: not patient.insight(broker).down, what="the actor to run again")  # type: ignore[misc]
            event = patient.tell(self.name, f"broker {broker}", prefix=self.prefix)
            try:
                outcome = patient.order(broker, CrashActor(self.prefix, seed), event=event)
            except ChaosFailed as refusal:
                if not others or "no actor below" not in str(refusal):
                    raise
                continue
            self._hurt.add(broker)
            return ", ".join(f"{path} of broker {broker}" for path in outcome.said.values())
        raise ChaosFailed(f"no broker has an actor below {self.prefix}")

    def heal(self, patient: Patient) -> None:
        """Its supervisor does that; this waits for it. Raises ClusterFailed when an actor stays down."""
        for broker in sorted(self._hurt):
            all_run = partial(self._all_run, patient, broker)
            wait_until(all_run, what=f"the actors of broker {broker} to run again")
            self._hurt.discard(broker)

    @staticmethod
    def _all_run(patient: Patient, broker: int) -> bool:
        try:
            return not patient.insight(broker).down
        except ChaosFailed:  # what can't be started again in the process ends it, and it starts anew
            return False
