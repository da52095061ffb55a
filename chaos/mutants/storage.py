"""What the storage can get wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import storage.loader
from chaos.mutants.catalogue import Patches, mutant
from protocol.records import BatchHeader
from storage.boot_record import BootRecord
from storage.log import Log
from storage.producer_state import ProducerStateMap
from storage.segment import Segment


@mutant("retries-are-appended", "a batch that was sent twice is written twice")
def retries_are_appended(patches: Patches) -> None:
    patches.replace(ProducerStateMap, "check", lambda self, header: None)


@mutant("followers-forget-producers", "only the leader remembers which batches it has; a retry after a failover is new")
def followers_forget_producers(patches: Patches) -> None:
    def append(self: Log, batches: Any, now_ms: int = -1) -> Any:
        note, Log._note_producer = Log._note_producer, lambda *_: None  # type: ignore[method-assign]
        try:
            return original(self, batches, now_ms)
        finally:
            Log._note_producer = note  # type: ignore[method-assign]

    original = patches.replace(Log, "append_as_follower", append)


@mutant("recovery-checks-no-crc", "after a power loss every batch is believed whose length fits", hint=2)
def recovery_checks_no_crc(patches: Patches) -> None:
    def sound_batches(self: Segment, position: int = 0) -> Iterator[BatchHeader]:
        for header in self.headers(position):
            if header.position + header.size > self.size:
                return
            yield header

    patches.replace(Segment, "sound_batches", sound_batches)


@mutant("power-loss-is-a-crash", "after a power loss the log is trusted as if only the process had died", hint=99)
def power_loss_is_a_crash(patches: Patches) -> None:
    patches.replace(BootRecord, "trusts", lambda self, log: True)


@mutant("torn-ends-are-kept", "what a write left half done stays in the log")
def torn_ends_are_kept(patches: Patches) -> None:
    def sound_batches(self: Segment, position: int = 0) -> Iterator[BatchHeader]:
        yield from self.headers(position)

    patches.replace(Segment, "sound_batches", sound_batches)


@mutant("holes-are-overlooked", "a log whose middle a power loss has forgotten goes on behind it", hint=199)
def holes_are_overlooked(patches: Patches) -> None:
    def load(*args: Any, **kwargs: Any) -> Any:
        return original(*args, **kwargs | {"may_have_holes": True})

    original = patches.replace(storage.loader, "load", load)
