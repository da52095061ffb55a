"""SCRAM, with the example of RFC 7677."""

import pytest

from clients.scram import Scram
from model.coordinator_errors import SaslAuthenticationFailed

NONCE = "rOprNGfwEbeRWgbNEkqO"
CHALLENGE = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"


def a_login(monkeypatch, password="pencil"):
    monkeypatch.setattr("base64.b64encode", _Nonce())
    scram = Scram("SCRAM-SHA-256", "user", password)
    monkeypatch.undo()
    return scram


class _Nonce:
    """Random no more."""

    def __call__(self, _random):
        return NONCE.encode()


def test_the_proof_is_the_rfcs(monkeypatch):
    scram = a_login(monkeypatch)
    assert scram.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert scram.final(CHALLENGE) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    scram.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def test_a_broker_that_does_not_know_the_password_is_found_out(monkeypatch):
    scram = a_login(monkeypatch)
    scram.final(CHALLENGE)
    with pytest.raises(SaslAuthenticationFailed, match="could not prove"):
        scram.verify(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize("challenge", [b"r=somebody else's,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", b"r=" + NONCE.encode()])
def test_a_challenge_for_somebody_else_is_refused(monkeypatch, challenge):
    with pytest.raises(SaslAuthenticationFailed, match="makes no sense"):
        a_login(monkeypatch).final(challenge)


def test_names_with_commas_are_escaped():
    assert Scram("SCRAM-SHA-512", "a,b=c", "x").first().startswith(b"n,,n=a=2Cb=3Dc,r=")
