"""33 AlterConfigs, v0-2.

Replaces all overrides of a resource (the older way; key 44 changes single ones).
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.alter_configs import alter
from protocol.cluster_admin import ConfigChange, ConfigResource
from protocol.k33_alter_configs import AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


async def handle(context: RequestContext, request: AlterConfigsRequest) -> AlterConfigsResponse:
    """Ask the controller."""
    resources = [
        ConfigResource(r.resource_type, r.resource_name, [ConfigChange(c.name, c.value) for c in r.configs])
        for r in request.resources
    ]
    results = await alter(context, resources, is_incremental=False, validate_only=request.validate_only)
    return AlterConfigsResponse(
        responses=[
            AlterConfigsResourceResponse(
                error_code=r.error,
                error_message=r.message,
                resource_type=r.resource_type,
                resource_name=r.resource_name,
            )
            for r in results
        ]
    )
