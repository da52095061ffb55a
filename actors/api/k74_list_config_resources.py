"""74 ListConfigResources, v0-1.

Names what can have configs: topics (type 2), brokers (4), their loggers (8), and groups (32) that have some.
Client metrics (16) have none here, so none are listed; v0 asks for client metrics only.
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.errors import ErrorCode
from protocol.k74_list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP = KNOWN_TYPES = (2, 4, 8, 16, 32)
TYPES_FROM = 1


def handle(context: RequestContext, request: ListConfigResourcesRequest) -> ListConfigResourcesResponse:
    """Those of the types asked for; without a type, all."""
    wanted = {CLIENT_METRICS} if context.api_version < TYPES_FROM else set(request.resource_types or KNOWN_TYPES)
    if not wanted.issubset(KNOWN_TYPES):
        return ListConfigResourcesResponse(error_code=ErrorCode.UNSUPPORTED_VERSION)
    image = context.broker.image
    brokers = [str(broker.broker_id) for broker in image.live_brokers()]
    names = {TOPIC: sorted(image.topics), BROKER: brokers, BROKER_LOGGER: brokers, GROUP: sorted(image.group_configs)}
    return ListConfigResourcesResponse(
        config_resources=[
            ConfigResource(resource_name=name, resource_type=kind)
            for kind in sorted(wanted)
            for name in names.get(kind, ())
        ]
    )
