"""Brokers that are wrong on purpose, as real processes: `--broker-class chaos.wrong_broker:ack-before-the-isr`.

The name after the colon is a mutant's (`chaos/mutants`). Looking it up changes the code of this process for good, so it
must happen in a broker process and nowhere else:

    Cluster(options=["--broker-class", "chaos.wrong_broker:ack-before-the-isr"])
"""

from __future__ import annotations

from functools import cache
from typing import Any

from chaos.mutants.catalogue import Patches, load


def wrong(mutant: str) -> list[str]:
    """The options of a cluster whose brokers all have this mutant. Raises KeyError when there is none."""
    load()[mutant]
    return ["--broker-class", f"{__name__}:{mutant}"]


def __getattr__(name: str) -> Any:
    if name.startswith("__") or name not in load():
        raise AttributeError(f"{__name__} has no mutant {name!r}")
    return _broker_class(name)


@cache
def _broker_class(mutant: str) -> Any:
    """Once: the process asks for its class twice."""
    from actors.broker import Broker

    load()[mutant].apply(Patches())
    return Broker
