"""The last batches of a log are gone, as on a disk that had not synced them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from chaos.faults.damage import Damage, batch_starts
from chaos.patient import ChaosFailed

MOST_BATCHES = 50


class Truncate(Damage):
    name = "truncate"

    def damage(self, log: Path, randrange: Callable[[int], int]) -> str:
        starts = batch_starts(log, MOST_BATCHES)
        if not starts:
            raise ChaosFailed(f"{log.name} is empty: there is nothing to be damaged")
        keep = randrange(len(starts))
        os.truncate(log, starts[keep])
        return f"cut the last {len(starts) - keep} batches"
