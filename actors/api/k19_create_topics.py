"""19 CreateTopics, v2-7.

Forwarded to the controller; answered when the topics are durable there and known here.
- `configs` of the answer are all effective configs of the topic, never null (Java 4.3 and 4.4 crash on null).
Left out: nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from actors.api.errors import ask_controller
from model.config_describe import describe_topic
from model.errors import ErrorCode
from protocol.cluster_admin import CreatedTopic, CreateTopics, NewTopic
from protocol.k19_create_topics import (
    CreatableTopic,
    CreatableTopicConfigs,
    CreatableTopicResult,
    CreateTopicsRequest,
    CreateTopicsResponse,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


async def handle(context: RequestContext, request: CreateTopicsRequest) -> CreateTopicsResponse:
    """Refuse what contradicts itself, ask the controller for the rest."""
    names = Counter(topic.name for topic in request.topics)
    refused: dict[str, str] = {name: "the topic is named twice" for name, n in names.items() if n > 1}
    for topic in request.topics:
        if topic.assignments and (topic.num_partitions != -1 or topic.replication_factor != -1):
            refused.setdefault(topic.name, "with a replica assignment both numbers must be -1")
    wanted = [_wanted(topic) for topic in request.topics if topic.name not in refused]
    error, reply = ErrorCode.NONE, None
    if wanted:
        error, reply = await ask_controller(
            context, lambda number: CreateTopics(number, wanted, request.validate_only), request.timeout_ms
        )
    created = {topic.name: topic for topic in reply.topics} if reply is not None else {}
    rows: list[CreatableTopicResult] = []
    for name in names:
        if name in refused:
            row = CreatableTopicResult(
                name=name, error_code=ErrorCode.INVALID_REQUEST, error_message=refused[name], configs=[]
            )
        elif name in created:
            row = _result(context, created[name])
        else:
            row = CreatableTopicResult(
                name=name, error_code=error or ErrorCode.UNKNOWN_SERVER_ERROR, error_message=None, configs=[]
            )
        rows.append(row)
    return CreateTopicsResponse(topics=rows)


def _wanted(topic: CreatableTopic) -> NewTopic:
    return NewTopic(
        topic.name,
        topic.num_partitions,
        topic.replication_factor,
        {a.partition_index: tuple(a.broker_ids) for a in topic.assignments},
        {config.name: config.value for config in topic.configs},
    )


def _result(context: RequestContext, created: CreatedTopic) -> CreatableTopicResult:
    row = CreatableTopicResult(
        name=created.name,
        topic_id=created.topic_id,
        error_code=created.error,
        error_message=created.message,
        num_partitions=created.num_partitions,
        replication_factor=created.replication_factor,
        configs=[],
    )
    if created.error == ErrorCode.NONE:
        broker = context.broker
        own, of_all = (broker.image.broker_configs.get(name, {}) for name in (str(broker.spec.broker_id), ""))
        row.configs = [
            CreatableTopicConfigs(
                name=entry.name,
                value=entry.value,
                read_only=entry.is_read_only,
                config_source=entry.source,
                is_sensitive=entry.is_sensitive,
            )
            for entry in describe_topic(broker.static_config, created.configs, own, of_all)
        ]
    return row
