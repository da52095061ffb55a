"""50 DescribeUserScramCredentials, v0.

Lists users that have SCRAM credentials, never the secrets.
"""

from __future__ import annotations

from protocol.codec import Int8, Int16, Int32, Message, String, Struct, field


class DescribeUserScramCredentialsRequest(Message, key=50, versions="0", flexible="0+"):
    users: list[UserName] | None = field("0+", nullable="0+")


class UserName(Struct):
    name: String = field("0+")


class DescribeUserScramCredentialsResponse(Message, key=50, versions="0", flexible="0+"):
    throttle_time_ms: Int32 = field("0+")
    error_code: Int16 = field("0+")
    error_message: String | None = field("0+", nullable="0+")
    results: list[DescribeUserScramCredentialsResult] = field("0+")


class DescribeUserScramCredentialsResult(Struct):
    user: String = field("0+")
    error_code: Int16 = field("0+")
    error_message: String | None = field("0+", nullable="0+")
    credential_infos: list[CredentialInfo] = field("0+")


class CredentialInfo(Struct):
    mechanism: Int8 = field("0+")
    iterations: Int32 = field("0+")
