"""Brokers that don't hear each other, or their clients. The supervisor hears everybody, as a second network would.

one       a broker is cut off from the others
ring      each hears only its neighbours on one side: all see somebody, no two see the same
one-way   a broker hears the others and is not heard
clients   a broker does not hear its clients; when it ends, their connections do, too
sides     1|2,3: as written
"""

from __future__ import annotations

from chaos.faults.fault import Fault
from chaos.faults.kill import broker_of
from chaos.patient import ChaosFailed, Patient
from model.errors import ConfigError
from protocol.cluster_chaos import LinkRule, Network

SHAPES = ("one", "ring", "one-way", "clients")


class Partition(Fault):
    """`shape` "" is any; `broker` 0 is any; `sides` "1|2,3" overrules both. `one_way`: the first side is not heard."""

    name = "partition"

    def __init__(self, shape: str = "", broker: int = 0, sides: str = "", one_way: bool = False) -> None:
        if shape and shape not in SHAPES:
            raise ConfigError(f"{shape} is no partition: {', '.join(SHAPES)}, or sides as 1|2,3")
        if one_way and not sides:
            raise ConfigError("one_way is about sides; for one broker there is the shape one-way")
        self._sides_of(sides)
        self.shape = shape
        self.broker = broker
        self.sides = sides
        self.one_way = one_way

    def inject(self, patient: Patient) -> str:
        brokers = sorted(patient.rows())
        shape = "sides" if self.sides else self.shape or patient.random.choice(SHAPES)
        victim = patient.chosen(self.broker) if self.broker else patient.random.choice(brokers)
        if shape == "clients":
            event = patient.tell(self.name, f"broker {victim}", shape=shape)
            patient.order(victim, Network((), hides_clients=True), stays=True, event=event)
            return f"broker {victim} does not hear its clients"
        unheard = {broker: deaf for broker, deaf in self.unheard(shape, victim, brokers).items() if deaf}
        if not unheard:
            raise ChaosFailed(f"{shape}: of {len(brokers)} brokers nobody would be cut off")
        event = patient.tell(self.name, "brokers", shape=shape, unheard={str(k): sorted(v) for k, v in unheard.items()})
        for broker, deaf in unheard.items():
            rules = tuple(LinkRule(to, loss=1.0) for to in sorted(deaf))
            patient.order(broker, Network(rules), stays=True, event=event)
        return "; ".join(f"{one} is not heard by {','.join(map(str, sorted(deaf)))}" for one, deaf in unheard.items())

    def unheard(self, shape: str, victim: int, brokers: list[int]) -> dict[int, set[int]]:
        """Broker → those it does not reach."""
        others = [broker for broker in brokers if broker != victim]
        match shape:
            case "one":
                return {victim: set(others), **{broker: {victim} for broker in others}}
            case "one-way":
                return {victim: set(others)}
            case "ring":
                size = len(brokers)
                reach = size // 2
                return {
                    broker: {brokers[(at + step) % size] for step in range(1, size)}
                    - {brokers[(at + step) % size] for step in range(1, reach + 1)}
                    for at, broker in enumerate(brokers)
                }
        return self._sides(brokers)

    def _sides(self, brokers: list[int]) -> dict[int, set[int]]:
        sides = self._sides_of(self.sides)
        named = [broker for side in sides for broker in side]
        if missing := set(named) - set(brokers):
            raise ChaosFailed(f"there is no broker {min(missing)}: there are {', '.join(map(str, brokers))}")
        unheard = {}
        for side in sides[:1] if self.one_way else sides:
            for broker in side:
                unheard[broker] = set(named) - side
        return unheard

    @staticmethod
    def _sides_of(text: str) -> list[set[int]]:
        if not text:
            return []
        try:
            sides = [[broker_of(broker.strip()) for broker in side.split(",")] for side in text.split("|")]
        except ConfigError as mistake:
            raise ConfigError(f"{text}: {mistake}; two sides are 1|2,3") from None
        named = [broker for side in sides for broker in side]
        if len(sides) < 2 or len(set(named)) != len(named):
            raise ConfigError(f"{text}: write two or more sides that share no broker, as 1|2,3")
        return [set(side) for side in sides]

    def heal(self, patient: Patient) -> None:
        patient.order(0, Network(()), stays=True)
        patient.tell(self.name, "brokers", "heal")
