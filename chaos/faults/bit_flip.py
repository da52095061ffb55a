"""One bit of one of a log's last batches is wrong, as a failing disk leaves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chaos.faults.damage import Damage, batch_starts
from chaos.patient import ChaosFailed

LAST_BATCHES = 3
_UNGUARDED_BYTES = 21


class BitFlip(Damage):
    name = "bit-flip"

    def damage(self, log: Path, randrange: Callable[[int], int]) -> str:
        starts, size = batch_starts(log, LAST_BATCHES), log.stat().st_size
        if not starts:
            raise ChaosFailed(f"{log.name} is empty: there is nothing to be damaged")
        which = randrange(len(starts))
        # past base offset, length, epoch, magic and CRC: what the CRC guards
        begin, end = starts[which] + _UNGUARDED_BYTES, [*starts[1:], size][which]
        position = begin + randrange(end - begin)
        bit = randrange(8)
        with open(log, "r+b") as file:
            file.seek(position)
            byte = file.read(1)[0]
            file.seek(position)
            file.write(bytes([byte ^ 1 << bit]))
        return f"flipped bit {bit} of byte {position}"
