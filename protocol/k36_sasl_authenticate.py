"""36 SaslAuthenticate, v0-2.

Carries the tokens of a SASL exchange.
"""

from __future__ import annotations

from protocol.codec import Bytes, Int16, Int64, Message, String, field


class SaslAuthenticateRequest(Message, key=36, versions="0-2", flexible="2+"):
    auth_bytes: Bytes = field("0+")


class SaslAuthenticateResponse(Message, key=36, versions="0-2", flexible="2+"):
    error_code: Int16 = field("0+")
    error_message: String | None = field("0+", nullable="0+")
    auth_bytes: Bytes = field("0+")
    session_lifetime_ms: Int64 = field("1+", ignorable=True)
