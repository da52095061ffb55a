"""TLS and SASL for connections to clusters that ask for them (our own brokers don't), CURVE for ZeroMQ gateways."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from clients.configs import ClientConfig
from model.errors import ConfigError, kafka_error

if TYPE_CHECKING:
    from clients.connection import Connection
    from transport.curve import ClientKeys


class Security:
    """Raises ConfigError for certificates that can't be read, and for what are no keys."""

    def __init__(self, config: ClientConfig) -> None:
        protocol = config.get_str("security.protocol")
        self._is_sasl = protocol.startswith("SASL_")
        self._mechanism = config.get_str("sasl.mechanism")
        self._user, self._password = config.get_str("sasl.username"), config.get_str("sasl.password")
        if self._is_sasl and not self._user:
            raise ConfigError(f"sasl.username is missing: security.protocol={protocol} needs one")
        self._tls = _tls(config) if protocol.endswith("SSL") else None
        keys = config.get_str("zmq.curve.server.key"), config.get_str("zmq.curve.secret.key")
        self._curve = _curve(*keys) if any(keys) else None

    def tls(self) -> ssl.SSLContext | None:
        """None: plain text."""
        return self._tls

    def curve(self) -> ClientKeys | None:
        """None: plain text."""
        return self._curve

    async def authenticate(self, connection: Connection) -> None:
        """Prove who we are. Raises SaslAuthenticationFailed or UnsupportedSaslMechanism."""
        if not self._is_sasl:
            return
        from protocol.k17_sasl_handshake import SaslHandshakeRequest

        answer = await connection.request(SaslHandshakeRequest(mechanism=self._mechanism))
        if answer.error_code:
            raise kafka_error(answer.error_code, f"it offers {', '.join(answer.mechanisms)}")
        if self._mechanism == "PLAIN":
            await _exchange(connection, f"\0{self._user}\0{self._password}".encode())
            return
        from clients.scram import Scram

        scram = Scram(self._mechanism, self._user, self._password)
        challenge = await _exchange(connection, scram.first())
        scram.verify(await _exchange(connection, scram.final(challenge)))


async def _exchange(connection: Connection, token: bytes) -> bytes:
    from protocol.k36_sasl_authenticate import SaslAuthenticateRequest

    answer = await connection.request(SaslAuthenticateRequest(auth_bytes=token))
    if answer.error_code:
        raise kafka_error(answer.error_code, answer.error_message or "")
    return bytes(answer.auth_bytes)


def _curve(server: str, secret: str) -> ClientKeys | None:
    from transport.curve import client_keys

    return client_keys(server, secret)


def _tls(config: ClientConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=config.get_str("ssl.ca.location") or None)
        if config.get_str("ssl.certificate.location"):
            context.load_cert_chain(
                config.get_str("ssl.certificate.location"), config.get_str("ssl.key.location") or None
            )
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the certificates of ssl.*.location can't be read ({error})") from error
    if config.get_str("ssl.endpoint.identification.algorithm") != "https":
        context.check_hostname = False
    return context
