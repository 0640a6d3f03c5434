"""A realm made and deleted by WarmCI, beside the two bare HTTP calls, and beside deploying a Keycloak for the run.

In turn, in one run, at the demo's live Keycloak. Writes a section of docs/benchmarks.md. It never fails on a figure.
"""

from __future__ import annotations

import argparse
import os
import platform
import secrets
import shutil
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from page import row, write_section
from warmci.base import names, netns
from warmci.base.ports import Ports
from warmci.base.settings import Settings, default_docker_host
from warmci.base.side_by_side import beside
from warmci.base.state import open_state
from warmci.cli.demo import DEMO_ROOT
from warmci.demo import story
from warmci.live import keycloak as live
from warmci.live import keycloak_json
from warmci.recipe.render import Placement, has_ipvs
from warmci.recipe.repository import clone, wanted_releases
from warmci.report.console import Console
from warmci.sso import admin_rest, keycloak_app, realm_keys, realm_lifecycle, realm_spec
from warmci.sso.realm_spec import realm_body
from warmci.swarm import reap
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    import httpx


def spec_of(owner: str) -> realm_spec.RealmSpec:
    alice = realm_spec.RealmUser(
        username="alice",
        password=SecretStr("pass"),
        email="alice@example.org",
        first_name="Alice",
        last_name="Example",
    )
    return realm_spec.RealmSpec(
        name=realm_lifecycle.new_realm_name("bench", "1", secrets.token_hex(4)),
        run=names.new_id(),
        owner=owner,
        host="bench",
        client_id="app",
        client_secret=SecretStr("secret"),
        redirect_uris=("http://app.localhost/*",),
        users=(alice,),
    )


def made(settings: Settings, access: admin_rest.KeycloakAccess, spec: realm_spec.RealmSpec) -> None:
    """As run/dependencies.py: keys, connection, login, count, create."""
    with beside(realm_keys.THREADS) as side, keycloak_app.connected(settings, access) as keycloak:
        keys = realm_keys.begin(side)
        realm_lifecycle.count_against_budget(keycloak, most=settings.realm_max)
        realm_lifecycle.create_keycloak_realm(keycloak, spec, keys=keys.finish(), announce=lambda _: None)


def by_warmci(settings: Settings, access: admin_rest.KeycloakAccess, owner: str) -> float:
    """As a run does it; then connection, login, delete."""
    spec = spec_of(owner)
    began = time.monotonic()
    made(settings, access, spec)
    with keycloak_app.connected(settings, access) as keycloak:
        realm_lifecycle.delete_keycloak_realm(keycloak, spec.name)
    return time.monotonic() - began


def by_two_calls(client: httpx.Client, token: str, owner: str) -> float:
    """The floor: an open connection, a token at hand, POST and DELETE."""
    body, headers = realm_body(spec_of(owner)), {"Authorization": f"Bearer {token}"}
    began = time.monotonic()
    client.post("/admin/realms", json=body, headers=headers).raise_for_status()
    client.delete(f"/admin/realms/{body['realm']}", headers=headers).raise_for_status()
    return time.monotonic() - began


def by_co_deployment(settings: Settings, engine: Engine, work: Path) -> float:
    """What a run without a live Keycloak does: deploy one, and remove it again."""
    ports = Ports(settings.locks_dir, settings.ports)
    domain = names.cold_domain(keycloak_app.RECIPE, settings.base_domain)
    placement = Placement(keycloak_app.RECIPE, domain, ports.take(domain), names.new_id(), "bench", not has_ipvs())
    placement = replace(placement, hosts={domain: engine.gateway()})
    began = time.monotonic()
    try:
        repository = clone(settings, keycloak_app.RECIPE, work)
        keycloak_app.deploy(
            engine,
            settings,
            keycloak_app.Site(placement, work / "volumes"),
            repository,
            wanted_releases(repository, settings.keycloak_ref)[-1].commit,
            work_dir=work,
            announce=lambda *_: None,
            console=Console(quiet=True),
        )
    finally:
        reap.remove_stack(engine, placement.labels, placement.stack)
        ports.release()
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="pairs to measure, after three that are not counted")
    parser.add_argument("--deployments", type=int, default=3)
    parser.add_argument("--root", type=Path, default=DEMO_ROOT)
    options = parser.parse_args()
    settings = story.prepare(options.root, default_docker_host(), Console()).settings
    if settings.netns is not None:
        netns.enter(settings.netns)
    live.reconcile(settings, Console())
    record = keycloak_json.load_live(settings)
    if record is None:
        raise SystemExit("no live Keycloak")
    owner = open_state(settings.state_dir).instance
    ours, bare = [], []
    for number in range(-3, options.runs):
        a = by_warmci(settings, record.access, owner)
        with keycloak_app.client_for(settings, record.url) as client:
            b = by_two_calls(client, admin_rest.Keycloak(record.access, client).new_token(), owner)
        if number >= 0:
            ours.append(a)
            bare.append(b)
    deployed = []
    with closing(Engine(settings.docker_host)) as engine:
        for number in range(options.deployments):
            work = options.root / f"bench-{number}"
            shutil.rmtree(work, ignore_errors=True)  # of a run that was broken off
            work.mkdir(mode=0o700)
            deployed.append(by_co_deployment(settings, engine, work))
            shutil.rmtree(work)
        version = engine.version()
    lines = [
        f"Keycloak {record.version}, engine {version}, Linux {platform.release()}, {os.cpu_count()} cores, Python"
        f" {platform.python_version()}; {options.runs} pairs in turn after three uncounted, {options.deployments}"
        f" deployments; load {os.getloadavg()[1]:.1f}.",
        "",
        "The bare calls have an open connection and a token at hand; WarmCI connects and logs in twice, counts the"
        " realms, and would settle a lost answer. Its realm has keys by openssl, theirs has Keycloak's own.",
        "",
        "| seconds | min | median | max |",
        "| --- | --- | --- | --- |",
        row("WarmCI: create and delete a realm", ours, 3),
        row("POST and DELETE alone", bare, 3),
        row("ratio WarmCI / bare", [a / b for a, b in zip(ours, bare, strict=True)]),
        row("a Keycloak deployed for the run and removed", deployed),
        row("ratio deployed / WarmCI's median", [d / sorted(ours)[len(ours) // 2] for d in deployed], 1),
    ]
    write_section("A realm of its own for each run", "\n".join(lines))


if __name__ == "__main__":
    main()
