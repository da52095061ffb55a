"""Producers and transactions, for those who look for what holds up a read_committed consumer."""

from __future__ import annotations

from collections.abc import Iterable

from clients.admin_base import AdminPart, raise_first
from clients.admin_types import ProducerDescription, TransactionDescription, TransactionListing
from clients.cluster import TRANSACTION_KEY
from model.coordinator_errors import InvalidTxnState
from model.errors import kafka_error
from model.ids import TopicPartition


class TransactionsPart(AdminPart):
    """Mixed into AsyncAdmin."""

    async def list_transactions(self, *, states: Iterable[str] = ()) -> list[TransactionListing]:
        """Every coordinator's, sorted by id."""
        from protocol.k66_list_transactions import ListTransactionsRequest

        async def attempt() -> list[TransactionListing]:
            found: list[TransactionListing] = []
            for node in await self._brokers():
                answer = await self.cluster.ask(node, ListTransactionsRequest(state_filters=list(states)))
                raise_first([(answer.error_code, None, f"broker {node}")])
                found += [
                    TransactionListing(row.transactional_id, row.producer_id, row.transaction_state)
                    for row in answer.transaction_states
                ]
            return sorted(found)

        return await self._until_done(attempt, "listing transactions")

    async def describe_transaction(self, transactional_id: str) -> TransactionDescription:
        """Raises TransactionalIdNotFound."""
        from protocol.k65_describe_transactions import DescribeTransactionsRequest

        async def attempt() -> TransactionDescription:
            request = DescribeTransactionsRequest(transactional_ids=[transactional_id])
            answer = await self.cluster.ask_coordinator(TRANSACTION_KEY, transactional_id, request)
            row = answer.transaction_states[0]
            if row.error_code:
                error = kafka_error(row.error_code, transactional_id)
                self.cluster.forget_coordinator(TRANSACTION_KEY, transactional_id, error)
                raise error
            return TransactionDescription(
                transactional_id,
                row.transaction_state,
                row.producer_id,
                row.producer_epoch,
                row.transaction_timeout_ms,
                row.transaction_start_time_ms,
                await self.cluster.coordinator(TRANSACTION_KEY, transactional_id),
                tuple(TopicPartition(topic.topic, number) for topic in row.topics for number in topic.partitions),
            )

        return await self._until_done(attempt, "describing a transaction")

    async def describe_producers(self, partition: TopicPartition) -> list[ProducerDescription]:
        """Who has written to a partition of late, as its leader knows."""
        from protocol.k61_describe_producers import DescribeProducersRequest, TopicRequest

        place = TopicPartition(*partition)

        async def attempt() -> list[ProducerDescription]:
            (node,) = await self._leaders([place])
            row = TopicRequest(name=place.topic, partition_indexes=[place.partition])
            answer = await self.cluster.ask(node, DescribeProducersRequest(topics=[row]))
            found = answer.topics[0].partitions[0]
            raise_first([(found.error_code, found.error_message, str(place))])
            return [
                ProducerDescription(
                    each.producer_id,
                    each.producer_epoch,
                    each.last_sequence,
                    each.last_timestamp,
                    each.coordinator_epoch,
                    each.current_txn_start_offset,
                )
                for each in found.active_producers
            ]

        return await self._until_done(attempt, "describing producers")

    async def fence_producer(self, transactional_id: str) -> tuple[int, int]:
        """Take over a transactional id: whoever has it is fenced, its transaction aborted. The new id and epoch."""
        from protocol.k22_init_producer_id import InitProducerIdRequest

        async def attempt() -> tuple[int, int]:
            request = InitProducerIdRequest(transactional_id=transactional_id, transaction_timeout_ms=60_000)
            answer = await self.cluster.ask_coordinator(TRANSACTION_KEY, transactional_id, request)
            if answer.error_code:
                error = kafka_error(answer.error_code, transactional_id)
                self.cluster.forget_coordinator(TRANSACTION_KEY, transactional_id, error)
                raise error
            return answer.producer_id, answer.producer_epoch

        return await self._until_done(attempt, "fencing a producer")

    async def abort_transaction(self, partition: TopicPartition, producer_id: int) -> None:
        """End a transaction that hangs on one partition, with an abort marker.

        Only for one that its coordinator no longer knows of; else `fence_producer` is the way.
        """
        from protocol.k27_write_txn_markers import WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest

        place = TopicPartition(*partition)
        open_ones = [
            each
            for each in await self.describe_producers(place)
            if each.producer_id == producer_id and each.transaction_start >= 0
        ]
        if not open_ones:
            raise InvalidTxnState(f"producer {producer_id} has no open transaction on {place}")
        marker = WritableTxnMarker(
            producer_id=producer_id,
            producer_epoch=open_ones[0].epoch,
            transaction_result=False,
            topics=[WritableTxnMarkerTopic(name=place.topic, partition_indexes=[place.partition])],
            coordinator_epoch=max(0, open_ones[0].coordinator_epoch),
        )

        async def attempt() -> None:
            (node,) = await self._leaders([place])
            answer = await self.cluster.ask(node, WriteTxnMarkersRequest(markers=[marker]))
            raise_first(
                (row.error_code, None, str(place)) for topic in answer.markers[0].topics for row in topic.partitions
            )

        await self._until_done(attempt, "aborting a transaction")
