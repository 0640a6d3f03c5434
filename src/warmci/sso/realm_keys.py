"""The keys that a realm signs and encrypts with, made by openssl while Keycloak is still asked other things.

Keycloak makes such keys itself where it is given none, one after the other, in half of the time that a realm takes it
(Keycloak 26.7, two busy cores, eight realms each in turn: median 0.47 s instead of 0.88 s, and 0.34 s where it need
not hash a password slowly).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from warmci.base import process
from warmci.base.errors import InfraError
from warmci.base.side_by_side import result

if TYPE_CHECKING:
    from concurrent.futures import Future

    from warmci.base.side_by_side import Beside

_TIMEOUT_S = 20.0
"""An interrupted run waits for it."""
_PEM = "-----BEGIN PRIVATE KEY-----"
_RSA = ("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048")
"""As large as Keycloak's own (org.keycloak.keys, DefaultKeyProviders)."""
THREADS = 2


@dataclass(frozen=True)
class RealmKeys:
    """Private keys in PEM; they never leave memory but for the request that makes the realm."""

    signing: SecretStr
    encrypting: SecretStr

    def texts(self) -> list[str]:
        """What of them is not to be told: their lines, however those are put together."""
        pems = (self.signing.get_secret_value(), self.encrypting.get_secret_value())
        return [line for pem in pems for line in pem.splitlines() if not line.startswith("-----")]

    def components(self) -> dict[str, Any]:
        """The key providers of a realm, of the kinds and algorithms of those that Keycloak 26 would make."""
        made = {
            "rsa": ("rsa", {"privateKey": self.signing.get_secret_value()}),
            "rsa-enc": ("rsa-enc", {"privateKey": self.encrypting.get_secret_value(), "algorithm": "RSA-OAEP"}),
            "hmac-generated-hs512": ("hmac-generated", {"algorithm": "HS512"}),
            "aes-generated": ("aes-generated", {}),
        }
        providers = [
            {
                "name": name,
                "providerId": kind,
                "subComponents": {},
                "config": {key: [value] for key, value in {"priority": "100", **config}.items()},
            }
            for name, (kind, config) in made.items()
        ]
        return {"org.keycloak.keys.KeyProvider": providers}


@dataclass(frozen=True)
class KeysUnderWay:
    _signing: Future[SecretStr]
    _encrypting: Future[SecretStr]

    def finish(self) -> RealmKeys:
        """Raises InfraError where openssl makes none."""
        return RealmKeys(result(self._signing), result(self._encrypting))


def begin(side: Beside) -> KeysUnderWay:
    """Have the keys of one realm made, in THREADS threads."""
    return KeysUnderWay(side.begin(_new_key), side.begin(_new_key))


def _new_key() -> SecretStr:
    done = process.run(["openssl", *_RSA], timeout_s=_TIMEOUT_S, check=False)
    if done.returncode or not done.stdout.startswith(_PEM):
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]  # what stands in stdout is secret, be it half
        raise InfraError(
            f"openssl made no key for the realm ({done.returncode}): {said}", hint="apt-get install openssl"
        )
    return SecretStr(done.stdout)
