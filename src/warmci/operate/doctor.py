"""What a run needs, checked one by one; never raises, says the next command."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from warmci.base import docker_cli
from warmci.base.errors import InfraError
from warmci.base.findings import Check, checked
from warmci.base.state import open_state
from warmci.live import ingress, preflight
from warmci.operate import doctor_host
from warmci.recipe.render import has_ipvs
from warmci.swarm import addresses, haproxy
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from warmci.base.settings import Settings


def examine(settings: Settings) -> list[Check]:
    """All checks, whatever the others say."""
    return [
        checked("state directory", lambda: _state(settings)),
        checked("engine", lambda: _engine(settings)),
        checked("addresses", lambda: _addresses(settings)),
        checked("docker CLI", lambda: _cli(settings)),
        checked("haproxy", _haproxy),
        checked("openssl", _openssl),
        checked("IPVS", _ipvs),
        checked("ingress", lambda: ingress.examine(settings)),
        *preflight.examine(settings),
        *doctor_host.examine(settings),
    ]


def _state(settings: Settings) -> Check:
    state = open_state(settings.state_dir)
    return Check(name="state directory", status="ok", detail=f"{state.dir}, instance {state.instance}")


def _engine(settings: Settings) -> Check:
    engine = Engine(settings.docker_host)
    engine.require_swarm()
    return Check(name="engine", status="ok", detail=f"{engine.version()} at {settings.docker_host}, swarm manager")


def _addresses(settings: Settings) -> Check:
    """Of networks that apps share: a full one starts nothing more, and lost addresses come back at a restart only."""
    found = addresses.shared_usage(Engine(settings.docker_host))
    short = any(usage.share >= addresses.WARN_SHARE for usage in found)
    detail = "; ".join(map(str, found)) or "no shared network"
    hint = addresses.WAY_OUT if short else ""
    return Check(name="addresses", status="warning" if short else "ok", detail=detail, hint=hint)


def _cli(settings: Settings) -> Check:
    cli = docker_cli.find(settings.docker_cli)
    if cli.is_current:
        return Check(name="docker CLI", status="ok", detail=f"{cli}, reads recipes")
    detail = f"{cli} reads yes, no, dates and double keys of YAML otherwise than 28 and newer"
    return Check(name="docker CLI", status="warning", detail=detail, hint=docker_cli.HINT)


def _haproxy() -> Check:
    return Check(name="haproxy", status="ok", detail=f"{haproxy.require()}, for the ingress direct")


def _openssl() -> Check:
    found = shutil.which("openssl")
    if found is None:
        raise InfraError(
            "openssl is not installed: it makes certificates, and the keys of realms", hint="apt-get install openssl"
        )
    return Check(name="openssl", status="ok", detail=f"{found}, for certificates and the keys of realms")


def _ipvs() -> Check:
    if has_ipvs():
        return Check(name="IPVS", status="ok", detail="the kernel serves virtual addresses")
    return Check(name="IPVS", status="warning", detail="absent: endpoint_mode dnsrr is used, said in every result")
