"""AlterConfigs and IncrementalAlterConfigs for topics, brokers and groups.

What is set is checked whole, with the change made, so that no accepted change leaves a resource whose configs
contradict each other; a resource that is refused keeps all its old configs.
"""

from __future__ import annotations

from machines.controller_elections import settle_leaderless
from machines.controller_state import ControllerState
from model.config_key import ConfigKey
from model.configs import BROKER_CONFIGS, TOPIC_CONFIGS, validate_topic_configs
from model.errors import ConfigError, InvalidConfig, InvalidRequest, KafkaError, UnknownTopicOrPartition
from model.group_configs import GROUP_CONFIGS, validate_group_configs
from protocol.cluster_admin import (
    APPEND,
    DELETE,
    SET,
    SUBTRACT,
    AlterConfigs,
    AlterConfigsReply,
    ConfigChange,
    ConfigResource,
    ConfigResult,
)
from protocol.metadata_records import BROKER_RESOURCE, GROUP_RESOURCE, TOPIC_RESOURCE, ConfigRecord


def alter_configs(state: ControllerState, request: AlterConfigs) -> AlterConfigsReply:
    results: list[ConfigResult] = []
    for resource in request.resources:
        try:
            old, new = _plan(state, resource, request.is_incremental)
            if not request.validate_only:
                _record_difference(state, resource, old, new)
            results.append(ConfigResult(resource.resource_type, resource.resource_name))
        except KafkaError as refusal:
            code, message = int(refusal.code), refusal.message
            results.append(ConfigResult(resource.resource_type, resource.resource_name, code, message))
    if state.batch:
        state.refresh_config()
        settle_leaderless(state)
    return AlterConfigsReply(request.correlation_id, results)


def _plan(
    state: ControllerState, resource: ConfigResource, is_incremental: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """The configs before and after, the latter checked."""
    names = [change.name for change in resource.changes]
    if len(set(names)) < len(names):
        raise InvalidRequest("a config appears more than once")
    if resource.resource_type == TOPIC_RESOURCE:
        return _plan_topic(state, resource, is_incremental)
    if resource.resource_type == BROKER_RESOURCE:
        return _plan_broker(state, resource, is_incremental)
    if resource.resource_type == GROUP_RESOURCE:
        return _plan_group(state, resource, is_incremental)
    raise InvalidRequest(f"resources of type {resource.resource_type} have no configs that can be altered")


def _plan_topic(
    state: ControllerState, resource: ConfigResource, is_incremental: bool
) -> tuple[dict[str, str], dict[str, str]]:
    topic = state.image.topics.get(resource.resource_name)
    if topic is None:
        raise UnknownTopicOrPartition(f"there is no topic {resource.resource_name}")
    new = _changed(topic.configs, resource.changes, is_incremental, TOPIC_CONFIGS)
    validate_topic_configs(new)
    return topic.configs, new


def _plan_broker(
    state: ControllerState, resource: ConfigResource, is_incremental: bool
) -> tuple[dict[str, str], dict[str, str]]:
    name = resource.resource_name
    if name and not name.isdecimal():
        raise InvalidRequest(f"{name!r} is no broker id")
    old = state.image.broker_configs.get(name, {})
    for change in resource.changes:
        key = BROKER_CONFIGS.get(change.name)
        if key is not None and not key.dynamic:
            raise InvalidRequest(f"{change.name} can't be changed while the broker runs")
        if key is not None and key.update_mode == "per-broker" and not name:
            raise InvalidRequest(f"{change.name} can't be set for all brokers at once")
    new = _changed(old, resource.changes, is_incremental, BROKER_CONFIGS)
    try:
        state.static_config.with_overrides({**state.image.broker_configs.get("", {}), **new})
    except ConfigError as reason:
        raise InvalidConfig(str(reason)) from None
    return old, new


def _plan_group(
    state: ControllerState, resource: ConfigResource, is_incremental: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """The group need not exist: it may be told how to be before its first member comes."""
    if not resource.resource_name:
        raise InvalidRequest("a group's configs need the group's name")
    old = state.image.group_configs.get(resource.resource_name, {})
    new = _changed(old, resource.changes, is_incremental, GROUP_CONFIGS)
    validate_group_configs(new, state.config)
    return old, new


def _changed(
    old: dict[str, str], changes: list[ConfigChange], is_incremental: bool, keys: dict[str, ConfigKey]
) -> dict[str, str]:
    new = dict(old) if is_incremental else {}
    for change in changes:
        operation = change.operation if is_incremental else SET
        if operation == DELETE:
            new.pop(change.name, None)
        elif change.value is None:
            raise InvalidConfig(f"{change.name}: a value is missing")
        elif operation == SET:
            new[change.name] = change.value
        elif operation in (APPEND, SUBTRACT):
            new[change.name] = _edited_list(new, change.name, change.value, operation, keys)
        else:
            raise InvalidRequest(f"there is no operation {operation}")
    return new


def _edited_list(configs: dict[str, str], name: str, value: str, operation: int, keys: dict[str, ConfigKey]) -> str:
    key = keys.get(name)
    if key is None or key.type != "list":
        raise InvalidConfig(f"{name} is no list: it can't be appended to or subtracted from")
    text = configs.get(name, key.default) or ""
    entries = [entry.strip() for entry in text.split(",") if entry.strip()]
    given = [entry.strip() for entry in value.split(",") if entry.strip()]
    if operation == APPEND:
        entries += [entry for entry in given if entry not in entries]
    else:
        entries = [entry for entry in entries if entry not in given]
    return ",".join(entries)


def _record_difference(
    state: ControllerState, resource: ConfigResource, old: dict[str, str], new: dict[str, str]
) -> None:
    gone = [(name, None) for name in old if name not in new]
    set_anew = [(name, value) for name, value in new.items() if old.get(name) != value]
    for name, value in (*gone, *set_anew):
        state.record(ConfigRecord(resource.resource_type, resource.resource_name, name, value))
