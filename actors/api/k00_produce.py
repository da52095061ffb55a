"""0 Produce, v3-13.

Every partition's batches become one message to the actor that leads it; the answer goes out when the last one has said
that they are as durable as `acks` asks.
- v10+: the new leader is hinted at where we no longer lead (KIP-951).
- acks=0: no answer, and an error closes the connection, as Kafka does.
- Transactional batches: the leader asks the transaction's coordinator before the first one; v11+: clients know
  TRANSACTION_ABORTABLE, v12+: the partition is taken into the transaction on the client's behalf (KIP-890).
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.lookup import find_replica
from actors.append_request import AppendRequest
from actors.gateways import address_for
from model.errors import ErrorCode
from protocol.k00_produce import (
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionProduceResponse,
    ProduceRequest,
    ProduceResponse,
    TopicProduceResponse,
)
from protocol.records import is_transactional
from transport.pending import Pending

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

TOPIC_IDS_FROM = 13
LEADER_HINTS_FROM = 10
ABORTABLE_FROM, ENROLS_FROM = 11, 12
_MOVED = (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH)


class Produce:
    """One request on its way: counts the partitions that have not answered."""

    __slots__ = ("answer", "appends", "context", "open", "request")

    def __init__(self, context: RequestContext, request: ProduceRequest) -> None:
        self.context = context
        self.request = request
        self.appends: list[list[AppendRequest | ErrorCode]] = []
        self.open = 0
        self.answer: Pending[ProduceResponse | None] = Pending()

    def send(self) -> None:
        """Tell every leader; those that are not here answer by their absence."""
        request, broker = self.request, self.context.broker
        by_id = self.context.api_version >= TOPIC_IDS_FROM
        refusal = ErrorCode.NONE if request.acks in (-1, 0, 1) else ErrorCode.INVALID_REQUIRED_ACKS
        transactional_id, version = request.transactional_id, self.context.api_version
        transaction_version = 2 if version >= ENROLS_FROM else 1 if version >= ABORTABLE_FROM else 0
        targets: list[tuple[str, AppendRequest]] = []
        for topic in request.topic_data:
            row: list[AppendRequest | ErrorCode] = []
            self.appends.append(row)
            for data in topic.partition_data:
                error, replica = find_replica(broker, topic.name, topic.topic_id, data.index, by_id=by_id)
                error = refusal or error
                if replica is not None and error is ErrorCode.NONE:
                    if data.records is None or not len(data.records):
                        error = ErrorCode.INVALID_RECORD
                    elif transactional_id is None and is_transactional(data.records):
                        error = ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                    else:
                        append = AppendRequest(
                            data.records,
                            request.acks,
                            self._answered,
                            transactional_id=transactional_id,
                            transaction_version=transaction_version,
                        )
                        targets.append((replica.address, append))
                        row.append(append)
                        continue
                row.append(error)
        self.open = len(targets)
        for address, append in targets:
            if not broker.system.tell(address, append):
                append.answer(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        if not self.open:
            self._finish()
        elif request.acks == -1:
            broker.deadlines.add(self, request.timeout_ms)

    def _answered(self, _: AppendRequest) -> None:
        self.open -= 1
        if not self.open:
            self._finish()

    def time_out(self) -> None:
        """What is not committed by now is reported as timed out; it may still be committed later."""
        self._finish(late=ErrorCode.REQUEST_TIMED_OUT)

    def _finish(self, late: ErrorCode = ErrorCode.NONE) -> None:
        if self.answer.is_done:
            return
        if self.request.acks == -1:
            self.context.broker.deadlines.discard(self)
        elif self.request.acks == 0:
            self.answer.resolve(None)
            if any(_error(a, late) is not ErrorCode.NONE for row in self.appends for a in row):
                self.context.connection.close()
            return
        self.answer.resolve(self._response(late))

    def _response(self, late: ErrorCode) -> ProduceResponse:
        response = ProduceResponse()
        leaders: set[int] = set()
        for topic, row in zip(self.request.topic_data, self.appends, strict=True):
            rows = [
                self._partition(topic.name, topic.topic_id, data.index, append, late, leaders)
                for data, append in zip(topic.partition_data, row, strict=True)
            ]
            response.responses.append(
                TopicProduceResponse(name=topic.name, topic_id=topic.topic_id, partition_responses=rows)
            )
        for leader in leaders:
            broker = self.context.broker.image.brokers.get(leader)
            if broker is not None:
                host, port = address_for(self.context, broker)
                endpoint = NodeEndpoint(node_id=leader, host=host, port=port, rack=broker.rack)
                response.node_endpoints.append(endpoint)
        return response

    def _partition(
        self,
        name: str,
        topic_id: bytes,
        index: int,
        append: AppendRequest | ErrorCode,
        late: ErrorCode,
        leaders: set[int],
    ) -> PartitionProduceResponse:
        error = _error(append, late)
        if error is ErrorCode.NONE:
            assert isinstance(append, AppendRequest)
            return PartitionProduceResponse(
                index=index,
                base_offset=append.base_offset,
                log_append_time_ms=append.log_append_time_ms,
                log_start_offset=append.log_start_offset,
            )
        message = append.message if isinstance(append, AppendRequest) else None
        answer = PartitionProduceResponse(index=index, error_code=error, base_offset=-1, error_message=message)
        if error in _MOVED and self.context.api_version >= LEADER_HINTS_FROM:
            image = self.context.broker.image
            topic = image.topics_by_id.get(topic_id) if self.context.api_version >= TOPIC_IDS_FROM else None
            info = image.partition(topic.name if topic else name, index)
            if info is not None and info.leader >= 0 and info.leader != self.context.broker.spec.broker_id:
                answer.current_leader = LeaderIdAndEpoch(leader_id=info.leader, leader_epoch=info.leader_epoch)
                leaders.add(info.leader)
        return answer


def _error(append: AppendRequest | ErrorCode, late: ErrorCode) -> ErrorCode:
    if isinstance(append, ErrorCode):
        return append
    if append.is_answered:
        return append.error
    return late


def handle(context: RequestContext, request: ProduceRequest) -> Pending[ProduceResponse | None]:
    """Append and answer."""
    produce = Produce(context, request)
    produce.send()
    return produce.answer
