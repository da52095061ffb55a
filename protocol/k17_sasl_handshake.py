"""17 SaslHandshake, v0-1.

Agrees on a SASL mechanism.
"""

from __future__ import annotations

from protocol.codec import Int16, Message, String, field


class SaslHandshakeRequest(Message, key=17, versions="0-1"):
    mechanism: String = field("0+")


class SaslHandshakeResponse(Message, key=17, versions="0-1"):
    error_code: Int16 = field("0+")
    mechanisms: list[String] = field("0+")
