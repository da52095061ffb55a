"""What keys 33 and 44 share: one question to the controller, one answer per resource."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from actors.api.errors import ask_controller
from model.errors import ErrorCode
from protocol.cluster_admin import AlterConfigs, ConfigResource, ConfigResult

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


async def alter(
    context: RequestContext, resources: Sequence[ConfigResource], *, is_incremental: bool, validate_only: bool
) -> list[ConfigResult]:
    """The controller's results, in the order asked."""
    error, reply = await ask_controller(
        context, lambda number: AlterConfigs(number, list(resources), is_incremental, validate_only)
    )
    if reply is None:
        return [ConfigResult(r.resource_type, r.resource_name, error) for r in resources]
    found = {(r.resource_type, r.resource_name): r for r in reply.resources}
    return [
        found.get(
            (r.resource_type, r.resource_name),
            ConfigResult(r.resource_type, r.resource_name, ErrorCode.UNKNOWN_SERVER_ERROR),
        )
        for r in resources
    ]
