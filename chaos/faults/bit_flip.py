"""One bit of one of a log's last batches is wrong, as a failing disk leaves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from chaos.faults.damage import Damage, batch_starts

LAST_BATCHES = 3


class BitFlip(Damage):
    name = "bit-flip"

    def damage(self, log: Path, randrange: Callable[[int], int]) -> str:
        starts, size = batch_starts(log, LAST_BATCHES), log.stat().st_size
        if not starts or size <= starts[0] + 21:
            return "flipped nothing (empty)"
        # past base offset, length, epoch, magic and CRC: what the CRC guards
        position = starts[0] + 21 + randrange(size - starts[0] - 21)
        bit = randrange(8)
        with open(log, "r+b") as file:
            file.seek(position)
            byte = file.read(1)[0]
            file.seek(position)
            file.write(bytes([byte ^ 1 << bit]))
        return f"flipped bit {bit} of byte {position}"
