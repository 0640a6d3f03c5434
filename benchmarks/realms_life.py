"""A Keycloak that lives through thousands of realms: time, memory, database; and beside others' realms.

At the demo's live Keycloak. Each realm is made, logged in to, and deleted, as a run does it. Writes a section of
docs/benchmarks.md. It never fails on a figure, only on a realm that is left behind.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import platform
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

import jvm
from page import write_section
from realms import made, spec_of
from warmci.base import netns
from warmci.base.disk import sizes
from warmci.base.errors import InfraError
from warmci.base.labels import INSTANCE_LABEL, LIVE_RUN, NAMESPACE_LABEL, RECIPE_LABEL, RUN_LABEL
from warmci.base.settings import Settings, default_docker_host
from warmci.base.state import open_state
from warmci.cli.demo import DEMO_ROOT
from warmci.demo import story
from warmci.live import keycloak as live
from warmci.live import keycloak_json
from warmci.report.console import Console
from warmci.sso import keycloak_app, realm_lifecycle
from warmci.swarm.engine import Engine
from warmci.swarm.undeploy import undeploy_stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warmci.sso.realm_spec import RealmSpec

LOGIN_EVERY = 4
MINUTES_OF_OTHERS = 10
OTHERS = (1, 10, 100, 200)
HEAD = """| realms so far | create | login | delete | per minute | RSS MB | live heap MB | database MB | left | load |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""
OTHERS_HEAD = """| others' realms | create | login | delete | list | RSS MB | live heap MB | database MB |
| --- | --- | --- | --- | --- | --- | --- | --- |"""


@dataclass(frozen=True)
class Times:
    create: float
    login: float | None
    delete: float

    @staticmethod
    def cells(times: Sequence[Times]) -> list[str]:
        """The median of each."""
        parts = ([getattr(item, name) for item in times] for name in ("create", "login", "delete"))
        return [f"{statistics.median(seconds for seconds in part if seconds is not None):.2f}" for part in parts]


class Bench:
    def __init__(self, settings: Settings) -> None:
        record = keycloak_json.load_live(settings)
        if record is None or record.external:
            raise SystemExit("no live Keycloak of this host")
        self.settings, self.record = settings, record
        self.owner = self.maker = open_state(settings.state_dir).instance

    def create(self, _: int = 0) -> RealmSpec:
        spec = spec_of(self.maker)
        made(self.settings, self.record.access, spec)
        return spec

    def log_in(self, spec: RealmSpec) -> None:
        form = {"grant_type": "password", "client_id": spec.client_id, "scope": "openid"}
        form |= {"client_secret": spec.client_secret.get_secret_value(), "username": spec.users[0].username}
        form["password"] = spec.users[0].password.get_secret_value()
        with keycloak_app.client_for(self.settings, self.record.url) as client:
            path = f"/realms/{spec.name}/protocol/openid-connect/token"
            client.post(path, data=form).raise_for_status()

    def delete(self, name: str) -> None:
        with keycloak_app.connected(self.settings, self.record.access) as keycloak:
            realm_lifecycle.delete_keycloak_realm(keycloak, name)

    def once(self, number: int = 0, end: float = math.inf) -> Times | None:
        """None when the time is over, or it went wrong. Every fourth logs in."""
        if time.monotonic() > end:
            return None
        try:
            return self._once(login=number % LOGIN_EVERY == 0)
        except (InfraError, httpx.HTTPError) as error:
            print(f"failed: {error}", flush=True)
            return None

    def _once(self, *, login: bool) -> Times:
        began = time.monotonic()
        spec = self.create()
        created = time.monotonic()
        if login:
            self.log_in(spec)
        logged_in = time.monotonic()
        self.delete(spec.name)
        return Times(created - began, logged_in - created if login else None, time.monotonic() - logged_in)

    def listed(self) -> tuple[int, float]:
        """How many realms there are, and the seconds that Keycloak takes to say so."""
        with keycloak_app.connected(self.settings, self.record.access) as keycloak:
            keycloak.new_token()
            began = time.monotonic()
            return len(realm_lifecycle.list_realms(keycloak)), time.monotonic() - began

    def stacks(self, engine: Engine) -> set[str]:
        services = engine.services([f"{INSTANCE_LABEL}={self.owner}", f"{RUN_LABEL}={LIVE_RUN}"])
        labels = [item["Spec"]["Labels"] for item in services]
        return {str(item[NAMESPACE_LABEL]) for item in labels if item[RECIPE_LABEL] == keycloak_app.RECIPE}

    def held(self) -> list[str]:
        """RSS of Keycloak's processes, live heap, and its volumes on disk, in MB."""
        with closing(Engine(self.settings.docker_host)) as engine:
            of_stacks = [engine.containers([f"{NAMESPACE_LABEL}={name}"], running=True) for name in self.stacks(engine)]
        found = [pid for containers in of_stacks for item in containers for pid in jvm.processes(item["Id"])]
        rss = sum(map(jvm.rss_mb, found))
        heap = jvm.live_heap_mb(max(found, key=jvm.rss_mb))
        volumes = keycloak_json.generation_dir(self.settings, self.record.generation) / "volumes"
        database = sizes([volumes])[volumes].bytes / 2**20
        return [str(rss), "-" if heap is None else str(heap), f"{database:.1f}"]


def line(*cells: str) -> str:
    said = f"| {' | '.join(cells)} |"
    print(said, flush=True)
    return said


def life(bench: Bench, realms: int, blocks: int, at_once: int, end: float) -> list[str]:
    """Rows of the first table; stops within a block when the time is over."""
    rows, done = [line("0", "", "", "", "", *bench.held(), str(bench.listed()[0]), f"{os.getloadavg()[0]:.0f}")], 0
    with ProcessPoolExecutor(at_once) as pool:
        while done < realms and time.monotonic() < end:
            began, size = time.monotonic(), min(-(-realms // blocks), realms - done)
            asked = pool.map(bench.once, range(size), itertools.repeat(end))
            times = [item for item in asked if item is not None]
            if not times:
                break
            done += len(times)
            pace = 60 * len(times) / (time.monotonic() - began)
            left = bench.listed()[0]
            cells = [*Times.cells(times), f"{pace:.0f}", *bench.held(), str(left), f"{os.getloadavg()[0]:.0f}"]
            rows.append(line(str(done), *cells))
    return rows


def restarted(bench: Bench, console: Console) -> list[str]:
    """What the same Keycloak holds after it was stopped in good order and `reconcile` started it again."""
    with closing(Engine(bench.settings.docker_host)) as engine:
        for stack in bench.stacks(engine):
            undeploy_stack(engine, stack, graceful=True)
    live.reconcile(bench.settings, console)
    bench.once()
    what = "stopped and started again, after the table below"
    return [line(what, "", "", "", "", *bench.held(), str(bench.listed()[0]), "")]


def among_others(bench: Bench, at_once: int, pairs: int, end: float) -> list[str]:
    """Rows of the second table: realms of other runs stay while one at a time is made and deleted."""
    rows: list[str] = []
    others: list[str] = []
    with ProcessPoolExecutor(at_once) as pool:
        try:
            for number in OTHERS:
                while len(others) < number and time.monotonic() < end:
                    size = min(at_once, number - len(others))
                    others += [spec.name for spec in pool.map(bench.create, range(size))]
                times = [item for item in (bench.once() for _ in range(pairs)) if item is not None]
                listing = statistics.median(bench.listed()[1] for _ in range(pairs))
                rows.append(line(str(len(others)), *Times.cells(times), f"{listing:.3f}", *bench.held()))
                if time.monotonic() > end:
                    break
        finally:
            list(pool.map(bench.delete, others))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--realms", type=int, default=2000)
    parser.add_argument("--blocks", type=int, default=10)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--pairs", type=int, default=7, help="realms made and deleted one at a time among the others")
    parser.add_argument("--minutes", type=float, default=25, help="bound on the first curve")
    parser.add_argument("--root", type=Path, default=DEMO_ROOT)
    options = parser.parse_args()
    settings = story.prepare(options.root, default_docker_host(), Console()).settings
    if settings.netns is not None:
        netns.enter(settings.netns)
    settings = settings.model_copy(update={"realm_max": max(OTHERS) + 2 * options.at_once + settings.realm_max})
    live.reconcile(settings, Console())
    bench = Bench(settings)
    before = bench.listed()[0]
    end = time.monotonic() + 60 * options.minutes
    first = life(bench, options.realms, options.blocks, options.at_once, end)
    reached = first[-1].split("|")[1].strip()
    said = f"{reached} realms of {options.realms} in {options.minutes:.0f} minutes at most, {options.at_once} at once"
    write_page(bench, said, first, [])  # should the rest be broken off
    second = among_others(bench, options.at_once, options.pairs, end + 60 * MINUTES_OF_OTHERS)
    write_page(bench, said, [*first, *restarted(bench, Console())], second)
    if bench.listed()[0] != before:
        raise SystemExit(f"{bench.listed()[0]} realms are left, {before} were there before")


def write_page(bench: Bench, said: str, first: Sequence[str], second: Sequence[str]) -> None:
    with closing(Engine(bench.settings.docker_host)) as engine:
        version = engine.version()
    lines = [
        f"Keycloak {bench.record.version} of the demo (a heap of at most 256 MB, its database a file of H2), engine"
        f" {version}, Linux {platform.release()}, {os.cpu_count()} cores, Python {platform.python_version()}. The load"
        " stands beside the figures: where it is far above the number of cores, seconds tell of the machine.",
        "",
        f"{said}, each in a process of its own as runs are, with a client and a user; every fourth user logs in. Median"
        " seconds of a block: connect, log in, count the realms and create; the user's login; connect, log in and"
        " delete. The live heap is what a full collection leaves, the database is the volumes on disk, `left` counts"
        " what was there before, too.",
        "",
        HEAD,
        *first,
    ]
    if second:
        lines += ["", "Medians of one at a time with realms of other runs there, and how long Keycloak's list takes:"]
        lines += ["", OTHERS_HEAD, *second]
    write_section("A Keycloak that lives through many realms", "\n".join(lines))


if __name__ == "__main__":
    main()
