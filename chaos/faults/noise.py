"""A bad network between brokers: messages lost, doubled, late, overtaken."""

from __future__ import annotations

from typing import get_args

from chaos.faults.fault import Fault, at_least
from chaos.patient import Patient
from model.errors import ConfigError
from protocol.cluster_chaos import LinkRule, Network
from protocol.cluster_control import ControllerMessage
from protocol.cluster_replication import ReplicationMessage
from protocol.cluster_transactions import TransactionMessage

KINDS = ("Credit", *(kind.__name__ for kind in get_args(ControllerMessage | ReplicationMessage | TransactionMessage)))
"""Classes of messages between brokers; Credit is the bus's own."""


class Noise(Fault):
    """Probabilities and milliseconds, for messages of class `kind` ("": all) that `broker` (0: every broker) sends."""

    name = "noise"

    def __init__(
        self,
        loss: float = 0.05,
        duplication: float = 0.05,
        delay_ms: float = 0.0,
        jitter_ms: float = 20.0,
        kind: str = "",
        broker: int = 0,
    ) -> None:
        at_least(0, loss=loss, duplication=duplication, delay_ms=delay_ms, jitter_ms=jitter_ms)
        for name, probability in (("loss", loss), ("duplication", duplication)):
            if probability > 1:
                raise ConfigError(f"{name}={probability:g}: a probability is at most 1")
        if kind and kind not in KINDS:
            raise ConfigError(f"there are no messages of class {kind}: there are {', '.join(KINDS)}")
        self.rule = LinkRule(-1, kind, float(loss), float(duplication), float(delay_ms), float(jitter_ms))
        self.broker = broker

    def inject(self, patient: Patient) -> str:
        rule = self.rule
        if self.broker:
            patient.chosen(self.broker)
        event = patient.tell(self.name, f"broker {self.broker or 'any'}", loss=rule.loss, duplication=rule.duplication,
                             delay_ms=rule.delay_ms, jitter_ms=rule.jitter_ms)  # fmt: skip
        seed = patient.random.randrange(1 << 30)
        patient.order(self.broker, Network((rule,), seed=seed), stays=True, event=event)
        return (
            f"{rule.loss:.0%} lost, {rule.duplication:.0%} doubled, {rule.delay_ms:g} to "
            f"{rule.delay_ms + rule.jitter_ms:g} ms late"
        )

    def heal(self, patient: Patient) -> None:
        patient.order(0, Network(()), stays=True)
        patient.tell(self.name, "brokers", "heal")
