"""Messages between simulated processes in words, for the transcript: one line each, for somebody who learns from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from model.errors import ErrorCode
from protocol import cluster_control as control
from protocol import cluster_replication as replication
from protocol import cluster_supervision as supervision
from protocol import cluster_transactions as transactions
from protocol.metadata_records import BrokerRecord, ControllerRecord, PartitionRecord, TopicRecord

MOST = 180


def node(number: int) -> str:
    """0 is the supervisor, clients have numbers of their own."""
    return "supervisor" if number == 0 else f"b{number}"


def place(address: str) -> str:
    """`/replica/t/0/0f3a…` is partition t-0; the actors of a broker are named as they are."""
    parts = address.split("/")
    if len(parts) == 5 and parts[1] == "replica":
        return f" {parts[2]}-{parts[3]}"
    return "" if address in ("/", "/broker", "/link", "/supervisor") else f" {address}"


def describe(message: Any, size: int) -> str:
    """`size` is that of the records that travel with it, in bytes."""
    words = _WORDS.get(type(message))
    text = words(message) if words is not None else repr(message)
    if size:
        text += f", {size} bytes"
    return text if len(text) <= MOST else text[: MOST - 1] + "…"


def members(isr: Iterable[int]) -> str:
    return "{" + ",".join(map(str, isr)) + "}"


def partition_record(record: PartitionRecord) -> str:
    """What the controller has decided for a partition."""
    leader = f"leader b{record.leader}" if record.leader >= 0 else "no leader"
    epochs = f"leader epoch {record.leader_epoch}, partition epoch {record.partition_epoch}"
    return f"{record.topic}-{record.partition}: {leader}, {epochs}, ISR {members(record.isr)}"


def _record(record: Any) -> str:
    match record:
        case PartitionRecord():
            return partition_record(record)
        case BrokerRecord():
            state = "is fenced" if record.is_fenced else "stops" if record.is_shutting_down else "is registered"
            return f"b{record.broker_id}.{record.incarnation} {state}"
        case ControllerRecord():
            return f"b{record.broker_id} is the controller, epoch {record.controller_epoch}"
        case TopicRecord():
            return f"topic {record.name}"
    return type(record).__name__


def _records(records: list[Any]) -> str:
    return "; ".join(map(_record, records))


def _error(code: int) -> str:
    return "yes" if code == 0 else ErrorCode(code).name


def _replicate(message: replication.Replicate) -> str:
    return f"records from {message.base_offset}, epoch {message.leader_epoch}, high watermark {message.high_watermark}"


def _follow(message: replication.Follow) -> str:
    last = f"with epoch {message.last_epoch}" if message.last_epoch >= 0 else "empty"
    return f"I follow epoch {message.leader_epoch}, my log ends at {message.log_end_offset}, {last}"


def _view(message: supervision.ClusterView) -> str:
    rows = ", ".join(f"b{broker.broker_id}.{broker.incarnation} {broker.state}" for broker in message.brokers)
    return f"the cluster: {rows}; controller {message.controller_id if message.controller_id >= 0 else 'none'}"


def _alter_isr(message: control.AlterIsr) -> str:
    rows = (
        f"{each.topic}-{each.partition} from partition epoch {each.partition_epoch} to {members(each.isr)}"
        for each in message.partitions
    )
    return "change the ISR of " + "; ".join(rows)


def _isr_reply(message: control.AlterIsrReply) -> str:
    rows = (
        f"{each.topic}-{each.partition} {_error(each.error)}, {members(each.isr)} at {each.partition_epoch}"
        for each in message.partitions
    )
    return "ISR: " + "; ".join(rows)


def _enrol(message: transactions.EnrolPartition) -> str:
    verb = "take" if message.adds else "is"
    what = f"{message.topic}-{message.partition} {'into' if message.adds else 'in'} the transaction of"
    who = f"{message.transactional_id} (producer {message.producer_id}, epoch {message.producer_epoch})"
    return f"question {message.number}: {verb} {what} {who}?"


def _markers(message: transactions.WriteMarkers) -> str:
    rows = (
        f"{'commit' if each.is_commit else 'abort'} {each.transactional_id} in {each.topic}-{each.partition} "
        f"(producer {each.producer_id}, epoch {each.producer_epoch}, number {each.number})"
        for each in message.markers
    )
    return "markers: " + "; ".join(rows)


def _outcomes(message: transactions.MarkersWritten) -> str:
    rows = (
        f"{each.transactional_id} in {each.topic}-{each.partition} (number {each.number}): {_error(each.error)}"
        for each in message.outcomes
    )
    return "markers written: " + "; ".join(rows)


_WORDS: dict[type, Callable[[Any], str]] = {
    replication.Follow: _follow,
    replication.Lead: lambda m: f"I lead epoch {m.leader_epoch}",
    replication.Replicate: _replicate,
    replication.Replicated: lambda m: f"epoch {m.leader_epoch}: my log ends at {m.log_end_offset}",
    replication.Diverged: lambda m: f"our logs part: with me epoch {m.epoch} ends at {m.end_offset}",
    replication.StartAt: lambda m: f"begin anew at {m.log_start_offset}, what is below was deleted",
    control.ControllerIs: lambda m: f"b{m.broker_id} is the controller, epoch {m.controller_epoch}",
    control.MetadataUpdate: lambda m: f"metadata after {m.base_version}: {_records(m.records)}",
    control.MetadataSnapshot: lambda m: f"all metadata up to {m.version}",
    control.NotController: lambda m: f"ask {node(m.controller_id) if m.controller_id >= 0 else 'somebody else'}",
    control.RegisterBroker: lambda m: f"register b{m.broker_id}.{m.incarnation}",
    control.RegisterBrokerReply: lambda m: f"registered: {_error(m.error)}",
    control.BrokerHeartbeat: lambda m: f"b{m.broker_id}.{m.incarnation} {'hears nothing' if m.is_deaf else 'lives'}",
    control.BrokerHeartbeatReply: lambda m: "registered" if m.is_registered else "not registered",
    control.ControlledShutdown: lambda m: f"b{m.broker_id}.{m.incarnation} wants to stop, take over what it leads",
    control.AlterIsr: _alter_isr,
    control.AlterIsrReply: _isr_reply,
    supervision.ClusterView: _view,
    supervision.BrokerDown: lambda m: f"b{m.broker_id}.{m.incarnation} is down: {m.reason}",
    supervision.BrokerHello: lambda m: f"b{m.broker_id}.{m.incarnation} runs",
    supervision.BrokerReady: lambda m: f"b{m.broker_id}.{m.incarnation} serves clients",
    supervision.ControllerElected: lambda m: f"b{m.broker_id} is the controller, epoch {m.epoch}",
    transactions.EnrolPartition: _enrol,
    transactions.PartitionEnrolled: lambda m: f"answer {m.number}: {_error(m.error)}",
    transactions.WriteMarkers: _markers,
    transactions.MarkersWritten: _outcomes,
}
