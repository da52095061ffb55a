"""18 ApiVersions, v0-5.

Which keys and versions this broker speaks, from the list of handlers.
- A version that we don't know is answered in v0 with UNSUPPORTED_VERSION (in `dispatch`, KIP-511).
- v5: the client may say which cluster and node it expects (KIP-1242).
Left out: nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from model.errors import ErrorCode
from protocol.api_keys import API_KEYS
from protocol.k18_api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext
    from actors.broker import Broker

_SOFTWARE = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?")
ADVERTISED_MIN = {0: 0}
"""Produce is advertised from 0 although 3 is the least that is served: see KAFKA-18659 and librdkafka's compression."""

FEATURES = {"group.version": 1, "transaction.version": 2}
"""Feature → the level that is finalized, which is also the highest we know (KIP-584)."""


def handle(context: RequestContext, request: ApiVersionsRequest) -> ApiVersionsResponse:
    """The list; or INVALID_REQUEST for a client that names itself strangely (KIP-511)."""
    response = describe(context.broker, context.api_version)
    names_itself = context.api_version >= 3
    if names_itself and not (
        _SOFTWARE.fullmatch(request.client_software_name) and _SOFTWARE.fullmatch(request.client_software_version)
    ):
        response.error_code = ErrorCode.INVALID_REQUEST
    elif names_itself:
        context.connection.software = request.client_software_name
    return response


def describe(broker: Broker, version: int) -> ApiVersionsResponse:
    """What is served, for any version of the answer. Clients of v3 can't read a feature whose least level is 0."""
    from actors.api.dispatch import HANDLERS

    return ApiVersionsResponse(
        api_keys=[
            ApiVersion(
                api_key=key,
                min_version=ADVERTISED_MIN.get(key, API_KEYS[key].min_version),
                max_version=API_KEYS[key].max_version,
            )
            for key in HANDLERS
        ],
        supported_features=[
            SupportedFeatureKey(name=name, min_version=0 if version >= 4 else 1, max_version=level)
            for name, level in FEATURES.items()
        ],
        finalized_features_epoch=max(broker.image.version, 0),
        finalized_features=[
            FinalizedFeatureKey(name=name, min_version_level=level, max_version_level=level)
            for name, level in FEATURES.items()
        ],
    )
