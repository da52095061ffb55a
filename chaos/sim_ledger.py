"""What must hold of transactions and groups, whatever the coordinators, the leaders and the zombies do.

    OneOutcome          a transaction has one outcome in all its partitions, and it is the one its client was told
    NoLateWrites        nothing of a transaction is written behind its marker, or into the transaction that follows
    DecisionFirst       a marker is in a partition only once the transaction log holds the decision, committed
    ZombiesFenced       what a producer begins or asks after its successor was let in is never committed
    ReadCommitted       a read_committed reader is given what was committed, and all of it
    ExactlyOnce         no input is processed in two committed transactions
    OneOwner            no two members own a partition in one generation (KIP-848: in one member epoch)
    CommitsNeverBack    no coordinator shows less than what was acknowledged as committed before
    OldGenerationsFenced  a commit of a generation that is known to be over is refused
    GroupOk, TransactionOk  the coordinators' machines keep their own invariants

Transactional records begin with their transaction's tag, offsets carry it as metadata; so the logs themselves tell
which transaction every batch belongs to (`sim_log.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chaos.sim_log import Batch
from chaos.sim_world import Violation, World
from machines.transaction_state import Status
from model.ids import TopicPartition

if TYPE_CHECKING:
    from chaos.sim_process import Process
    from machines.metadata import MetadataImage

COMMIT, ABORT = True, False
_DECIDED = {Status.PREPARE_COMMIT: COMMIT, Status.PREPARE_ABORT: ABORT}


@dataclass(slots=True)
class Transaction:
    """`told` is what its client was answered, `outcome` what the first marker said; `consumed` its inputs."""

    tag: str
    told: bool | None = None
    outcome: bool | None = None
    is_zombies: bool = False  # begun, or asked to commit, when its producer had been replaced
    places: set[TopicPartition] = field(default_factory=set)  # where its batches are committed
    ended: set[TopicPartition] = field(default_factory=set)  # where its marker is
    consumed: list[tuple[TopicPartition, int]] = field(default_factory=list)
    written: list[tuple[TopicPartition, int]] = field(default_factory=list)  # what was acknowledged, and where


class Ledger:
    """What clients were told and what logs say, side by side."""

    def __init__(self, world: World, truth: MetadataImage) -> None:
        self.world = world
        self.truth = truth
        self.transactions: dict[str, Transaction] = {}
        self.decisions: dict[int, Status] = {}  # producer id → what the transaction log says, as far as committed
        self.processed: dict[tuple[TopicPartition, int], str] = {}  # an input batch → the transaction that did it
        self.generations: dict[str, tuple[int, float]] = {}  # group → the newest that a member was given, and when
        self.floors: dict[tuple[str, TopicPartition], int] = {}  # acknowledged commits
        self.commits = self.rebalances = self.ended = 0
        self._open: dict[tuple[TopicPartition, int], str] = {}  # (partition, producer id) → tag
        self._owners: dict[tuple[str, int, TopicPartition], str] = {}

    # -- transactions --------------------------------------------------------------------------------------------------

    def transaction(self, tag: str) -> Transaction:
        found = self.transactions.get(tag)
        if found is None:
            found = self.transactions[tag] = Transaction(tag)
        return found

    def on_committed(self, name: TopicPartition, batch: Batch) -> None:
        """A batch has passed the high watermark: one with a tag, a marker, or one of the transaction log."""
        note = batch.note
        if isinstance(note, str):
            self._on_data(name, batch.producer_id, note)
        elif isinstance(note, bool):
            self._on_marker(name, batch.producer_id, note)
        elif note is not None:
            for producer_id, status in note:
                self.decisions[producer_id] = Status(status)

    def _on_data(self, name: TopicPartition, producer_id: int, tag: str) -> None:
        transaction = self.transaction(tag)
        if name in transaction.ended:
            raise Violation("NoLateWrites", f"{name}: more of {tag} behind its marker")
        other = self._open.setdefault((name, producer_id), tag)
        if other != tag:
            raise Violation("NoLateWrites", f"{name}: {tag} is written while {other} has no marker")
        transaction.places.add(name)

    def _on_marker(self, name: TopicPartition, producer_id: int, outcome: bool) -> None:
        tag = self._open.pop((name, producer_id), None)
        if tag is None:
            return
        decision = self.decisions.get(producer_id)
        if decision is None or _DECIDED.get(decision) is not outcome:
            said = "nothing" if decision is None else decision.name
            raise Violation("DecisionFirst", f"{name}: {_word(outcome)} of {tag}, the transaction log says {said}")
        transaction = self.transactions[tag]
        transaction.ended.add(name)
        self.ended += 1
        if transaction.outcome is None:
            transaction.outcome = outcome
            if outcome is COMMIT:
                self._on_commit(transaction)
        self._check_outcome(transaction, outcome, str(name))

    def _on_commit(self, transaction: Transaction) -> None:
        if transaction.is_zombies:
            raise Violation("ZombiesFenced", f"{transaction.tag} was committed, its producer had a successor")
        for consumed in transaction.consumed:
            other = self.processed.setdefault(consumed, transaction.tag)
            if other != transaction.tag:
                raise Violation("ExactlyOnce", f"{consumed} was processed by {other} and by {transaction.tag}")

    @staticmethod
    def _check_outcome(transaction: Transaction, outcome: bool, where: str) -> None:
        known = transaction.outcome if transaction.told is None else transaction.told
        if outcome is not known or (transaction.outcome is not None and transaction.outcome is not known):
            was = "to be told" if transaction.told is None else "told"
            raise Violation("OneOutcome", f"{where}: {transaction.tag} {_word(outcome)}, {was} {_word(bool(known))}")

    def on_told(self, tag: str, outcome: bool) -> None:
        """The client of a transaction has its answer."""
        transaction = self.transaction(tag)
        transaction.told = outcome
        self._check_outcome(transaction, outcome, "its client")

    def unfinished(self) -> str | None:
        """What is still open; None when every transaction has ended everywhere."""
        for (name, producer_id), tag in self._open.items():
            return f"{tag} of producer {producer_id} is still open in {name}"
        for transaction in self.transactions.values():
            if transaction.told is COMMIT and transaction.written and transaction.outcome is None:
                return f"{transaction.tag} was committed, no marker says so"
        return None

    # -- groups --------------------------------------------------------------------------------------------------------

    def on_assigned(self, group: str, generation: int, member: str, partitions: list[TopicPartition]) -> None:
        """A member was given partitions."""
        if generation > self.generations.get(group, (-1, 0.0))[0]:
            self.generations[group] = (generation, self.world.now_s)
            self.rebalances += 1
        for partition in partitions:
            owner = self._owners.setdefault((group, generation, partition), member)
            if owner != member:
                raise Violation("OneOwner", f"{group} generation {generation}: {partition}: {owner} and {member}")

    def on_group_commit(
        self, group: str, generation: int, asked_s: float, offsets: dict[TopicPartition, int], *, is_classic: bool
    ) -> None:
        """A commit was acknowledged."""
        newest, since_s = self.generations.get(group, (-1, 0.0))
        if is_classic and generation < newest and since_s < asked_s:
            what = f"generation {generation} committed at {asked_s:.6f}, {newest} had begun at {since_s:.6f}"
            raise Violation("OldGenerationsFenced", f"{group}: {what}")
        self.commits += 1
        for partition, offset in offsets.items():
            key = (group, partition)
            self.floors[key] = max(offset, self.floors.get(key, -1))

    def on_fetched(self, group: str, partition: TopicPartition, offset: int, floor: int) -> None:
        """A coordinator has said what is committed; `floor` is what had been acknowledged when it was asked."""
        if offset < floor:
            raise Violation("CommitsNeverBack", f"{group} {partition}: {offset}, and {floor} was acknowledged")
        key = (group, partition)
        if offset >= 0:
            self.floors[key] = max(offset, self.floors.get(key, -1))  # what was shown once must stay

    # -- coordinators, after each step ---------------------------------------------------------------------------------

    def check_coordinators(self, process: Process) -> None:
        """The machines of this broker's coordinators, and what they would answer."""
        broker = process.broker
        assert broker is not None
        try:
            for coordinator in broker.transactions.coordinators.values():
                for machine in coordinator.machines.values():
                    machine.check()
        except AssertionError as broken:
            raise Violation("TransactionOk", f"{process.name}: {broken!r}") from broken
        for shell in broker.groups.offsets.values():
            if not shell.is_loaded:
                continue
            for group in shell.groups.values():
                try:
                    group.check()
                except AssertionError as broken:
                    raise Violation("GroupOk", f"{process.name} {group.group_id}: {broken!r}") from broken
            self._check_floors(process, shell)

    def _check_floors(self, process: Process, shell: object) -> None:
        replica = shell.replica  # type: ignore[attr-defined]
        info = self.truth.partition(*replica.partition)
        if info is None or info.leader != process.broker_id or info.leader_epoch != replica.info.leader_epoch:
            return  # it has a successor and does not know
        for (group_id, partition), floor in self.floors.items():
            group = shell.groups.get(group_id)  # type: ignore[attr-defined]
            if group is not None or len(shell.groups) > 0:  # type: ignore[attr-defined]
                known = group.offsets.committed.get(partition.topic, {}).get(partition.partition) if group else None
                if group is not None and (known is None or known.offset < floor) and not group.offsets.pending:
                    found = "nothing" if known is None else known.offset
                    raise Violation(
                        "CommitsNeverBack", f"{process.name} has {found} for {group_id} {partition}, {floor} was said"
                    )


def _word(outcome: bool) -> str:
    return "commit" if outcome else "abort"
