"""What every fault is: done by `inject`, undone by `heal`, and made from its name and a few options."""

from __future__ import annotations

import inspect
import time
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from chaos.patient import ChaosFailed, Patient
from model.errors import ConfigError


class Fault(ABC):
    """Options are the constructor's keywords; what they leave open, the patient's seed decides at each `inject`.

    The constructor raises ConfigError for options that no cluster could mean.
    """

    name: ClassVar[str]
    lasts: ClassVar[bool] = True
    """False: it is over when `inject` returns, and the cluster heals by itself."""
    struck: bool = True
    """False after `heal`: it waited for something that never came, and nobody met it."""

    @abstractmethod
    def inject(self, patient: Patient) -> str:
        """Do it. Returns what was done, in a few words. Raises ChaosFailed when it can't be done now."""

    def heal(self, patient: Patient) -> None:  # noqa: B027 (many are over by themselves)
        """Undo it, as far as it is not over by itself. Idempotent."""

    @classmethod
    def options(cls) -> dict[str, Any]:
        """Names and defaults."""
        parameters = inspect.signature(cls.__init__).parameters.values()
        return {each.name: each.default for each in parameters if each.default is not inspect.Parameter.empty}


def heal_patiently(fault: Fault, patient: Patient, attempts: int = 20) -> None:
    """A broker that just restarts, or has just died, can't be told anything: once more, a tenth of a second later.

    Raises ChaosFailed with what the last attempt said.
    """
    for left in range(attempts, -1, -1):
        try:
            fault.heal(patient)
            return
        except ChaosFailed:
            if not left:
                raise
            time.sleep(0.1)


def at_least(least: float, **options: float) -> None:
    """Raises ConfigError for an option below `least`."""
    for name, value in options.items():
        if not value >= least:
            raise ConfigError(f"{name}={value:g}: must be {least:g} or more")
