"""44 IncrementalAlterConfigs, v0-1.

Sets, deletes, appends to or subtracts from single configs (KIP-339).
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.alter_configs import alter
from protocol.cluster_admin import ConfigChange, ConfigResource
from protocol.k44_incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


async def handle(context: RequestContext, request: IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse:
    """Ask the controller."""
    resources = [
        ConfigResource(
            r.resource_type,
            r.resource_name,
            [ConfigChange(c.name, c.value, c.config_operation) for c in r.configs],
        )
        for r in request.resources
    ]
    results = await alter(context, resources, is_incremental=True, validate_only=request.validate_only)
    return IncrementalAlterConfigsResponse(
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
