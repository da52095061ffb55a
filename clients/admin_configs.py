"""Configs of topics and brokers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from clients.admin_base import AdminPart, raise_first
from clients.admin_types import BROKER, TOPIC, ConfigEntry, Resource
from protocol.codec import Message

SET, DELETE = 0, 1


class ConfigsPart(AdminPart):
    """Mixed into AsyncAdmin."""

    async def describe_topic_configs(self, topic: str) -> dict[str, ConfigEntry]:
        """Every config of a topic, with its source."""
        return (await self.describe_configs([Resource(TOPIC, topic)]))[Resource(TOPIC, topic)]

    async def describe_broker_configs(self, broker: int) -> dict[str, ConfigEntry]:
        """Every config of a broker, with its source."""
        return (await self.describe_configs([Resource(BROKER, str(broker))]))[Resource(BROKER, str(broker))]

    async def describe_configs(
        self, resources: Iterable[Resource], *, documentation: bool = False
    ) -> dict[Resource, dict[str, ConfigEntry]]:
        """A broker is asked itself about its own."""
        from protocol.k32_describe_configs import DescribeConfigsRequest, DescribeConfigsResource

        found: dict[Resource, dict[str, ConfigEntry]] = {}

        async def attempt() -> None:
            for resource in wanted:
                row = DescribeConfigsResource(
                    resource_type=resource.kind, resource_name=resource.name, configuration_keys=None
                )
                answer = await self._ask_about(
                    resource, DescribeConfigsRequest(resources=[row], include_documentation=documentation)
                )
                for result in answer.results:
                    raise_first([(result.error_code, result.error_message, resource.name)])
                    found[resource] = {
                        each.name: ConfigEntry(
                            each.name,
                            each.value,
                            each.config_source,
                            each.read_only,
                            each.is_sensitive,
                            each.documentation,
                        )
                        for each in result.configs
                    }

        wanted = [Resource(*resource) for resource in resources]
        await self._until_done(attempt, "describing configs")
        return found

    async def alter_topic_configs(self, topic: str, configs: Mapping[str, str | None]) -> None:
        """Set these; None goes back to the default."""
        await self.alter_configs({Resource(TOPIC, topic): configs})

    async def alter_broker_configs(self, broker: int | None, configs: Mapping[str, str | None]) -> None:
        """Of one broker, or (None) of all of them."""
        await self.alter_configs({Resource(BROKER, "" if broker is None else str(broker)): configs})

    async def alter_configs(
        self, changes: Mapping[Resource, Mapping[str, str | None]], *, validate_only: bool = False
    ) -> None:
        """Incrementally: what isn't named stays. Raises InvalidConfig."""
        from protocol.k44_incremental_alter_configs import (
            AlterableConfig,
            AlterConfigsResource,
            IncrementalAlterConfigsRequest,
        )

        async def attempt() -> None:
            for resource, configs in changes.items():
                row = AlterConfigsResource(
                    resource_type=resource.kind,
                    resource_name=resource.name,
                    configs=[
                        AlterableConfig(name=name, config_operation=DELETE if value is None else SET, value=value)
                        for name, value in configs.items()
                    ],
                )
                answer = await self._ask_about(
                    resource, IncrementalAlterConfigsRequest(resources=[row], validate_only=validate_only)
                )
                raise_first((each.error_code, each.error_message, resource.name) for each in answer.responses)

        await self._until_done(attempt, "altering configs")

    async def _ask_about(self, resource: Resource, request: Message) -> Any:
        if resource.kind == BROKER and resource.name:
            await self._brokers()
            return await self.cluster.ask(int(resource.name), request)
        return await self.cluster.ask_controller(request)
