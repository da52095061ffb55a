"""SCRAM (RFC 5802) from the client's side: proves the password without sending it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

from model.coordinator_errors import SaslAuthenticationFailed


class Scram:
    """One login: `first`, then `final` with the broker's challenge, then `verify` its last word."""

    def __init__(self, mechanism: str, user: str, password: str) -> None:
        self._hash = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}[mechanism]
        self._password = password.encode()
        self._nonce = base64.b64encode(os.urandom(24)).decode()
        self._bare = f"n={user.replace('=', '=3D').replace(',', '=2C')},r={self._nonce}"
        self._signature = b""

    def first(self) -> bytes:
        return f"n,,{self._bare}".encode()

    def final(self, challenge: bytes) -> bytes:
        """Raises SaslAuthenticationFailed when the challenge isn't for us."""
        text = challenge.decode()
        parts = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
        if not parts.get("r", "").startswith(self._nonce) or "s" not in parts or "i" not in parts:
            raise SaslAuthenticationFailed("the broker's challenge makes no sense")
        salted = hashlib.pbkdf2_hmac(self._hash, self._password, base64.b64decode(parts["s"]), int(parts["i"]))
        without_proof = f"c=biws,r={parts['r']}"
        message = f"{self._bare},{text},{without_proof}".encode()
        client_key = self._mac(salted, b"Client Key")
        proof = bytes(
            a ^ b
            for a, b in zip(client_key, self._mac(hashlib.new(self._hash, client_key).digest(), message), strict=True)
        )
        self._signature = self._mac(self._mac(salted, b"Server Key"), message)
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, last: bytes) -> None:
        """Raises SaslAuthenticationFailed when the broker doesn't know the password itself."""
        if not hmac.compare_digest(last, b"v=" + base64.b64encode(self._signature)):
            raise SaslAuthenticationFailed("the broker could not prove that it knows the password")

    def _mac(self, key: bytes, message: bytes) -> bytes:
        return hmac.new(key, message, self._hash).digest()
