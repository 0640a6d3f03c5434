"""Realms and logins at a real Keycloak. `live_keycloak` and `http_client` come from conftest.py."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from pydantic import SecretStr

from support.bench import entered
from warmci.base import http
from warmci.base.errors import InfraError, RecipeFailedError
from warmci.base.names import new_id
from warmci.base.state import open_state
from warmci.live import keycloak_json
from warmci.recipe.config import SsoConfig
from warmci.sso import admin_rest, keycloak_app, realm_lifecycle, realm_spec, reaper
from warmci.sso.run_realm import RunRealm
from warmci.sso.service_account import make_service_account
from warmci.testing.login import browser_login

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from support.bench import Bench
    from warmci.sso.admin_rest import KeycloakAccess

pytestmark = pytest.mark.integration

OWNER = f"test{secrets.token_hex(4)}"
PASSWORD = "p&ss <wörd> canary"
CLIENT_SECRET = "client-secret-canary"


def spec_of(name: str, run: str = "r1", app_url: str = "http://127.0.0.1:9", **more: Any) -> realm_spec.RealmSpec:
    alice = realm_spec.RealmUser(
        username="alice",
        password=SecretStr(PASSWORD),
        email="alice@example.org",
        first_name="Alice",
        last_name="Example",
        roles=("tester",),
    )
    facts: dict[str, Any] = {
        "name": name,
        "run": run,
        "owner": OWNER,
        "host": "test-host",
        "client_id": "app",
        "client_secret": SecretStr(CLIENT_SECRET),
        "redirect_uris": (f"{app_url}/*",),
        "web_origins": (app_url,),
        "users": (alice,),
        "roles": ("tester",),
    }
    return realm_spec.RealmSpec(**{**facts, **more})


@pytest.fixture
def keycloak(live_keycloak: KeycloakAccess, http_client: httpx.Client) -> Iterator[admin_rest.Keycloak]:
    """A Keycloak without cookies before, and without this test's realms after."""
    http_client.cookies.clear()
    keycloak = admin_rest.Keycloak(live_keycloak, http_client)
    yield keycloak
    for realm in realm_lifecycle.list_realms(keycloak):
        if realm.owner == OWNER:
            realm_lifecycle.delete_keycloak_realm(keycloak, realm.name)


def made(keycloak: admin_rest.Keycloak, **facts: Any) -> str:
    name = realm_lifecycle.new_realm_name("miniflux", "12", "abcdef1234")
    realm_lifecycle.create_keycloak_realm(keycloak, spec_of(name, **facts), announce=lambda _: None)
    return name


# --- a relying party


class RelyingParty:
    """A tiny app: /login sends the browser to Keycloak, /callback exchanges the code, / tells who is logged in."""

    def __init__(self, client: httpx.Client, scope: str = "openid email profile", **asked: str) -> None:
        self.client = client
        self.asked = {"scope": scope, **asked}
        self.issuer = ""
        self.url = ""
        self.tokens: dict[str, Any] = {}
        self.logout_token = ""
        self.verifiers: dict[str, str] = {}

    def to_keycloak(self) -> str:
        state, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
        self.verifiers[state] = verifier
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "client_id": "app",
            "response_type": "code",
            "redirect_uri": f"{self.url}/callback",
            "state": state,
            "nonce": "n1",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **self.asked,
        }
        return f"{self.issuer}/protocol/openid-connect/auth?{urlencode(query)}"

    def exchange(self, query: dict[str, list[str]]) -> int:
        if "code" not in query:
            return 403
        form = {
            "grant_type": "authorization_code",
            "code": query["code"][0],
            "redirect_uri": f"{self.url}/callback",
            "client_id": "app",
            "client_secret": CLIENT_SECRET,
            "code_verifier": self.verifiers[query["state"][0]],
        }
        answer = self.client.post(f"{self.issuer}/protocol/openid-connect/token", data=form)
        self.tokens = answer.json()
        return answer.status_code

    def claims(self, token: str) -> dict[str, Any]:
        payload = self.tokens[token].split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
        return claims

    def ask(self, endpoint: str, **form: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.tokens['access_token']}"} if not form else None
        secret = {"client_id": "app", "client_secret": CLIENT_SECRET} if form else {}
        url = f"{self.issuer}/protocol/openid-connect/{endpoint}"
        answer: dict[str, Any] = self.client.post(url, headers=headers, data={**form, **secret}).json()
        return answer


class Pages(BaseHTTPRequestHandler):
    party: RelyingParty

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/login":
            self.reply(302, self.party.to_keycloak())
        elif url.path == "/callback":
            self.back(parse_qs(url.query))
        elif "rp_session=yes" in self.headers.get("Cookie", ""):
            self.reply(200, text=f"hello {self.party.claims('id_token')['sub']}")
        else:
            self.reply(401, text="who are you?")

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        form = parse_qs(self.rfile.read(length).decode())
        if self.path == "/logout-by-keycloak":
            self.party.logout_token = form["logout_token"][0]
            self.reply(200)
        else:
            self.back(form)

    def back(self, query: dict[str, list[str]]) -> None:
        status = self.party.exchange(query)
        self.reply(302 if status == 200 else status, "/", cookie="rp_session=yes; Secure; HttpOnly")

    def reply(self, status: int, location: str = "", text: str = "", cookie: str = "") -> None:
        self.send_response(status)
        for key, value in {"Location": location, "Set-Cookie": cookie}.items():
            if value:
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def serving(party: RelyingParty) -> Iterator[RelyingParty]:
    with listening(party) as port:
        party.url = f"http://127.0.0.1:{port}"
        yield party


@contextmanager
def listening(party: RelyingParty, certificate: Path | None = None) -> Iterator[int]:
    """Its pages at a port; with a certificate by https."""
    handler = type("PagesOfParty", (Pages,), {"party": party})
    # On every address: Keycloak comes by the gateway.
    server = ThreadingHTTPServer(("0.0.0.0", 0), handler)  # noqa: S104
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def party(keycloak: admin_rest.Keycloak, http_client: httpx.Client) -> Iterator[RelyingParty]:
    # The app's own client: a browser's cookies are not its.
    with serving(RelyingParty(http_client)) as party:
        yield party


def enter(party: RelyingParty, browser: httpx.Client, password: str = PASSWORD) -> httpx.Response:
    browser.cookies.clear()
    return browser_login(browser, f"{party.url}/login", "alice", password)


# --- realms


def test_health(live_keycloak: KeycloakAccess, http_client: httpx.Client) -> None:
    admin_rest.wait_healthy(http_client, live_keycloak.url, deadline_s=5)
    assert admin_rest.unhealthy_reason(http_client, live_keycloak.url) is None
    assert "does not answer" in (admin_rest.unhealthy_reason(http_client, "http://127.0.0.1:9") or "")


def test_realm_lives_and_dies(keycloak: admin_rest.Keycloak) -> None:
    announced: list[str] = []
    spec = spec_of(realm_lifecycle.new_realm_name("miniflux", "12", "feature/x"))
    realm_lifecycle.create_keycloak_realm(keycloak, spec, announce=announced.append)
    assert announced == [spec.name]
    (realm,) = [realm for realm in realm_lifecycle.list_realms(keycloak) if realm.owner == OWNER]
    assert (realm.name, realm.run) == (spec.name, "r1")
    assert abs((datetime.now(UTC) - realm.created).total_seconds()) < 120
    realm_lifecycle.create_keycloak_realm(keycloak, spec, announce=announced.append)  # the same run: adopted
    with pytest.raises(InfraError, match="belongs to r1"):
        realm_lifecycle.create_keycloak_realm(keycloak, spec_of(spec.name, run="r2"), announce=announced.append)
    assert realm_lifecycle.delete_keycloak_realm(keycloak, spec.name)
    assert not realm_lifecycle.delete_keycloak_realm(keycloak, spec.name)
    assert not [realm for realm in realm_lifecycle.list_realms(keycloak) if realm.owner == OWNER]


def test_wrong_secret_of_the_service_account(live_keycloak: KeycloakAccess, http_client: httpx.Client) -> None:
    wrong = live_keycloak.model_copy(update={"client_secret": SecretStr("wrong-canary")})
    with pytest.raises(InfraError, match=r"refuses the login of client warmci: Invalid client") as caught:
        realm_lifecycle.list_realms(admin_rest.Keycloak(wrong, http_client))
    assert "canary" not in repr(caught.value)


def test_eight_dependents_at_once(live_keycloak: KeycloakAccess, keycloak: admin_rest.Keycloak, bench: Bench) -> None:
    """Each with a realm, a client and a browser of its own; all log in, none is left."""

    def depend(number: int) -> tuple[str, str]:
        settings = bench.settings
        client = http.client(base_domain=settings.base_domain, address=settings.ingress_address, timeout_s=60)
        with entered(Path(str(settings.netns))), client, serving(RelyingParty(client)) as party:
            own = admin_rest.Keycloak(live_keycloak, client)
            name = made(own, run=f"r{number}", app_url=party.url)
            party.issuer = f"{own.url}/realms/{name}"
            said = enter(party, client).text
            assert party.claims("id_token")["iss"] == party.issuer
            assert realm_lifecycle.delete_keycloak_realm(own, name)
        return name, said

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(depend, range(8)))
    assert len({name for name, _ in found}) == 8
    assert {said for _, said in found} == {"hello alice"}
    assert [realm for realm in realm_lifecycle.list_realms(keycloak) if realm.owner == OWNER] == []


def test_reap_leaves_the_live_alone(keycloak: admin_rest.Keycloak) -> None:
    dead, live = made(keycloak, run="dead"), made(keycloak, run="live")
    foreign = made(keycloak, run="dead", owner=f"{OWNER}x")

    def look() -> tuple[reaper.StaleRealm, ...]:
        return reaper.look_for_stale(keycloak, OWNER, lambda run: run == "live")

    try:
        done = reaper.reap_stale_realms(keycloak, look(), look, most=50, grace_s=0)
        assert done == reaper.Reaped(deleted=(dead,))
        assert {realm.name for realm in realm_lifecycle.list_realms(keycloak)} >= {live, foreign}
    finally:
        realm_lifecycle.delete_keycloak_realm(keycloak, foreign)


# --- the service account


@pytest.fixture
def admin(live_keycloak: KeycloakAccess, bench: Bench, http_client: httpx.Client) -> admin_rest.Keycloak:
    record = keycloak_json.load_live(bench.settings)
    assert record is not None
    home = keycloak_json.generation_dir(bench.settings, record.generation)
    kept = keycloak_json.load_deployment(home).plain_secrets()
    return admin_rest.Keycloak(keycloak_app.admin_access(live_keycloak.url, kept), http_client)


def test_the_service_account_owns_its_own_realms_only(
    admin: admin_rest.Keycloak, keycloak: admin_rest.Keycloak
) -> None:
    own, other = made(keycloak), made(admin)
    try:
        assert own in {realm.name for realm in realm_lifecycle.list_realms(keycloak)}
        assert other not in {realm.name for realm in realm_lifecycle.list_realms(keycloak)}
        assert keycloak.ask("DELETE", f"/admin/realms/{other}").status == 403
        assert keycloak.ask("PUT", f"/admin/realms/{other}", {"enabled": False}).status == 403
        assert keycloak.ask("GET", f"/admin/realms/{other}/users").status == 403
        assert keycloak.ask("GET", "/admin/realms/master/users").status == 403
        assert len(keycloak.new_token()) < 2000
    finally:
        realm_lifecycle.delete_keycloak_realm(admin, other)


def test_a_service_account_is_kept_and_gets_a_new_secret(admin: admin_rest.Keycloak, http_client: httpx.Client) -> None:
    first = make_service_account(admin._access, http_client, new_secret=True, name=OWNER)
    name = made(admin_rest.Keycloak(first, http_client))
    second = make_service_account(admin._access, http_client, new_secret=True, name=OWNER)
    assert (first.client_id, second.client_id) == (OWNER, OWNER)
    with pytest.raises(InfraError, match="refuses the login"):
        realm_lifecycle.list_realms(admin_rest.Keycloak(first, http_client))
    renewed = admin_rest.Keycloak(second, http_client)
    assert [realm.name for realm in realm_lifecycle.list_realms(renewed)] == [name]
    assert realm_lifecycle.delete_keycloak_realm(renewed, name)
    assert realm_lifecycle.list_realms(renewed) == []


def test_who_is_no_administrator_makes_no_account(live_keycloak: KeycloakAccess, http_client: httpx.Client) -> None:
    with pytest.raises(InfraError, match="refuses GET /admin/realms/master/clients") as caught:
        make_service_account(live_keycloak, http_client, new_secret=True, name=OWNER)
    assert "administrator" in (caught.value.hint or "")


# --- at the command line


def test_realms_are_listed_and_reaped(bench: Bench, keycloak: admin_rest.Keycloak) -> None:
    instance = open_state(bench.settings.state_dir).instance
    name = made(keycloak, run=new_id(), owner=instance)
    shown = bench.call("warmci", "realms", "list", "--json")
    assert {row["realm"]["name"]: row["state"] for row in json.loads(shown.stdout)["realms"]}[name] == "stale"
    dry = bench.call("warmci", "realms", "reap", "--dry-run", "--json")
    assert [row["realm"]["name"] for row in json.loads(dry.stdout)["realms"]] == [name]
    done = bench.call("warmci", "realms", "reap", "--json")
    assert (done.code, json.loads(done.stdout)["deleted"]) == (0, [name])
    assert json.loads(bench.call("warmci", "realms", "reap", "--json").stdout)["deleted"] == []


def test_a_keycloak_of_others_is_adopted(
    bench: Bench, admin: admin_rest.Keycloak, keycloak: admin_rest.Keycloak, tmp_path: Path
) -> None:
    """A second WarmCI, with a state directory of its own, uses the first one's Keycloak by the account of both."""
    state = str(tmp_path / "second")
    (tmp_path / "password").write_text(admin._access.password.get_secret_value())
    command = ("warmci", "keycloak", "bootstrap", "--url", admin.url, "--password-file", str(tmp_path / "password"))
    answer = bench.call(*command, WARMCI_STATE_DIR=state)
    assert answer.code == 0, answer.stderr
    checks = bench.call("warmci", "doctor", "--json", WARMCI_STATE_DIR=state)
    found = {check["name"]: check for check in json.loads(checks.stdout)["checks"]}
    assert "26." in found["Keycloak"]["detail"]
    assert "run by others" in found["Keycloak"]["detail"]
    assert found["Keycloak rights"]["status"] == "ok"
    theirs = made(keycloak, run=new_id(), ttl_s=60)
    shown = json.loads(bench.call("warmci", "realms", "list", "--json", WARMCI_STATE_DIR=state).stdout)["realms"]
    assert {row["realm"]["name"]: row["state"] for row in shown}[theirs] == "foreign"
    assert bench.call("warmci", "realms", "reap", WARMCI_STATE_DIR=state).code == 0
    assert theirs in {realm.name for realm in realm_lifecycle.list_realms(keycloak)}
    unchanged = bench.call("warmci", "keycloak", "reconcile", "--json", WARMCI_STATE_DIR=state)
    assert json.loads(unchanged.stdout)["action"] == "unchanged"
    assert bench.call("warmci", "keycloak", "down", "--yes", WARMCI_STATE_DIR=state).code == 0
    assert admin_rest.unhealthy_reason(admin._client, admin.url) is None
    assert theirs in {realm.name for realm in realm_lifecycle.list_realms(keycloak)}, "the account of both goes on"
    secret = admin._access.password.get_secret_value()
    assert secret not in "".join(path.read_text() for path in (tmp_path / "second").rglob("*.json"))


def test_what_a_recipe_is_told_is_what_keycloak_says(
    bench: Bench, live_provider: keycloak_app.Provider, keycloak: admin_rest.Keycloak, http_client: httpx.Client
) -> None:
    """Apps without discovery get five explicit endpoints: those of the realm's own discovery document."""
    name = made(keycloak)
    names = ("issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")
    keys = (*names, "end_session_endpoint")
    config = SsoConfig(env={key.upper(): f"{{{key}}}" for key in keys})
    told = RunRealm(bench.settings, live_provider, name, "secret", {}, config).env({})
    said = http_client.get(f"{keycloak.url}/realms/{name}/.well-known/openid-configuration").json()
    assert told == {key.upper(): said[key] for key in keys}


# --- logins


def test_subject_is_the_same_in_two_realms(
    keycloak: admin_rest.Keycloak, party: RelyingParty, http_client: httpx.Client
) -> None:
    for _ in range(2):
        party.issuer = f"{keycloak.url}/realms/{made(keycloak, app_url=party.url)}"
        final = enter(party, http_client)
        assert (final.status_code, final.text) == (200, "hello alice")
        identity, access = party.claims("id_token"), party.claims("access_token")
        assert (identity["iss"], identity["aud"], identity["nonce"]) == (party.issuer, "app", "n1")
        assert (identity["email"], identity["preferred_username"]) == ("alice@example.org", "alice")
        assert isinstance(identity["auth_time"], int)
        assert access["sub"] == "alice"
        assert "tester" in access["realm_access"]["roles"]
        assert party.ask("userinfo")["sub"] == "alice"
        seen = party.ask("token/introspect", token=party.tokens["access_token"])
        assert (seen["active"], seen["sub"]) == (True, "alice")
        refreshed = party.ask("token", grant_type="refresh_token", refresh_token=party.tokens["refresh_token"])
        assert "access_token" in refreshed


def test_people_groups_claims_and_clients(
    keycloak: admin_rest.Keycloak, party: RelyingParty, http_client: httpx.Client
) -> None:
    carol = realm_spec.RealmUser(
        username="carol",
        password=SecretStr("carol-canary"),
        email="carol@press.example.org",
        first_name="Carol",
        last_name="Writer",
        roles=("admin",),
        groups=("staff/editors", "guests"),
        attributes={"department": "Press"},
    )
    robot = realm_spec.ExtraClient(client_id="robot", client_secret=SecretStr("robot-canary"), service_account=True)
    sources = {name: name for name in ("groups", "group_paths", "roles", "first_name", "email")}
    name = made(
        keycloak,
        app_url=party.url,
        users=(carol,),
        roles=("admin",),
        clients=(robot,),
        claims={"tenant": "acme", "beta": True, "level": 3},
        claim_sources={**sources, "department": "attribute:department", "nested.name": "username"},
    )
    party.issuer = f"{keycloak.url}/realms/{name}"
    http_client.cookies.clear()
    browser_login(http_client, f"{party.url}/login", "carol", "carol-canary")
    for claims in (party.claims("id_token"), party.claims("access_token"), party.ask("userinfo")):
        assert (claims["sub"], claims["tenant"], claims["beta"], claims["level"]) == ("carol", "acme", True, 3)
        assert sorted(claims["groups"]) == ["editors", "guests"]
        assert sorted(claims["group_paths"]) == ["/guests", "/staff/editors"]
        assert "admin" in claims["roles"]
        assert (claims["first_name"], claims["department"]) == ("Carol", "Press")
        assert claims["nested"] == {"name": "carol"}
    form = {"grant_type": "client_credentials", "client_id": "robot", "client_secret": "robot-canary"}
    token = http_client.post(f"{party.issuer}/protocol/openid-connect/token", data=form)
    assert token.status_code == 200, token.text


def test_keycloak_tells_the_app_that_a_session_ended(
    keycloak: admin_rest.Keycloak, party: RelyingParty, http_client: httpx.Client, bench: Bench
) -> None:
    """As the halves of a cold run do it: the realm is made before the app has its address."""
    name = made(keycloak, app_url=party.url)
    party.issuer = f"{keycloak.url}/realms/{name}"
    port = urlsplit(party.url).port
    told = f"http://{bench.engine.gateway()}:{port}/logout-by-keycloak"
    for url in ("http://127.0.0.1:9/elsewhere", told, told):
        realm_lifecycle.aim_backchannel_logout(keycloak, name, "app", url)
    assert enter(party, http_client).text == "hello alice"
    form = {
        "client_id": "app",
        "client_secret": CLIENT_SECRET,
        "refresh_token": party.tokens["refresh_token"],
    }
    assert http_client.post(f"{party.issuer}/protocol/openid-connect/logout", data=form).status_code == 204
    payload = party.logout_token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert (claims["iss"], claims["sid"]) == (party.issuer, party.claims("id_token")["sid"])
    assert claims["sub"] != "alice", "Keycloak's mappers do not make logout tokens: docs/sso.md says so"
    with pytest.raises(InfraError, match="does not take"):
        realm_lifecycle.aim_backchannel_logout(keycloak, name, "nobody", told)


def test_keycloak_trusts_an_app_behind_our_certificate(
    keycloak: admin_rest.Keycloak, party: RelyingParty, http_client: httpx.Client, bench: Bench
) -> None:
    """Its own name is the one under base_domain that it can resolve here: the app is at another port of it."""
    name = made(keycloak, app_url=party.url)
    party.issuer = f"{keycloak.url}/realms/{name}"
    with listening(party, bench.settings.tls_dir / "served.pem") as port:
        told = f"https://{urlsplit(keycloak.url).hostname}:{port}/logout-by-keycloak"
        realm_lifecycle.aim_backchannel_logout(keycloak, name, "app", told)
        assert enter(party, http_client).text == "hello alice"
        form = {
            "client_id": "app",
            "client_secret": CLIENT_SECRET,
            "refresh_token": party.tokens["refresh_token"],
        }
        assert http_client.post(f"{party.issuer}/protocol/openid-connect/logout", data=form).status_code == 204
        assert party.logout_token


@pytest.mark.parametrize("asked", [{"scope": "openid offline_access"}, {"response_mode": "form_post"}])
def test_what_apps_ask_for(keycloak: admin_rest.Keycloak, http_client: httpx.Client, asked: dict[str, str]) -> None:
    with serving(RelyingParty(http_client, **asked)) as party:
        party.issuer = f"{keycloak.url}/realms/{made(keycloak, app_url=party.url)}"
        assert enter(party, http_client).text == "hello alice"


def test_direct_grant_for_tests(keycloak: admin_rest.Keycloak, http_client: httpx.Client) -> None:
    party = RelyingParty(http_client)
    party.issuer = f"{keycloak.url}/realms/{made(keycloak)}"
    granted = party.ask("token", grant_type="password", username="alice", password=PASSWORD, scope="openid")
    assert "id_token" in granted


def test_pkce_can_be_demanded(keycloak: admin_rest.Keycloak, http_client: httpx.Client) -> None:
    name = made(keycloak, require_pkce=True)
    query = {"client_id": "app", "response_type": "code", "redirect_uri": "http://127.0.0.1:9/callback"}
    url = f"{keycloak.url}/realms/{name}/protocol/openid-connect/auth?{urlencode(query)}"
    answer = http_client.get(url)
    assert answer.status_code == 302
    assert "code_challenge_method" in answer.headers["location"]


def test_refused_logins(keycloak: admin_rest.Keycloak, party: RelyingParty, http_client: httpx.Client) -> None:
    party.issuer = f"{keycloak.url}/realms/{made(keycloak, app_url=party.url)}"
    with pytest.raises(RecipeFailedError, match=r"alice: .*Invalid username or password") as caught:
        enter(party, http_client, "wrong-canary")
    assert "canary" not in repr(caught.value) + caught.value.log

    party.issuer = f"{keycloak.url}/realms/{made(keycloak)}"
    with pytest.raises(RecipeFailedError, match=r"refuses the app's redirect URI http://127.0.0.1:\d+/callback"):
        enter(party, http_client)

    party.asked["client_id"] = "other"
    with pytest.raises(RecipeFailedError, match="Client not found"):
        enter(party, http_client)

    party.issuer = f"{keycloak.url}/realms/ci-none"
    with pytest.raises(RecipeFailedError, match="Realm does not exist"):
        enter(party, http_client)


def test_incomplete_account(keycloak: admin_rest.Keycloak, party: RelyingParty, http_client: httpx.Client) -> None:
    name = made(keycloak, app_url=party.url)
    party.issuer = f"{keycloak.url}/realms/{name}"
    (user,) = keycloak.get(f"/admin/realms/{name}/users?username=alice").body
    keycloak.ask("PUT", f"/admin/realms/{name}/users/{user['id']}", {"requiredActions": ["UPDATE_PASSWORD"]})
    with pytest.raises(RecipeFailedError, match="first demands UPDATE_PASSWORD"):
        enter(party, http_client)


def test_browser_that_loses_its_cookies(
    keycloak: admin_rest.Keycloak, party: RelyingParty, http_client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not keycloak.url.startswith("http:"):
        pytest.skip("over https Secure cookies always come back")
    party.issuer = f"{keycloak.url}/realms/{made(keycloak, app_url=party.url)}"
    monkeypatch.setattr(http_client, "event_hooks", {})
    with pytest.raises(RecipeFailedError, match="did not get its cookies back"):
        enter(party, http_client)
