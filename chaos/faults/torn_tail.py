"""The last batch of a log is only half there, as a power cut leaves it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from chaos.faults.damage import Damage, batch_starts
from chaos.patient import ChaosFailed


class TornTail(Damage):
    name = "torn-tail"

    def damage(self, log: Path, randrange: Callable[[int], int]) -> str:
        starts, size = batch_starts(log, 1), log.stat().st_size
        if not starts or size - starts[0] < 2:
            raise ChaosFailed(f"{log.name} is empty: there is nothing to be damaged")
        cut = 1 + randrange(size - starts[0] - 1)
        os.truncate(log, size - cut)
        return f"tore {cut} bytes off the last batch"
