"""The controller's lease and metadata log, shared by all simulated brokers: storage.metadata_store in memory.

The lock behaves as flock does: the kernel gives it to one of those who wait, also to a stopped process, and takes it
back at any death. What was put is durable; a put that the process's death interrupts is there as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from chaos.sim_world import World
from machines.metadata import MetadataImage
from model.errors import StorageFailure
from protocol.metadata_records import MetadataRecord
from storage.metadata_store import LeaseHolder, LeaseLost, StoredMetadata, VersionConflict

if TYPE_CHECKING:
    from chaos.sim_process import Process


class SharedMetadata:
    """The files of the cluster directory. `truth` is the image that the durable log stands for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = world.chance("lease")
        self.holder: Process | None = None
        self.said: LeaseHolder | None = None
        self.truth = MetadataImage()
        self.snapshot: list[MetadataRecord] = []
        self.log: list[MetadataRecord] = []
        self.epoch = 0
        self.failing_puts = 0
        self.on_put: Callable[[Sequence[MetadataRecord]], None] = lambda records: None
        self._waiting: list[tuple[Process, Callable[..., object], tuple[Any, ...]]] = []
        self._is_granting = False

    def wait_for_lock(self, process: Process, target: Callable[..., object], args: tuple[Any, ...]) -> None:
        """A thread of `process` blocks on the lock; `target` runs when it has got it."""
        self._waiting.append((process, target, args))
        self._grant_later()

    def release(self, process: Process) -> None:
        if self.holder is process:
            self.holder = None
            self._grant_later()

    def _grant_later(self) -> None:
        if self.holder is None and self._waiting and not self._is_granting:
            self._is_granting = True
            self.world.after(self.chance.uniform(0.0001, 0.005), self._grant)

    def _grant(self) -> None:
        self._is_granting = False
        self._waiting = [waiter for waiter in self._waiting if not waiter[0].is_dead]
        if self.holder is None and self._waiting:
            process, target, args = self._waiting.pop(self.chance.randrange(len(self._waiting)))
            self.holder = process
            if self.world.lines is not None:
                self.world.say(f"{process.name} holds the controller's lease")
            self.world.after(0.0, target, *args, owner=process)


class VirtualThread:
    """Stands for the controller's thread, which only waits for the lease."""

    shared: SharedMetadata

    def __init__(self, *, target: Callable[..., object], args: tuple[Any, ...] = (), **_: object) -> None:
        self._target, self._args = target, args

    def start(self) -> None:
        process = self.shared.world.current
        assert process is not None
        self.shared.wait_for_lock(process, self._target, self._args)


class VirtualMetadataStore:
    """Implements storage.metadata_store.MetadataStore for one process."""

    def __init__(self, shared: SharedMetadata, process: Process) -> None:
        self._shared = shared
        self._process = process
        self._epoch = -1

    def elect(self, broker_id: int) -> int:
        """Called by the thread that has the lock."""
        shared = self._shared
        if shared.holder is not self._process:
            raise StorageFailure("the lock was lost")
        said = shared.said.controller_epoch if shared.said is not None else 0
        self._epoch = 1 + max(shared.epoch, said)
        shared.said = LeaseHolder(broker_id, self._epoch)
        return self._epoch

    def get(self) -> StoredMetadata:
        shared = self._shared
        records = shared.snapshot + shared.log
        return StoredMetadata(shared.epoch, shared.truth.version, records, len(shared.log))

    def put_if_version(self, controller_epoch: int, base_version: int, records: Sequence[MetadataRecord]) -> int:
        shared = self._shared
        self._check_lease(controller_epoch)
        if base_version != shared.truth.version:
            raise VersionConflict(f"the log stands at {shared.truth.version}, the records go on from {base_version}")
        if shared.failing_puts:
            shared.failing_puts -= 1
            self.resign()
            raise StorageFailure("metadata.log can't be written: the disk is full")
        shared.epoch = controller_epoch
        shared.log += records
        for record in records:
            shared.truth.apply(record)
        shared.on_put(records)
        return shared.truth.version

    def put_snapshot(self, controller_epoch: int, version: int, records: Sequence[MetadataRecord]) -> None:
        self._check_lease(controller_epoch)
        self._shared.snapshot, self._shared.log = list(records), []

    def _check_lease(self, controller_epoch: int) -> None:
        if self._shared.holder is not self._process or controller_epoch != self._epoch:
            raise LeaseLost(f"epoch {controller_epoch} doesn't hold the lease")

    def watch(self) -> LeaseHolder | None:
        return self._shared.said

    def resign(self) -> None:
        self._shared.release(self._process)
