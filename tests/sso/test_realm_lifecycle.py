"""Every row of Keycloak's answers and of the retry policy, without a Keycloak."""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from warmci.base import http, names
from warmci.base.errors import InfraError, UsageError
from warmci.sso import admin_rest, realm_keys, realm_lifecycle, realm_spec
from warmci.sso import admin_rest as keycloak

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "http://warm-keycloak.warmci.localhost:20000"
TOKEN = "/realms/master/protocol/openid-connect/token"
NAME = "ci-miniflux-12-abcdef12-0123abcd"
CANARY = "canary"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
CLASH = httpx.Response(400, json={"errorMessage": "Database operation failed"})


class Clock:
    """Time that passes only by sleeping and by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        if seconds:
            self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(keycloak, "time", clock)
    return clock


@pytest.fixture
def server(clock: Clock) -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=URL, assert_all_called=False) as router:
        router.post(TOKEN, name="token").mock(side_effect=[token(f"t{n}") for n in range(40)])
        yield router


def token(value: str = "t", life_s: int = 60) -> httpx.Response:
    return httpx.Response(200, json={"access_token": value, "expires_in": life_s})


@pytest.fixture
def access() -> admin_rest.KeycloakAccess:
    return admin_rest.KeycloakAccess(url=f"{URL}/", username="admin", password=SecretStr(f"admin-{CANARY}"))


@pytest.fixture
def subject(access: admin_rest.KeycloakAccess) -> Iterator[admin_rest.Keycloak]:
    with http.client(base_domain="warmci.localhost", address="127.0.0.1") as client:
        yield admin_rest.Keycloak(access, client)


def spec(**more: Any) -> realm_spec.RealmSpec:
    user = realm_spec.RealmUser(
        username="alice",
        password=SecretStr(f"user-{CANARY}"),
        email="alice@example.org",
        first_name="Alice",
        last_name="Example",
        roles=("tester",),
    )
    facts: dict[str, Any] = {
        "name": NAME,
        "run": "20261124T120000Z-abcdef",
        "owner": "0123456789ab",
        "host": "ci-host-1",
        "client_id": "app",
        "client_secret": SecretStr(f"client-{CANARY}"),
        "redirect_uris": ("https://app.example.org/*",),
        "users": (user,),
        "roles": ("tester",),
    }
    return realm_spec.RealmSpec(**{**facts, **more})


def held_by(run: str) -> httpx.Response:
    return httpx.Response(200, json={"realm": NAME, "attributes": {"warmci.run": run, "warmci.owner": "0123456789ab"}})


OURS = held_by("20261124T120000Z-abcdef")
GONE = httpx.Response(404, json={"error": "Realm not found."})


def answers(router: respx.MockRouter, method: str, path: str, *responses: httpx.Response | Exception) -> respx.Route:
    """One answer after the other; one more request than answers fails the test."""
    return router.request(method, path).mock(side_effect=list(responses))


def create(subject: admin_rest.Keycloak, **more: Any) -> list[str]:
    announced: list[str] = []
    realm_lifecycle.create_keycloak_realm(subject, spec(**more), announce=announced.append)
    return announced


def error(status: int, said: str = "unknown_error") -> httpx.Response:
    return httpx.Response(status, json={"error": said})


# --- the one request


def test_create_is_one_request_announced_before_it_is_sent(
    server: respx.MockRouter, subject: admin_rest.Keycloak
) -> None:
    announced: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert announced == [NAME]
        assert request.headers["authorization"] == "Bearer t0"
        return httpx.Response(201)

    route = server.post("/admin/realms").mock(side_effect=answer)
    realm_lifecycle.create_keycloak_realm(subject, spec(), announce=announced.append)
    assert route.call_count == 1
    body = json.loads(route.calls[0].request.content)
    assert (body["realm"], body["enabled"]) == (NAME, True)
    assert body["attributes"].keys() == {f"warmci.{name}" for name in ("run", "owner", "host", "created", "ttl_s")}
    (client,) = body["clients"]
    assert (client["publicClient"], client["standardFlowEnabled"], client["directAccessGrantsEnabled"]) == (
        False,
        True,
        True,
    )
    assert "basic" not in client["defaultClientScopes"]
    mappers = {mapper["protocolMapper"]: mapper["config"] for mapper in client["protocolMappers"]}
    assert mappers["oidc-usermodel-property-mapper"]["claim.name"] == "sub"
    assert mappers["oidc-audience-mapper"]["included.client.audience"] == "app"
    (user,) = body["users"]
    assert user["emailVerified"]
    assert user["realmRoles"] == [f"default-roles-{NAME}", "tester"]
    assert user["credentials"] == [{"type": "password", "value": f"user-{CANARY}", "temporary": False}]


KEYS = realm_keys.RealmKeys(
    SecretStr("-----BEGIN PRIVATE KEY-----\nsigning-canary\nsigning-end\n-----END PRIVATE KEY-----\n"),
    SecretStr("-----BEGIN PRIVATE KEY-----\nencrypting-canary\n-----END PRIVATE KEY-----\n"),
)


def test_passwords_are_hashed_fast_and_given_keys_are_sent(
    server: respx.MockRouter, subject: admin_rest.Keycloak
) -> None:
    route = server.post("/admin/realms").respond(201)
    create(subject)
    body = json.loads(route.calls[-1].request.content)
    assert body["passwordPolicy"] == "hashAlgorithm(pbkdf2-sha256) and hashIterations(1)"
    assert "components" not in body
    realm_lifecycle.create_keycloak_realm(subject, spec(), keys=KEYS, announce=lambda _: None)
    body = json.loads(route.calls[-1].request.content)
    assert body["components"] == KEYS.components()
    private = [each["config"].get("privateKey") for each in body["components"]["org.keycloak.keys.KeyProvider"]]
    assert private[:2] == [[KEYS.signing.get_secret_value()], [KEYS.encrypting.get_secret_value()]]


@pytest.mark.parametrize("before", [0, 150, 180, 190])
def test_an_answer_that_quotes_a_key_is_masked(
    server: respx.MockRouter, subject: admin_rest.Keycloak, before: int
) -> None:
    said = "x" * before + json.dumps(KEYS.components())
    server.post("/admin/realms").respond(400, json={"errorMessage": said})
    with pytest.raises(InfraError) as caught:
        realm_lifecycle.create_keycloak_realm(subject, spec(), keys=KEYS, announce=lambda _: None)
    assert "signing-" not in caught.value.message
    assert "canary" not in caught.value.message


def test_pkce_is_only_demanded_when_asked_for(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    route = server.post("/admin/realms").respond(201)
    for wanted in (False, True):
        create(subject, require_pkce=wanted)
        (client,) = json.loads(route.calls[-1].request.content)["clients"]
        assert ("pkce.code.challenge.method" in client["attributes"]) is wanted


def test_nothing_is_sent_when_the_journal_fails(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    def full(_: str) -> None:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        realm_lifecycle.create_keycloak_realm(subject, spec(), announce=full)
    assert not server.calls


def test_the_token_is_thrown_away_after_a_create(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    server.post("/admin/realms").respond(201)
    deletion = server.delete(f"/admin/realms/{NAME}").respond(204)
    create(subject)
    realm_lifecycle.delete_keycloak_realm(subject, NAME)
    assert deletion.calls[0].request.headers["authorization"] == "Bearer t1"


@pytest.mark.parametrize(
    ("posts", "looks"),
    [
        pytest.param([error(409)], [OURS], id="409 by our own lost request"),
        pytest.param([error(500)], [OURS], id="500 yet made"),
        pytest.param([error(502), httpx.Response(201)], [GONE], id="502 not made"),
        pytest.param([error(503), error(504), httpx.Response(201)], [GONE, GONE], id="503 and 504"),
        pytest.param([httpx.ReadTimeout("slow")], [OURS], id="timeout yet made"),
        pytest.param([httpx.ReadTimeout("slow"), error(409)], [GONE, OURS], id="timeout, made meanwhile"),
        pytest.param([httpx.ReadTimeout("slow"), error(409), error(409)], [GONE, GONE, OURS], id="made very late"),
        pytest.param([httpx.ReadTimeout("slow"), CLASH, CLASH], [GONE, GONE, OURS], id="clashes with our own slow one"),
        pytest.param(
            [httpx.ReadTimeout("slow"), CLASH, error(409)], [GONE, error(403), error(403), OURS], id="half made by us"
        ),
        pytest.param([httpx.ConnectError("refused"), httpx.Response(201)], [GONE], id="restarting"),
        pytest.param([httpx.RemoteProtocolError("disconnected")], [OURS], id="connection lost"),
        pytest.param([error(500), error(409)], [error(500), GONE, OURS], id="look fails once"),
        pytest.param([CLASH, httpx.Response(201)], [], id="deadlock shown as 400"),
        pytest.param([error(401), httpx.Response(201)], [], id="token expired"),
        pytest.param([error(403), httpx.Response(201)], [], id="token too old"),
        pytest.param(
            [httpx.Response(404, text="404 page not found"), httpx.Response(201)], [GONE], id="proxy's own 404"
        ),
    ],
)
def test_doubtful_creates_are_settled(
    server: respx.MockRouter,
    subject: admin_rest.Keycloak,
    posts: list[httpx.Response],
    looks: list[httpx.Response],
) -> None:
    post = answers(server, "POST", "/admin/realms", *posts)
    look = answers(server, "GET", f"/admin/realms/{NAME}", *looks)
    assert create(subject) == [NAME]
    assert (post.call_count, look.call_count) == (len(posts), len(looks))


LOAD, ROLE, TOML = "overloaded or failing: retry the run", "role create-realm", "recipe.toml asks for"


@pytest.mark.parametrize(
    ("posts", "hint"),
    [
        ([CLASH, CLASH], LOAD),
        ([error(500)] * 5, LOAD),
        ([error(403), error(403)], ROLE),
        ([error(409, "Duplicate resource error")], TOML),
        ([error(400, "Unrecognized field")], TOML),
        ([httpx.Response(415)], "Keycloak's own log"),
    ],
)
def test_a_refusal_has_the_hint_that_helps(
    server: respx.MockRouter, subject: admin_rest.Keycloak, posts: list[httpx.Response], hint: str
) -> None:
    answers(server, "POST", "/admin/realms", *posts)
    server.get(f"/admin/realms/{NAME}").mock(return_value=GONE)
    with pytest.raises(InfraError) as caught:
        create(subject)
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("posts", "looks", "unsettled"),
    [
        ([httpx.ReadTimeout("slow")] * 5, [GONE] * 5, True),
        ([httpx.ReadTimeout("slow"), error(400, "no")], [GONE], True),
        ([httpx.ReadTimeout("slow")], [error(500)] * 5, True),
        ([error(502)] * 5, [GONE] * 5, True),
        ([httpx.ConnectError("refused")] * 5, [GONE] * 5, False),
        ([error(503)] * 5, [GONE] * 5, False),
        ([error(400, "no")], [], False),
    ],
)
def test_a_realm_that_may_still_appear_is_told_apart(
    server: respx.MockRouter,
    subject: admin_rest.Keycloak,
    posts: list[httpx.Response],
    looks: list[httpx.Response],
    unsettled: bool,
) -> None:
    answers(server, "POST", "/admin/realms", *posts)
    answers(server, "GET", f"/admin/realms/{NAME}", *looks)
    with pytest.raises(InfraError) as caught:
        create(subject)
    assert isinstance(caught.value, realm_lifecycle.UnsettledRealmError) is unsettled


def test_a_realm_that_commits_late_is_waited_for(
    server: respx.MockRouter, subject: admin_rest.Keycloak, clock: Clock
) -> None:
    server.delete(f"/admin/realms/{NAME}").mock(side_effect=lambda _: httpx.Response(204) if clock.now > 1100 else GONE)
    assert realm_lifecycle.delete_unsettled_realm(subject, NAME)
    assert 1100 < clock.now < 1104


def test_no_transaction_is_waited_for_for_ever(
    server: respx.MockRouter, subject: admin_rest.Keycloak, clock: Clock
) -> None:
    server.delete(f"/admin/realms/{NAME}").mock(return_value=GONE)
    assert not realm_lifecycle.delete_unsettled_realm(subject, NAME)
    assert 1300 <= clock.now < 1304


def test_people_clients_and_claims(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    route = server.post("/admin/realms").respond(201)
    users = tuple(
        realm_spec.RealmUser(
            username=name,
            password=SecretStr(f"{name}-{CANARY}"),
            email=f"{name}@example.org",
            first_name=name,
            last_name="E",
            groups=groups,
        )
        for name, groups in {"alice": ("staff", "staff/editors"), "bob": ("staff/editors/press", "guests")}.items()
    )
    robot = realm_spec.ExtraClient(client_id="robot", client_secret=SecretStr(f"robot-{CANARY}"), service_account=True)
    page = realm_spec.ExtraClient(
        client_id="page", client_secret=SecretStr(""), public=True, redirect_uris=("https://app.example.org/cb",)
    )
    claims: dict[str, str | bool | int] = {"tenant": "acme", "beta": False, "level": 0}
    create(subject, users=users, clients=(robot, page), claims=claims, claim_sources={"groups": "groups"})
    body = json.loads(route.calls[0].request.content)
    leaf = {"name": "press", "subGroups": []}
    editors = {"name": "editors", "subGroups": [leaf]}
    assert body["groups"] == [{"name": "guests", "subGroups": []}, {"name": "staff", "subGroups": [editors]}]
    assert [user["groups"] for user in body["users"]] == [
        ["/staff", "/staff/editors"],
        ["/staff/editors/press", "/guests"],
    ]
    facts = {client["clientId"]: client for client in body["clients"]}
    assert facts["robot"]["serviceAccountsEnabled"]
    assert (facts["robot"]["standardFlowEnabled"], facts["page"]["standardFlowEnabled"]) == (False, True)
    assert "secret" not in facts["page"]
    assert f"{CANARY}" not in subject.redact(f"robot-{CANARY} bob-{CANARY}")
    for client in facts.values():
        constants = {
            mapper["config"]["claim.name"]: (mapper["config"]["claim.value"], mapper["config"]["jsonType.label"])
            for mapper in client["protocolMappers"]
            if mapper["protocolMapper"] == "oidc-hardcoded-claim-mapper"
        }
        assert constants == {"tenant": ("acme", "String"), "beta": ("false", "boolean"), "level": ("0", "long")}


@pytest.mark.parametrize(
    ("posts", "looks", "message"),
    [
        ([error(409)], [held_by("other")], "belongs to other"),
        ([error(409)], [httpx.Response(200, json={"realm": NAME})], "belongs to someone else"),
        ([error(500)], [held_by("other")], "belongs to other"),
        ([error(409, "Duplicate resource error")], [GONE], "refuses to create .* HTTP 409: Duplicate resource error"),
        ([CLASH, CLASH], [], "HTTP 400: Database operation failed"),
        ([error(400, "unable to read contents from stream")], [], "HTTP 400: unable to read"),
        ([httpx.Response(415)], [], "HTTP 415"),
        ([error(401), error(401)], [], "HTTP 401"),
        ([error(403), error(403)], [], "HTTP 403"),
        ([error(500)] * 5, [GONE] * 5, "last: HTTP 500: unknown_error"),
        ([httpx.ReadTimeout("slow")] * 5, [GONE] * 5, "last: ReadTimeout: slow"),
    ],
)
def test_refused_creates(
    server: respx.MockRouter,
    subject: admin_rest.Keycloak,
    posts: list[httpx.Response],
    looks: list[httpx.Response],
    message: str,
) -> None:
    post = answers(server, "POST", "/admin/realms", *posts)
    answers(server, "GET", f"/admin/realms/{NAME}", *looks)
    with pytest.raises(InfraError, match=message):
        create(subject)
    assert post.call_count == len(posts)


def test_pauses_grow(server: respx.MockRouter, subject: admin_rest.Keycloak, clock: Clock) -> None:
    answers(server, "DELETE", f"/admin/realms/{NAME}", *[error(500)] * 5)
    server.get(f"/admin/realms/{NAME}").mock(return_value=OURS)
    with pytest.raises(InfraError):
        realm_lifecycle.delete_keycloak_realm(subject, NAME)
    for slept, least in zip(clock.slept, [0.5, 1, 2, 4], strict=True):
        assert least <= slept <= least * 1.25


def test_slow_answers_end_the_tries_early(server: respx.MockRouter, subject: admin_rest.Keycloak, clock: Clock) -> None:
    def slow(_: httpx.Request) -> httpx.Response:
        clock.now += 130
        raise httpx.ReadTimeout("slow")

    deletion = server.delete(f"/admin/realms/{NAME}").mock(side_effect=slow)
    server.get(f"/admin/realms/{NAME}").mock(return_value=OURS)
    with pytest.raises(InfraError, match="ReadTimeout"):
        realm_lifecycle.delete_keycloak_realm(subject, NAME)
    assert deletion.call_count == 2


# --- delete


@pytest.mark.parametrize(
    ("deletes", "looks", "existed"),
    [
        pytest.param([httpx.Response(204)], [], True, id="204"),
        pytest.param([GONE], [], False, id="404"),
        pytest.param([error(500)], [GONE], True, id="500 in a race"),
        pytest.param([error(409)], [GONE], True, id="409"),
        pytest.param([error(503), httpx.Response(204)], [OURS], True, id="503, still there"),
        pytest.param([httpx.ReadTimeout("slow"), GONE], [OURS], True, id="timeout, gone meanwhile"),
        pytest.param([httpx.ReadTimeout("slow")], [GONE], True, id="timeout, gone"),
        pytest.param([error(500)] * 4 + [httpx.Response(204)], [OURS] * 4, True, id="fifth try"),
        pytest.param([error(403), httpx.Response(204)], [], True, id="token older than the realm"),
        pytest.param([error(401), httpx.Response(204)], [], True, id="token expired"),
        pytest.param([CLASH, httpx.Response(204)], [], True, id="deadlock shown as 400"),
        pytest.param([httpx.Response(404, text="nginx"), httpx.Response(204)], [OURS], True, id="proxy's own 404"),
    ],
)
def test_delete_is_certain(
    server: respx.MockRouter,
    subject: admin_rest.Keycloak,
    deletes: list[httpx.Response],
    looks: list[httpx.Response],
    existed: bool,
) -> None:
    deletion = answers(server, "DELETE", f"/admin/realms/{NAME}", *deletes)
    look = answers(server, "GET", f"/admin/realms/{NAME}", *looks)
    assert realm_lifecycle.delete_keycloak_realm(subject, NAME) is existed
    assert (deletion.call_count, look.call_count) == (len(deletes), len(looks))


@pytest.mark.parametrize(
    "deletes", [[error(403)] * 2, [CLASH] * 2, [error(400, "no")], [error(500)] * 5, [httpx.ReadTimeout("slow")] * 5]
)
def test_what_stays_is_named(
    server: respx.MockRouter, subject: admin_rest.Keycloak, deletes: list[httpx.Response]
) -> None:
    deletion = answers(server, "DELETE", f"/admin/realms/{NAME}", *deletes)
    server.get(f"/admin/realms/{NAME}").mock(return_value=OURS)
    with pytest.raises(InfraError, match=f"{NAME} .* stays behind; last: ") as caught:
        realm_lifecycle.delete_keycloak_realm(subject, NAME)
    assert caught.value.hint == "warmci recover"
    assert deletion.call_count == len(deletes)


@pytest.mark.parametrize("name", ["master", "..", ".", "", "a/b", "UPPER", "a" * 64, "a b", "../admin", "é"])
def test_no_url_is_built_from_an_unchecked_name(
    server: respx.MockRouter, subject: admin_rest.Keycloak, name: str
) -> None:
    with pytest.raises(UsageError):
        realm_lifecycle.delete_keycloak_realm(subject, name)
    with pytest.raises(ValidationError):
        spec(name=name)
    assert not server.calls


# --- logging in


def test_the_token_is_renewed_before_it_ends(
    server: respx.MockRouter, subject: admin_rest.Keycloak, clock: Clock
) -> None:
    server.get("/admin/realms").respond(json=[])
    for passing, tokens in [(0, 1), (49, 1), (2, 2), (49, 2), (100, 3)]:
        clock.now += passing
        realm_lifecycle.list_realms(subject)
        assert server["token"].call_count == tokens
    form = httpx.QueryParams(server["token"].calls[0].request.content.decode())
    assert dict(form) == {
        "grant_type": "password",
        "client_id": "admin-cli",
        "username": "admin",
        "password": f"admin-{CANARY}",
    }


def test_a_service_account(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    server.get("/admin/realms").respond(json=[])
    access = admin_rest.KeycloakAccess(url=URL, client_id="warmci", client_secret=SecretStr(f"svc-{CANARY}"))
    realm_lifecycle.list_realms(admin_rest.Keycloak(access, subject._client))
    form = httpx.QueryParams(server["token"].calls[0].request.content.decode())
    assert dict(form) == {
        "grant_type": "client_credentials",
        "client_id": "warmci",
        "client_secret": f"svc-{CANARY}",
    }


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.Response(400, json={"error": "invalid_grant", "error_description": "Invalid user credentials"}),
         f"Keycloak at {URL} refuses the login of admin: Invalid user credentials"),
        (httpx.Response(401, json={"error": "unauthorized_client"}), "refuses the login of admin: unauthorized_client"),
        (httpx.Response(404, json={"error": "Realm does not exist"}), "no Keycloak at .* Realm does not exist"),
        (httpx.Response(200, text="<h1>Welcome</h1>"), "no Keycloak at"),
        (httpx.Response(200, json=[1]), "no Keycloak at"),
        (httpx.Response(200, json={"access_token": "x", "expires_in": "soon"}), "no Keycloak at"),
    ],
)  # fmt: skip
def test_refused_logins(
    server: respx.MockRouter, subject: admin_rest.Keycloak, answer: httpx.Response, message: str
) -> None:
    server["token"].mock(return_value=answer)
    with pytest.raises(InfraError, match=message) as caught:
        realm_lifecycle.list_realms(subject)
    assert server["token"].call_count == 1
    if answer.status_code in (400, 401):
        assert "warmci keycloak bootstrap" in (caught.value.hint or "")


def test_login_survives_a_restart(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    server["token"].mock(side_effect=[httpx.ConnectError("refused"), error(503), token()])
    server.get("/admin/realms").respond(json=[])
    assert realm_lifecycle.list_realms(subject) == []


def test_unreachable(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    server["token"].mock(side_effect=httpx.ConnectError("[Errno 111] Connection refused"))
    with pytest.raises(InfraError, match=r"is not reachable; last: ConnectError: .*refused"):
        realm_lifecycle.list_realms(subject)
    assert server["token"].call_count == 5


@pytest.mark.parametrize(
    "facts",
    [
        {"url": "ftp://x", "username": "a"},
        {"url": "http://user:canary@host", "username": "a"},
        {"url": "nonsense", "username": "a"},
        {"url": URL, "password": CANARY},
        {"url": URL, "username": "a", "client_id": "b", "client_secret": CANARY},
    ],
)
def test_access_that_makes_no_sense(facts: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        admin_rest.KeycloakAccess.model_validate(facts)
    assert CANARY not in str(caught.value)


def test_roles_of_users_are_defined() -> None:
    with pytest.raises(ValidationError, match="does not define: tester") as caught:
        spec(roles=())
    assert CANARY not in str(caught.value)


# --- health


def healthy(server: respx.MockRouter, issuer: str = f"{URL}/realms/master") -> None:
    server.get("/realms/master").respond(json={"realm": "master"})
    server.get("/realms/master/.well-known/openid-configuration").respond(json={"issuer": issuer})


def test_healthy(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    healthy(server)
    assert admin_rest.unhealthy_reason(subject._client, f"{URL}/") is None
    admin_rest.check_health(subject._client, URL)


def test_unhealthy(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    healthy(server, issuer="http://elsewhere/realms/master")
    assert "calls itself http://elsewhere" in (admin_rest.unhealthy_reason(subject._client, URL) or "")
    server.get("/realms/master/.well-known/openid-configuration").respond(text="welcome")
    assert "is no Keycloak" in (admin_rest.unhealthy_reason(subject._client, URL) or "")
    server.get("/realms/master").respond(503)
    assert "answers HTTP 503" in (admin_rest.unhealthy_reason(subject._client, URL) or "")
    server.get("/realms/master").mock(side_effect=httpx.ConnectError("refused"))
    with pytest.raises(InfraError, match="does not answer: ConnectError: refused"):
        admin_rest.check_health(subject._client, URL)


def test_waiting_for_health(server: respx.MockRouter, subject: admin_rest.Keycloak, clock: Clock) -> None:
    healthy(server)
    server.get("/realms/master").mock(side_effect=[httpx.Response(503), httpx.Response(200, json={})])
    admin_rest.wait_healthy(subject._client, URL, deadline_s=10)
    server.get("/realms/master").mock(return_value=httpx.Response(503))
    with pytest.raises(InfraError, match=r"not healthy after 10 s: .* HTTP 503"):
        admin_rest.wait_healthy(subject._client, URL, deadline_s=10)
    assert 10 <= sum(clock.slept) < 11


def test_a_keycloak_that_calls_itself_otherwise_is_not_waited_for(
    server: respx.MockRouter, subject: admin_rest.Keycloak, clock: Clock
) -> None:
    healthy(server, issuer="https://elsewhere/realms/master")
    boots = [httpx.Response(503)] * 80
    server.get("/realms/master").mock(side_effect=[*boots, *[httpx.Response(200, json={})] * 200])
    with pytest.raises(InfraError, match="calls itself https://elsewhere") as caught:
        admin_rest.wait_healthy(subject._client, URL, deadline_s=600)
    assert "recipe.toml" in (caught.value.hint or "")
    assert 35 <= sum(clock.slept) < 36


# --- list and reap


def listed(name: str, display_name: str | None) -> dict[str, Any]:
    return {"id": "x", "realm": name, "displayName": display_name, "enabled": True}


def test_only_warmcis_own_realms_are_listed(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    ours = "warmci run=r1 owner=o1 host=h1 created=2026-11-24T12:00:00+00:00 ttl_s=3600"
    server.get("/admin/realms", params={"briefRepresentation": "true"}).respond(
        json=[
            listed("master", "Keycloak"),
            listed("ci-b", ours),
            listed("ci-a", ours),
            listed("production", None),
            listed("nearly", f"{ours} "),
            listed("no-date", "warmci run=r1 owner=o1 host=h1 created=yesterday ttl_s=3600"),
            listed("no-zone", "warmci run=r1 owner=o1 host=h1 created=2026-11-24T12:00:00 ttl_s=3600"),
            listed("no-ttl", "warmci run=r1 owner=o1 host=h1 created=2026-11-24T12:00:00+00:00"),
            listed("odd-ttl", "warmci run=r1 owner=o1 host=h1 created=2026-11-24T12:00:00+00:00 ttl_s=long"),
            listed("..", ours),
        ]
    )
    facts = {"run": "r1", "owner": "o1", "host": "h1", "created": NOW, "ttl_s": 3600}
    assert realm_lifecycle.list_realms(subject) == [
        realm_lifecycle.Realm.model_validate({"name": name, **facts}) for name in ("ci-a", "ci-b")
    ]


def test_what_create_writes_list_reads(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    post = server.post("/admin/realms").respond(201)
    create(subject)
    body = json.loads(post.calls[0].request.content)
    server.get("/admin/realms").respond(json=[listed(body["realm"], body["displayName"])])
    (realm,) = realm_lifecycle.list_realms(subject)
    assert (realm.name, realm.run, realm.owner) == (NAME, spec().run, spec().owner)
    assert (realm.host, realm.ttl_s) == ("ci-host-1", 86400)
    assert realm.created.isoformat() == body["attributes"]["warmci.created"]


def test_an_account_without_realms_lists_none(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    server.get("/admin/realms").mock(return_value=error(403))
    assert realm_lifecycle.list_realms(subject) == []


@pytest.mark.parametrize("answer", [error(400), httpx.Response(200, json={}), error(500)])
def test_no_list(server: respx.MockRouter, subject: admin_rest.Keycloak, answer: httpx.Response) -> None:
    server.get("/admin/realms").mock(return_value=answer)
    with pytest.raises(InfraError, match="last: "):
        realm_lifecycle.list_realms(subject)


def test_a_realm_that_goes_while_the_list_is_written(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    """As Keycloak 26.7.3 answers while another run deletes its realm."""
    broken = httpx.Response(400, json={"error": "unknown_error", "error_description": "Cannot parse the JSON"})
    listed = server.get("/admin/realms").mock(side_effect=[broken, broken, httpx.Response(200, json=[])])
    assert realm_lifecycle.list_realms(subject) == []
    assert listed.call_count == 3
    listed.mock(return_value=broken)
    with pytest.raises(InfraError, match="HTTP 400: Cannot parse the JSON"):
        realm_lifecycle.list_realms(subject)


def test_fixed_names_are_one_per_recipe_and_instance() -> None:
    assert realm_lifecycle.fixed_realm_name("hedgedoc", "0123456789ab") == "ci-hedgedoc-0123456789ab"
    long = [realm_lifecycle.fixed_realm_name("x" * 60 + end, "0123456789ab") for end in ("abc", "abd")]
    assert long[0] != long[1], "they do not share a lock, so they must not share a realm"
    assert max(map(len, long)) <= 63
    assert realm_lifecycle.fixed_realm_name("hedgedoc", "0123456789ab") != realm_lifecycle.fixed_realm_name(
        "hedgedoc", "0123456789ac"
    )


def test_the_budget(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    ours = "warmci run=r1 owner=o1 host=h1 created=2026-11-24T12:00:00+00:00 ttl_s=60"
    server.get("/admin/realms").respond(json=[listed(f"ci-{number}", ours) for number in range(3)])
    assert realm_lifecycle.count_against_budget(subject, most=4) == 3
    with pytest.raises(InfraError, match="has 3 realms of WarmCI, 3 are allowed") as caught:
        realm_lifecycle.count_against_budget(subject, most=3)
    assert "warmci realms reap" in (caught.value.hint or "")


def test_protected_realms_are_neither_made_nor_deleted(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    keycloak = admin_rest.Keycloak(subject._access, subject._client, protected=(NAME, "production"))
    with pytest.raises(UsageError, match=f"realm {NAME} is protected"):
        create(keycloak)
    with pytest.raises(UsageError, match="realm production is protected"):
        realm_lifecycle.delete_keycloak_realm(keycloak, "production")
    assert not server.calls


def test_a_realm_that_a_crash_took(server: respx.MockRouter, subject: admin_rest.Keycloak) -> None:
    path = f"/realms/{NAME}/.well-known/openid-configuration"
    server.get(path).mock(side_effect=[httpx.Response(200), httpx.Response(404), httpx.ConnectError("refused")])
    assert realm_lifecycle.missing_realm_reason(subject._client, URL, NAME) is None
    assert realm_lifecycle.missing_realm_reason(subject._client, URL, NAME) == f"realm {NAME} is gone: HTTP 404"
    assert "does not answer" in (realm_lifecycle.missing_realm_reason(subject._client, URL, NAME) or "")


# --- names


@given(st.text(), st.text(), st.text())
def test_realm_names_are_valid_whatever_they_are_made_of(parent: str, pr: str, ref: str) -> None:
    name = realm_lifecycle.new_realm_name(parent, pr, ref)
    assert names.realm_name(name) == name
    assert len(name) <= 63
    assert name.startswith("ci-")
    assert name != realm_lifecycle.new_realm_name(parent, pr, ref)


@pytest.mark.parametrize(
    ("parts", "start"),
    [
        (("miniflux", "12", "0123456789abcdef"), "ci-miniflux-12-01234567-"),
        (("hedgedoc", "", "feature/oidc"), "ci-hedgedoc-feature-"),
        (("a" * 63, "x" * 40, "R" * 40), f"ci-{'a' * 24}-{'x' * 10}-{'r' * 8}-"),
        (("", "", ""), "ci-"),
    ],
)
def test_realm_names_are_readable(parts: tuple[str, str, str], start: str) -> None:
    name = realm_lifecycle.new_realm_name(*parts)
    assert name.startswith(start)
    assert len(name) == len(start) + 8


# --- secrets


def everything_of(caught: BaseException | None) -> str:
    """What any renderer may print: the exception, what it came from, their arguments and attributes."""
    text = ""
    while caught is not None:
        text += "".join(traceback.format_exception(caught)) + repr(caught) + repr(vars(caught))
        sent = getattr(caught, "_request", None)
        text += "" if sent is None else sent.content.decode()
        caught = caught.__cause__ or caught.__context__
    return text


@pytest.mark.parametrize("where", ["token", "post", "timeout"])
def test_no_secret_leaves(
    server: respx.MockRouter, subject: admin_rest.Keycloak, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = httpx.Response(400, json={"errorMessage": f"bad: client-{CANARY} user-{CANARY} admin-{CANARY}"})
    if where == "token":
        server["token"].mock(return_value=echo)
    server.post("/admin/realms").mock(side_effect=httpx.ReadTimeout("slow") if where == "timeout" else [echo])
    server.get(f"/admin/realms/{NAME}").mock(return_value=GONE)
    with pytest.raises(InfraError) as caught:
        create(subject)
    assert CANARY not in everything_of(caught.value)
    assert CANARY not in caplog.text
    assert CANARY not in repr([subject, subject._access, spec(), keycloak.Answer(200, "", {"access_token": CANARY})])
