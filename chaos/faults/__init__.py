"""The faults that can be done to real processes, one file each.

    patient = Patient(cluster.data_dir, topics=["orders"], seed=7)
    fault = FAULTS["partition"](shape="one")
    print(fault.inject(patient))
    fault.heal(patient)
"""

from __future__ import annotations

from chaos.faults.actor_crash import ActorCrash
from chaos.faults.bit_flip import BitFlip
from chaos.faults.clock import Clock
from chaos.faults.disk_full import DiskFull
from chaos.faults.fault import Fault
from chaos.faults.kill import Kill
from chaos.faults.noise import Noise
from chaos.faults.partition import Partition
from chaos.faults.pause import Pause
from chaos.faults.request import Request
from chaos.faults.rolling_restart import RollingRestart
from chaos.faults.slow_disk import SlowDisk
from chaos.faults.torn_tail import TornTail
from chaos.faults.truncate import Truncate

FAULTS: dict[str, type[Fault]] = {
    kind.name: kind
    for kind in (
        Kill,
        Pause,
        Partition,
        Noise,
        Clock,
        DiskFull,
        SlowDisk,
        TornTail,
        BitFlip,
        Truncate,
        RollingRestart,
        ActorCrash,
        Request,
    )
}

__all__ = ["FAULTS", "Fault"]
