"""Which ingress a run takes, from what an engine tells; the engine is a fake, its answers are as engines give them."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from warmci.base import authority, trust
from warmci.base.errors import InfraError
from warmci.base.labels import INGRESS_RUN, INSTANCE_LABEL, RUN_LABEL
from warmci.base.models import Ingress
from warmci.base.settings import Settings
from warmci.base.state import open_state
from warmci.live import host_traefik, ingress, ingress_json
from warmci.live.host_traefik import find_others, why_not
from warmci.live.ingress_json import IngressRecord
from warmci.live.traefik import TraefikStack
from warmci.swarm.published import publishers

if TYPE_CHECKING:
    from pathlib import Path

PROXY = {"Id": "n1", "Name": "proxy"}
RECORD = IngressRecord(
    domain="ingress.warmci.localhost", version="1.0.0+3.6.1", commit="c", fingerprint="f", password=SecretStr("hush")
)


def service(name: str, image: str, *, published: int = 443, network: str = "n1") -> dict[str, Any]:
    return {
        "Spec": {
            "Name": name,
            "Labels": {},
            "EndpointSpec": {"Ports": [{"Protocol": "tcp", "PublishedPort": published, "PublishMode": "host"}]},
            "TaskTemplate": {"ContainerSpec": {"Image": image, "Args": None}, "Networks": [{"Target": network}]},
        },
        "Endpoint": {"Spec": {}},
    }


def container(name: str, image: str, command: str = "", **networks: object) -> dict[str, Any]:
    return {
        "Names": [f"/{name}"],
        "Image": image,
        "Command": command,
        "Labels": {},
        "Ports": [{"PrivatePort": 443, "PublicPort": 443, "Type": "tcp", "IP": "0.0.0.0"}],  # noqa: S104
        "NetworkSettings": {"Networks": networks},
    }


class FakeEngine:
    def __init__(self, services: list[dict[str, Any]], containers: list[dict[str, Any]] | None = None) -> None:
        self._services, self._containers = services, containers or []
        self.pid: int | None = os.getpid()

    def process_id(self) -> int | None:
        return self.pid

    def services(self, _labels: object = ()) -> list[dict[str, Any]]:
        return self._services

    def containers(self, _labels: object = (), *, running: bool) -> list[dict[str, Any]]:
        assert running
        return self._containers

    def networks(self, _labels: object = ()) -> list[dict[str, str]]:
        return [PROXY, {"Id": "n2", "Name": "elsewhere"}]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=open_state(tmp_path / "state", floor_bytes=0).dir)


def choose(settings: Settings, engine: FakeEngine, **update: object) -> ingress.Chosen:
    return ingress.choose(settings.model_copy(update=update), engine, "me")  # type: ignore[arg-type]


TRAEFIK = service("traefik_example_com_app", "traefik:v3.6.1@sha256:0")


@pytest.mark.parametrize(
    ("engine", "word"),
    [
        (FakeEngine([TRAEFIK]), ""),
        (FakeEngine([service("proxy_app", "registry.example.org:5000/mirror/traefik:v2.11")]), ""),
        (FakeEngine([], [container("edge", "traefik", proxy={})]), ""),
        (FakeEngine([], [container("edge", "own/edge:1", "edge --providers.swarm=true", proxy={})]), ""),
        (FakeEngine([service("web", "nginx:1.27")]), "web (nginx:1.27) publishes port 443, and is no Traefik"),
        (FakeEngine([service("t", "traefik:v3", network="n2")]), "the Traefik t is not on the network proxy"),
        (FakeEngine([], [container("edge", "traefik", bridge={})]), "the Traefik edge is not on the network proxy"),
    ],
)
def test_a_hosts_own_traefik_is_told_by_port_image_and_network(engine: FakeEngine, word: str) -> None:
    (found,) = publishers(engine, 443)  # type: ignore[arg-type]
    assert why_not(found) == word


def test_who_publishes_another_port_and_our_own_live_one_are_no_others() -> None:
    ours = {INSTANCE_LABEL: "me", RUN_LABEL: INGRESS_RUN}
    engine = FakeEngine(
        [
            service("a", "traefik", published=8443),
            {**service("b", "traefik"), "Spec": {**service("b", "traefik")["Spec"], "Labels": ours}},
        ]
    )
    assert find_others(engine, "me") == []  # type: ignore[arg-type]
    assert [found.name for found in find_others(engine, "you")] == ["b"]  # type: ignore[arg-type]


def test_what_is_foreseen_without_an_engine(settings: Settings) -> None:
    def foreseen(**update: object) -> tuple[Ingress, str]:
        chosen = ingress.foreseen(settings.model_copy(update=update))
        return chosen.kind, chosen.scheme("https")

    assert foreseen() == (Ingress.DIRECT, "https")
    assert foreseen(base_domain="ci") == (Ingress.DIRECT, "http"), "no certificate can be made"
    assert foreseen(ingress="traefik", base_domain="ci") == (Ingress.TRAEFIK, "https")
    ingress_json.save_ingress(settings, RECORD)
    assert foreseen() == (Ingress.TRAEFIK, "https")
    assert foreseen(ingress="direct") == (Ingress.DIRECT, "https")


def test_auto_takes_the_hosts_own_where_its_certificate_is_trusted(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingress, "distrusted", lambda _: "")
    monkeypatch.setattr(ingress, "is_public", lambda _: True)
    chosen = choose(settings, FakeEngine([TRAEFIK]))
    assert (chosen.kind, chosen.api, chosen.is_live) == (Ingress.TRAEFIK, None, False)
    assert chosen.said == "traefik, the host's own: traefik_example_com_app (traefik:v3.6.1)"
    monkeypatch.setattr(ingress, "distrusted", lambda _: "self-signed certificate")
    with pytest.raises(InfraError, match=r"not trusted for names under .*: self-signed certificate"):
        choose(settings, FakeEngine([TRAEFIK]))


def test_what_any_image_trusts_is_asked_of_what_is_presented(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = authority.served(settings).ca
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(settings.tls_dir / "served.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setattr(host_traefik, "HTTPS", listener.getsockname()[1])

        def answer() -> None:
            for _ in range(2):
                with suppress(OSError), server.wrap_socket(listener.accept()[0], server_side=True):
                    pass

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        assert not host_traefik.is_public(settings)
        known = ssl.create_default_context(cadata=ca)
        monkeypatch.setattr(trust, "public_context", lambda: known)
        assert host_traefik.is_public(settings)
        answering.join()
    with pytest.raises(InfraError, match="does not answer"):
        host_traefik.is_public(settings)


def test_auto_without_a_traefik_is_direct_and_says_why(settings: Settings) -> None:
    chosen = choose(settings, FakeEngine([]))
    assert (chosen.kind, chosen.said) == (Ingress.DIRECT, "direct, because: no Traefik publishes port 443 here")
    assert "is no Traefik" in choose(settings, FakeEngine([service("web", "nginx")])).said


def test_traefik_without_one_is_infrastructure(settings: Settings) -> None:
    with pytest.raises(InfraError, match="no Traefik publishes port 443 here") as caught:
        choose(settings, FakeEngine([]), ingress="traefik")
    assert caught.value.hint == "warmci ingress reconcile"


def test_direct_speaks_https_unless_recipe_toml_or_the_host_is_against_it(settings: Settings) -> None:
    engine = FakeEngine([])
    found = choose(settings, engine)
    assert (found.scheme("https"), found.scheme("http"), found.plain) == ("https", "http", "")
    single = choose(settings, engine, base_domain="ci")
    assert single.scheme("https") == "http"
    assert single.plain == "no certificate can be made for names under ci: it has one label only"
    engine.pid = None  # an engine over TCP
    far = choose(settings, engine)
    assert (far.scheme("https"), far.plain) == ("http", "the engine's tasks cannot be reached from here")


def test_behind_traefik_it_is_always_https(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress, "distrusted", lambda _: "")
    monkeypatch.setattr(ingress, "is_public", lambda _: True)
    assert choose(settings, FakeEngine([TRAEFIK])).scheme("http") == "https"


def test_direct_asks_nobody(settings: Settings) -> None:
    assert choose(settings, FakeEngine([TRAEFIK]), ingress="direct").kind is Ingress.DIRECT


def test_a_live_one_that_does_not_serve_is_never_done_without(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another ingress would make each canonical anew."""
    ingress_json.save_ingress(settings, RECORD)
    monkeypatch.setattr(TraefikStack, "unhealthy", lambda *_: None)
    chosen = choose(settings, FakeEngine([TRAEFIK]))
    assert (chosen.kind, chosen.is_live) == (Ingress.TRAEFIK, True)
    assert chosen.said == "traefik, live-warm 1.0.0+3.6.1 at https://ingress.warmci.localhost"
    monkeypatch.setattr(TraefikStack, "unhealthy", lambda *_: "HTTP 404")
    with pytest.raises(InfraError, match="the live Traefik does not serve: HTTP 404"):
        choose(settings, FakeEngine([TRAEFIK]))


def test_the_record_is_read_as_it_was_written_and_its_password_is_not_shown(settings: Settings) -> None:
    ingress_json.save_ingress(settings, RECORD)
    path = settings.ingress_dir / "ingress.json"
    assert ingress_json.load_ingress(settings) == RECORD
    assert path.stat().st_mode & 0o777 == 0o600
    assert "hush" not in repr(RECORD)
    path.write_text('{"schema_version": 2}')
    with pytest.raises(InfraError, match="schema_version"):
        ingress_json.load_ingress(settings)
