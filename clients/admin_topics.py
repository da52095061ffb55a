"""Topics, partitions, records and where their replicas are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from clients.admin_base import AdminPart, by_topic, raise_first
from clients.admin_types import (
    Broker,
    ClusterDescription,
    LogDir,
    NewTopic,
    PartitionDescription,
    Reassignment,
    TopicDescription,
)
from clients.metadata import TopicView
from clients.offsets import OffsetAndTimestamp, list_offsets
from model.ids import TopicPartition, topic_id_to_str


class TopicsPart(AdminPart):
    """Mixed into AsyncAdmin."""

    async def describe_cluster(self) -> ClusterDescription:
        """Its id, its controller, its brokers."""

        async def attempt() -> ClusterDescription:
            await self.cluster.refresh()
            metadata = self.cluster.metadata
            brokers = tuple(
                Broker(node, address.host, address.port, metadata.racks.get(node))
                for node, address in sorted(metadata.brokers.items())
            )
            return ClusterDescription(metadata.cluster_id or "", metadata.controller_id, brokers)

        return await self._until_done(attempt, "describing the cluster")

    async def list_topics(self, *, internal: bool = False) -> list[str]:
        """Names, sorted."""
        views = await self._all_topics()
        return sorted(name for name, view in views.items() if internal or not view.is_internal)

    async def describe_topics(self, names: Iterable[str] | None = None) -> dict[str, TopicDescription]:
        """These, or all. Raises UnknownTopicOrPartition."""
        views = await self._all_topics()
        wanted = sorted(views) if names is None else list(names)
        raise_first((3, None, name) for name in wanted if name not in views)
        return {name: _description(views[name]) for name in wanted}

    async def create_topics(self, topics: Iterable[NewTopic | str], *, validate_only: bool = False) -> None:
        """Raises TopicAlreadyExists, InvalidTopic, InvalidReplicationFactor, InvalidConfig…"""
        from protocol.k19_create_topics import (
            CreatableReplicaAssignment,
            CreatableTopic,
            CreatableTopicConfig,
            CreateTopicsRequest,
        )

        rows = [
            CreatableTopic(
                name=topic.name,
                num_partitions=-1 if topic.assignments else topic.partitions,
                replication_factor=-1 if topic.assignments else topic.replication_factor,
                assignments=[
                    CreatableReplicaAssignment(partition_index=partition, broker_ids=list(brokers))
                    for partition, brokers in topic.assignments.items()
                ],
                configs=[CreatableTopicConfig(name=name, value=value) for name, value in topic.configs.items()],
            )
            for topic in (NewTopic(each) if isinstance(each, str) else each for each in topics)
        ]

        async def attempt() -> None:
            request = CreateTopicsRequest(topics=rows, timeout_ms=self._timeout_ms, validate_only=validate_only)
            answer = await self.cluster.ask_controller(request)
            raise_first((row.error_code, row.error_message, row.name) for row in answer.topics)

        await self._until_done(attempt, "creating topics")

    async def delete_topics(self, names: Iterable[str]) -> None:
        """Raises UnknownTopicOrPartition."""
        from protocol.k20_delete_topics import DeleteTopicsRequest, DeleteTopicState

        wanted = list(names)

        async def attempt() -> None:
            request = DeleteTopicsRequest(
                topics=[DeleteTopicState(name=name) for name in wanted],
                topic_names=wanted,
                timeout_ms=self._timeout_ms,
            )
            answer = await self.cluster.ask_controller(request)
            raise_first((row.error_code, None, row.name or "") for row in answer.responses)

        await self._until_done(attempt, "deleting topics")
        for name in wanted:
            self.cluster.topics.discard(name)

    async def create_partitions(
        self, counts: Mapping[str, int], *, assignments: Mapping[str, Sequence[Sequence[int]]] | None = None
    ) -> None:
        """Topic → how many partitions it shall have in all. `assignments` are the replicas of the new ones."""
        from protocol.k37_create_partitions import (
            CreatePartitionsAssignment,
            CreatePartitionsRequest,
            CreatePartitionsTopic,
        )

        rows = []
        for name, count in counts.items():
            replicas = (assignments or {}).get(name)
            given = None if replicas is None else [CreatePartitionsAssignment(broker_ids=list(r)) for r in replicas]
            rows.append(CreatePartitionsTopic(name=name, count=count, assignments=given))

        async def attempt() -> None:
            answer = await self.cluster.ask_controller(
                CreatePartitionsRequest(topics=rows, timeout_ms=self._timeout_ms, validate_only=False)
            )
            raise_first((row.error_code, row.error_message, row.name) for row in answer.results)

        await self._until_done(attempt, "adding partitions")

    async def list_offsets(self, times: Mapping[TopicPartition, int]) -> dict[TopicPartition, OffsetAndTimestamp]:
        """By timestamp; -1 is the end, -2 the beginning, -3 the record with the largest timestamp."""
        wanted = {TopicPartition(*place): timestamp for place, timestamp in times.items()}
        return await list_offsets(self.cluster, wanted, timeout_s=self.timeout_s)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Delete what is older than an offset (-1: everything so far); where each log begins afterwards."""
        from protocol.k21_delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic

        wanted = {TopicPartition(*place): offset for place, offset in before.items()}

        async def attempt() -> dict[TopicPartition, int]:
            begins: dict[TopicPartition, int] = {}
            for node, places in (await self._leaders(wanted)).items():
                rows = [
                    DeleteRecordsTopic(
                        name=topic,
                        partitions=[
                            DeleteRecordsPartition(partition_index=n, offset=wanted[TopicPartition(topic, n)])
                            for n in numbers
                        ],
                    )
                    for topic, numbers in by_topic(places).items()
                ]
                answer = await self.cluster.ask(node, DeleteRecordsRequest(topics=rows, timeout_ms=self._timeout_ms))
                for topic_row in answer.topics:
                    for row in topic_row.partitions:
                        place = TopicPartition(topic_row.name, row.partition_index)
                        raise_first([(row.error_code, None, str(place))])
                        begins[place] = row.low_watermark
            return begins

        return await self._until_done(attempt, "deleting records")

    async def describe_log_dirs(self, brokers: Iterable[int] | None = None) -> list[LogDir]:
        """Every replica's size, on these brokers or on all."""
        from protocol.k35_describe_log_dirs import DescribeLogDirsRequest

        found: list[LogDir] = []
        for node in await self._brokers() if brokers is None else list(brokers):
            answer = await self.cluster.ask(node, DescribeLogDirsRequest(topics=None))
            for directory in answer.results:
                raise_first([(directory.error_code, None, directory.log_dir)])
                for topic in directory.topics:
                    for row in topic.partitions:
                        place = TopicPartition(topic.name, row.partition_index)
                        found.append(LogDir(node, directory.log_dir, place, row.partition_size, row.offset_lag))
        return found

    async def elect_leaders(self, places: Iterable[TopicPartition] | None = None, *, unclean: bool = False) -> None:
        """Give partitions their preferred leader (or any at all: `unclean`, which may lose records)."""
        from protocol.k43_elect_leaders import ElectLeadersRequest, TopicPartitions

        rows = None
        if places is not None:
            rows = [TopicPartitions(topic=topic, partitions=numbers) for topic, numbers in by_topic(places).items()]

        async def attempt() -> None:
            answer = await self.cluster.ask_controller(
                ElectLeadersRequest(election_type=int(unclean), topic_partitions=rows, timeout_ms=self._timeout_ms)
            )
            raise_first([(answer.error_code, None, "elect leaders")])
            for topic in answer.replica_election_results:
                for row in topic.partition_result:
                    if row.error_code != 84:  # ELECTION_NOT_NEEDED
                        place = f"{topic.topic}-{row.partition_id}"
                        raise_first([(row.error_code, row.error_message, place)])

        await self._until_done(attempt, "electing leaders")

    async def alter_reassignments(self, targets: Mapping[TopicPartition, Sequence[int] | None]) -> None:
        """Partition → the brokers that shall hold it; None calls a move under way off."""
        from protocol.k45_alter_partition_reassignments import (
            AlterPartitionReassignmentsRequest,
            ReassignablePartition,
            ReassignableTopic,
        )

        topics: dict[str, ReassignableTopic] = {}
        for (name, partition), brokers in targets.items():
            row = topics.setdefault(name, ReassignableTopic(name=name, partitions=[]))
            replicas = None if brokers is None else list(brokers)
            row.partitions.append(ReassignablePartition(partition_index=partition, replicas=replicas))

        async def attempt() -> None:
            answer = await self.cluster.ask_controller(
                AlterPartitionReassignmentsRequest(timeout_ms=self._timeout_ms, topics=list(topics.values()))
            )
            raise_first([(answer.error_code, answer.error_message, "reassign")])
            raise_first(
                (row.error_code, row.error_message, f"{topic.name}-{row.partition_index}")
                for topic in answer.responses
                for row in topic.partitions
            )

        await self._until_done(attempt, "reassigning partitions")

    async def list_reassignments(self) -> list[Reassignment]:
        """Moves under way."""
        from protocol.k46_list_partition_reassignments import ListPartitionReassignmentsRequest

        async def attempt() -> list[Reassignment]:
            answer = await self.cluster.ask_controller(ListPartitionReassignmentsRequest(timeout_ms=self._timeout_ms))
            raise_first([(answer.error_code, answer.error_message, "list reassignments")])
            return [
                Reassignment(
                    TopicPartition(topic.name, row.partition_index),
                    tuple(row.replicas),
                    tuple(row.adding_replicas),
                    tuple(row.removing_replicas),
                )
                for topic in answer.topics
                for row in topic.partitions
            ]

        return await self._until_done(attempt, "listing reassignments")

    async def _all_topics(self) -> dict[str, TopicView]:
        async def attempt() -> dict[str, TopicView]:
            self.cluster.follows_all = True
            try:
                await self.cluster.refresh()
            finally:
                self.cluster.follows_all = False
            return dict(self.cluster.metadata.topics)

        return await self._until_done(attempt, "listing topics")


def _description(view: TopicView) -> TopicDescription:
    partitions = tuple(
        PartitionDescription(p.partition, p.leader, p.leader_epoch, p.replicas, p.isr, p.offline)
        for _, p in sorted(view.partitions.items())
    )
    return TopicDescription(view.name, topic_id_to_str(view.topic_id), view.is_internal, partitions)
