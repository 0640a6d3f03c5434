"""Keycloak's admin REST interface: its login, its short-lived token, and which answers deserve another try."""

from __future__ import annotations

import random
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import httpx
from pydantic import ConfigDict, SecretStr, field_validator, model_validator

from warmci.base.errors import InfraError, UsageError
from warmci.base.models import Record
from warmci.base.names import realm_name
from warmci.base.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

ADMIN_SECRET = "admin_password"  # noqa: S105  (the secret's name in the keycloak recipe)
TRANSIENT = frozenset({500, 502, 503, 504})
_RENEW_BEFORE_S = 10.0
"""A token of the master realm lives 60 s."""
_PAUSES_S = (0.0, 0.5, 1.0, 2.0, 4.0)
_OPERATION_DEADLINE_S = 240.0
_POLL_S = 2.0
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
"""Creating a realm took up to 14 s on a busy server."""
_HEALTH_TIMEOUT = httpx.Timeout(10.0, connect=5.0)
_MOST_SAID = 200
_MISNAMED = ": its hostname is set otherwise"
_MISNAMED_S = 15.0
_NO_URL = "not a plain http(s) URL"
_HOST = re.compile(r"[A-Za-z0-9.:-]+")
_LOGIN_HINT = "warmci keycloak bootstrap makes the service account anew"
_ADMIN_HINT = "name the administrator as he is now: warmci keycloak bootstrap --username NAME --password-file FILE"


class KeycloakAccess(Record):
    """Where a Keycloak is and how to log in: an administrator, or a service account (client_id) of the master realm."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: str
    username: str = ""
    password: SecretStr = SecretStr("")
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")

    @field_validator("url")
    @classmethod
    def _plain_url(cls, value: str) -> str:
        try:
            url = httpx.URL(value)
        except httpx.InvalidURL:
            raise ValueError(_NO_URL) from None
        odd = url.userinfo or url.query or url.fragment or not _HOST.fullmatch(url.host) or " " in value
        if url.scheme not in ("http", "https") or odd:
            raise ValueError(_NO_URL)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if bool(self.username) == bool(self.client_id):
            raise ValueError("give username and password, or client_id and client_secret")
        return self

    @property
    def login(self) -> str:
        return self.username or f"client {self.client_id}"

    def form(self) -> dict[str, str]:
        if self.client_id:
            secret = self.client_secret.get_secret_value()
            return {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": secret}
        password = self.password.get_secret_value()
        return {"grant_type": "password", "client_id": "admin-cli", "username": self.username, "password": password}


@dataclass(frozen=True)
class Answer:
    """What became of one request. Status 0: no answer; `text` then says why."""

    status: int
    text: str
    body: Any = field(default=None, repr=False)
    reached: bool = True
    """Whether the request may have got to Keycloak."""

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.text}" if self.status else self.text

    @property
    def is_transient(self) -> bool:
        """No answer, or one that says nothing about whether the request took effect."""
        return self.status == 0 or self.status in TRANSIENT

    @property
    def may_take_effect(self) -> bool:
        """Nobody said whether the request was carried out, and it may still be. (503: there is no Keycloak yet.)"""
        return self.reached and self.is_transient and self.status != 503

    @property
    def is_database_clash(self) -> bool:
        """Keycloak shows deadlocks of its database as 400 (keycloak#25993)."""
        text = self.text.lower()
        return self.status == 400 and ("database operation failed" in text or "deadlock" in text)


def attempts() -> Iterator[int]:
    """Paced tries 0 to 4: at once, then after 0.5, 1, 2 and 4 s and jitter; none begins after four minutes."""
    began = time.monotonic()
    for number, pause in enumerate(_PAUSES_S):
        if number and time.monotonic() - began > _OPERATION_DEADLINE_S:
            return
        time.sleep(pause * random.uniform(1.0, 1.25))  # noqa: S311  (jitter, not a secret)
        yield number


def polls(for_s: float) -> Iterator[None]:
    """At once, then every two seconds; none begins after for_s seconds."""
    began = time.monotonic()
    while time.monotonic() - began <= for_s:
        yield
        time.sleep(_POLL_S)


class Keycloak:
    """One Keycloak, spoken to as `access` says. Token and admin requests use one URL: tokens name their issuer."""

    def __init__(self, access: KeycloakAccess, client: httpx.Client, protected: Collection[str] = ()) -> None:
        self.url = access.url
        self.protected = frozenset(protected)
        self.redact = Redactor()
        self.redact.add(access.password.get_secret_value(), access.client_secret.get_secret_value())
        self._access = access
        self._client = client
        self._token = ""
        self._token_ends = 0.0

    def refuse_protected(self, name: str) -> None:
        """Raise UsageError for a realm that the operator's settings keep from us; `master` is no valid name at all."""
        if name in self.protected:
            raise UsageError(f"realm {name} is protected", hint="see protected_realms in the settings")

    def forget_token(self) -> None:
        """After a create: rights on the new realm are only in a newer token."""
        self._token = ""

    def new_token(self) -> str:
        """A token fetched now. Raises InfraError when Keycloak refuses the login."""
        self.forget_token()
        return self._valid_token()

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """Send one admin request and return whatever came back; only logging in raises (InfraError).

        401 (nothing was done) and 403 (the token may be older than a realm) are asked again once with a new token.
        """
        answer = self._ask_once(method, path, body)
        if answer.status in (401, 403):
            self.forget_token()
            answer = self._ask_once(method, path, body)
        return answer

    def get(self, path: str) -> Answer:
        """GET until there is an answer that says something. Raises InfraError with the last state."""
        answer = Answer(0, "not asked")
        for _ in attempts():
            answer = self.ask("GET", path)
            if not answer.is_transient:
                return answer
        raise InfraError(f"Keycloak at {self.url} does not answer GET {path}; last: {answer}", hint="warmci doctor")

    def _ask_once(self, method: str, path: str, body: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self._valid_token()}"}
        return self._send(method, path, headers=headers, json=body)

    def _valid_token(self) -> str:
        if self._token and self._token_ends - time.monotonic() >= _RENEW_BEFORE_S:
            return self._token
        answer = Answer(0, "not asked")
        for _ in attempts():
            began = time.monotonic()
            form = self._access.form()
            answer = self._send("POST", "/realms/master/protocol/openid-connect/token", data=form)
            if not answer.is_transient:
                return self._accept_token(answer, began)
        raise InfraError(f"Keycloak at {self.url} is not reachable; last: {answer}", hint="warmci doctor")

    def _accept_token(self, answer: Answer, began: float) -> str:
        if answer.status in (400, 401):
            raise InfraError(
                f"Keycloak at {self.url} refuses the login of {self._access.login}: {answer.text}",
                hint=_LOGIN_HINT if self._access.client_id else _ADMIN_HINT,
            )
        try:
            self._token = str(answer.body["access_token"])
            self._token_ends = began + float(answer.body["expires_in"])
        except (KeyError, TypeError, ValueError):
            raise InfraError(f"no Keycloak at {self.url}: its login answers {answer}", hint="warmci doctor") from None
        return self._token

    def _send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        data: Mapping[str, str] | None = None,
    ) -> Answer:
        try:
            response = self._client.request(
                method, f"{self.url}{path}", headers=headers, json=json, data=data, timeout=_TIMEOUT
            )
        except httpx.RequestError as error:
            # The error holds the request, secrets included: only its words leave here.
            said = self.redact(f"{type(error).__name__}: {error}".removesuffix(": "))
            return Answer(0, said, reached=not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)))
        return self._read(response)

    def _read(self, response: httpx.Response) -> Answer:
        try:
            body = response.json() if response.content else None
        except ValueError:
            body = None
        if response.status_code == 404 and not (isinstance(body, dict) and "error" in body):
            return Answer(0, "HTTP 404 from something in front of Keycloak", reached=False)
        said = self.redact(_said(response, body))[:_MOST_SAID]
        return Answer(response.status_code, said or response.reason_phrase, body)


def _said(response: httpx.Response, body: Any) -> str:
    if isinstance(body, dict):
        found = [body.get(key) for key in ("error_description", "errorMessage", "error")]
        said = next((str(text) for text in found if text), "")
    else:
        said = "" if body is not None or response.is_success else response.text
    return " ".join(said.split())


def realm_path(name: str) -> str:
    """Checked first: Keycloak would take `..` for a name, and the path /admin/realms/.. is another one."""
    return f"/admin/realms/{realm_name(name)}"


def unhealthy_reason(client: httpx.Client, url: str) -> str | None:
    """Why the Keycloak at url cannot serve; None when its master realm answers under that very URL.

    Not its port alone: it listens, and answers 503, before it has made its master realm.
    """
    base, issuer = url.rstrip("/"), ""
    for path in ("/realms/master", "/realms/master/.well-known/openid-configuration"):
        try:
            response = client.get(f"{base}{path}", timeout=_HEALTH_TIMEOUT)
        except httpx.RequestError as error:
            return f"{base} does not answer: {type(error).__name__}: {error}"
        if response.status_code != 200:
            return f"{base}{path} answers HTTP {response.status_code}"
        issuer = _issuer(response)
    if not issuer:
        return f"{base} is no Keycloak: its discovery document names no issuer"
    return None if issuer == f"{base}/realms/master" else f"{base} calls itself {issuer}{_MISNAMED}"


def _issuer(response: httpx.Response) -> str:
    try:
        return str(response.json()["issuer"])
    except (ValueError, KeyError, TypeError):
        return ""


def check_health(client: httpx.Client, url: str) -> None:
    """Raise InfraError unless the Keycloak at url serves (see unhealthy_reason)."""
    reason = unhealthy_reason(client, url)
    if reason is not None:
        raise InfraError(f"Keycloak is not healthy: {reason}", hint=_hint(reason))


def wait_healthy(client: httpx.Client, url: str, *, deadline_s: float) -> None:
    """Return when Keycloak serves at url. Raises InfraError with the last state after deadline_s seconds.

    One that serves under another name keeps it: that is told as soon as no task of before can be who says it.
    """
    began = serves_since = time.monotonic()
    while (reason := unhealthy_reason(client, url)) is not None:
        now = time.monotonic()
        serves_since = serves_since if reason.endswith(_MISNAMED) else now
        if now - began > deadline_s or now - serves_since > _MISNAMED_S:
            raise InfraError(f"Keycloak is not healthy after {now - began:.0f} s: {reason}", hint=_hint(reason))
        time.sleep(0.25)


def _hint(reason: str) -> str:
    return "its recipe.toml says what its hostname is: docs/sso.md" if reason.endswith(_MISNAMED) else "warmci doctor"
