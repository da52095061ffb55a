"""20 DeleteTopics, v1-6.

Forwarded to the controller; by name, or from v6 on by id.
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.errors import ask_controller
from model.errors import ErrorCode
from protocol.cluster_admin import DeleteTopics, TopicToDelete
from protocol.k20_delete_topics import DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

IDS_FROM = 6


async def handle(context: RequestContext, request: DeleteTopicsRequest) -> DeleteTopicsResponse:
    """Ask the controller, unless `delete.topic.enable` is off."""
    if context.api_version >= IDS_FROM:
        wanted = [TopicToDelete(topic.name, topic.topic_id) for topic in request.topics]
    else:
        wanted = [TopicToDelete(name) for name in request.topic_names]
    error, reply = ErrorCode.TOPIC_DELETION_DISABLED, None
    if context.broker.config.get_bool("delete.topic.enable"):
        error, reply = await ask_controller(context, lambda number: DeleteTopics(number, wanted), request.timeout_ms)
    if reply is None:
        return DeleteTopicsResponse(
            responses=[DeletableTopicResult(name=t.name, topic_id=t.topic_id, error_code=error) for t in wanted]
        )
    return DeleteTopicsResponse(
        responses=[
            DeletableTopicResult(name=t.name, topic_id=t.topic_id, error_code=t.error, error_message=t.message)
            for t in reply.topics
        ]
    )
