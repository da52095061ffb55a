"""What the controller, or a broker's line to it, can get wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import machines.controller_brokers
import machines.controller_elections
import machines.controller_isr
from actors.controller import Controller
from actors.controller_link import ControllerLink
from chaos.mutants.catalogue import Patches, mutant
from machines.controller import AppendRecords
from machines.controller_state import ControllerState
from machines.metadata import PartitionInfo
from model.errors import ErrorCode
from protocol.cluster_control import IsrProposal, MetadataSnapshot


@mutant("no-epoch-bump", "a new leader keeps the epoch of the one before")
def no_epoch_bump(patches: Patches) -> None:
    def change(self: ControllerState, before: PartitionInfo, **changes: Any) -> PartitionInfo:
        batch = len(self.batch)
        after: PartitionInfo = original(self, before, **changes)
        if len(self.batch) > batch and after.leader_epoch != before.leader_epoch:
            same = type(after)(*[getattr(after, f) for f in after.__struct_fields__])
            fields = {f: getattr(same, f) for f in after.__struct_fields__} | {"leader_epoch": before.leader_epoch}
            after = type(after)(**fields)
            self.batch[-1] = after
            self.image.topics[after.topic].partitions[after.partition] = after
        return after

    original = patches.replace(ControllerState, "change", change)


@mutant("unclean-election", "when the ISR is dead, any replica that lives may lead", hint=9)
def unclean_election(patches: Patches) -> None:
    patches.replace(ControllerState, "allows_unclean", lambda self, topic: True)


@mutant("leader-from-the-replicas", "the first living replica leads, in the ISR or not", hint=8)
def leader_from_the_replicas(patches: Patches) -> None:
    def settle(state: ControllerState, partitions: Iterable[PartitionInfo]) -> None:
        partitions = list(partitions)
        original(state, partitions)
        for old in partitions:
            now = state.image.partition(old.topic, old.partition)
            if now is not None and now.leader != old.leader and now.leader >= 0:
                first = next((r for r in now.replicas if state.image.is_alive(r)), now.leader)
                if first not in now.isr:
                    state.change(now, leader=first, isr=(first,))

    original = patches.replace(machines.controller_elections, "settle", settle)
    patches.replace(machines.controller_brokers, "settle", settle)


@mutant("stale-proposals-are-accepted", "an ISR proposed in an older partition epoch replaces the newer one", hint=392)
def stale_proposals_are_accepted(patches: Patches) -> None:
    def judge(state: ControllerState, leader: int, proposal: IsrProposal, partition: PartitionInfo) -> ErrorCode:
        fields = [getattr(proposal, name) for name in proposal.__struct_fields__]
        fields[4] = partition.partition_epoch
        error: ErrorCode = original(state, leader, IsrProposal(*fields), partition)
        return error

    original = patches.replace(machines.controller_isr, "_judge", judge)


@mutant(
    "what-is-proposed-again-is-no-news",
    "a leader's withdrawal of a refused proposal is answered and not recorded",
    hint=8,
)
def what_is_proposed_again_is_no_news(patches: Patches) -> None:
    def change(self: ControllerState, before: PartitionInfo, **changes: Any) -> PartitionInfo:
        changes.pop("must_bump_partition_epoch", None)
        after: PartitionInfo = original(self, before, **changes)
        return after

    original = patches.replace(ControllerState, "change", change)


@mutant("told-before-it-is-durable", "brokers hear of metadata that is not on the disk yet")
def told_before_it_is_durable(patches: Patches) -> None:
    def step(self: Controller, event: Any) -> None:
        if self._machine is None:
            return
        effects = self._machine.step(event, self._clock())
        self._deliver(effects)
        self._waiting.append([effect for effect in effects if type(effect) is AppendRecords])
        if self._writer is None:
            self._start_writer()

    patches.replace(Controller, "_step", step)


@mutant(
    "old-snapshots-are-believed",
    "a broker takes any snapshot for the newest, and drops what it does not list",
    hint=2,
)
def old_snapshots_are_believed(patches: Patches) -> None:
    def on_metadata(self: ControllerLink, message: Any) -> None:
        if isinstance(message, MetadataSnapshot):
            self.broker.image.version = -1
        original(self, message)

    original = patches.replace(ControllerLink, "_on_metadata", on_metadata)
