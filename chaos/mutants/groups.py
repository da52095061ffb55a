"""What group coordinators can get wrong."""

from __future__ import annotations

from typing import Any

import machines.consumer_changes
import machines.group_commits
from actors.group_coordinator import GroupCoordinator
from actors.offsets_partition import OffsetsPartition
from chaos.mutants.catalogue import Patches, mutant
from machines.classic_group import ClassicGroup
from machines.consumer_group import ConsumerGroup
from machines.group import Group
from machines.group_events import FetchOffsets, Reply
from machines.offsets import Offsets
from model.errors import ErrorCode


@mutant("old-generations-may-commit", "a commit is taken from a generation that is over", hint=17)
def old_generations_may_commit(patches: Patches) -> None:
    def commit_error(self: ClassicGroup, member_id: str, *_: Any) -> ErrorCode:
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    patches.replace(ClassicGroup, "commit_error", commit_error)


@mutant("who-was-put-out-may-commit", "a commit is taken from a member that the group has put out", hint=15)
def who_was_put_out_may_commit(patches: Patches) -> None:
    patches.replace(machines.group_commits, "commit_error", lambda *_: ErrorCode.NONE)


@mutant("commits-are-answered-at-once", "a commit is acknowledged before it is on any other replica", hint=2)
def commits_are_answered_at_once(patches: Patches) -> None:
    def perform(self: GroupCoordinator, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Reply):
                self._answer(effect)
        original(self, [effect for effect in effects if not isinstance(effect, Reply)])

    original = patches.replace(GroupCoordinator, "_perform", perform)


@mutant("a-new-coordinator-forgets-offsets", "the replay brings the members back and not what they committed", hint=15)
def a_new_coordinator_forgets_offsets(patches: Patches) -> None:
    def finish(self: OffsetsPartition) -> None:
        for group in self.groups.values():
            group.offsets.committed.clear()
        original(self)

    original = patches.replace(OffsetsPartition, "_finish_load", finish)


@mutant("generations-start-anew", "a new coordinator counts generations from the start", hint=17)
def generations_start_anew(patches: Patches) -> None:
    def after_replay(self: Group, now_ms: int) -> None:
        self.classic.generation = min(self.classic.generation, 1)
        original(self, now_ms)

    original = patches.replace(Group, "after_replay", after_replay)


@mutant("two-owners", "a member is given partitions that another one still has (KIP-848)", hint=2)
def two_owners(patches: Patches) -> None:
    def reconcile(progress: Any, target_epoch: int, target: Any, owned: Any, is_free: Any) -> Any:
        return original(progress, target_epoch, target, owned, lambda partition: True)

    original = patches.replace(machines.consumer_changes, "reconcile", reconcile)


@mutant("stale-epochs-may-commit", "any member epoch will do for a commit (KIP-848)", hint=15)
def stale_epochs_may_commit(patches: Patches) -> None:
    patches.replace(ConsumerGroup, "epoch_error", lambda self, member, epoch: ErrorCode.NONE)


@mutant(
    "unstable-offsets-are-shown",
    "a group is told its old offsets while a transaction is about to replace them",
    hint=19,
)
def unstable_offsets_are_shown(patches: Patches) -> None:
    def fetch(self: Offsets, request: FetchOffsets) -> Any:
        return original(
            self, FetchOffsets(request.topics, False, request.member_id, request.member_epoch)
        )

    original = patches.replace(Offsets, "fetch", fetch)


@mutant("offsets-count-before-the-commit", "a transaction's offsets are the group's before it is decided", hint=2)
def offsets_count_before_the_commit(patches: Patches) -> None:
    def apply(self: Offsets, key: Any, value: Any, producer_id: int = -1) -> None:
        original(self, key, value)

    original = patches.replace(Offsets, "apply", apply)
