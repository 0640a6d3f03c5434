"""The ledger: what there is of a run. Its id is new, so all of that at its end is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.base.errors import InfraError, WarmciError
from warmci.base.labels import INSTANCE_LABEL, LIVE_RUNS, NAMESPACE_LABEL, RUN_LABEL
from warmci.base.models import Ledger
from warmci.base.run_locks import is_alive
from warmci.live import keycloak_json
from warmci.sso import keycloak_app, realm_lifecycle
from warmci.store.attach import leftover_mounts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from warmci.base.settings import Settings
    from warmci.swarm.engine import Engine


def take(engine: Engine, settings: Settings, instance: str, run: str) -> Ledger:
    """What there is of this run now; for no run (""), of every run that is dead.

    What another run left, or is using, is neither this one's fault nor its to clean up.
    """
    ours = [f"{INSTANCE_LABEL}={instance}"]

    def counts(labels: dict[str, str] | None) -> bool:
        owner = (labels or {}).get(RUN_LABEL, "")
        return owner == run if run else owner not in LIVE_RUNS and not _is_run_alive(settings, owner)

    services = [item["Spec"] for item in engine.services(ours) if counts(item["Spec"]["Labels"])]
    networks = [item for item in engine.networks(ours) if counts(item["Labels"])]
    stacks = {str(item["Labels"].get(NAMESPACE_LABEL)) for item in (*services, *networks)}
    everyone = engine.containers([NAMESPACE_LABEL])
    return Ledger(
        stacks=_sorted(stacks),
        containers=_sorted(item["Names"][0] for item in everyone if item["Labels"].get(NAMESPACE_LABEL) in stacks),
        networks=_sorted(item["Name"] for item in networks),
        volumes=_sorted(item["Name"] for item in engine.volumes(ours) if counts(item["Labels"])),
        secrets=_sorted(i["Spec"]["Name"] for i in engine.secrets(ours) if counts(i["Spec"]["Labels"])),
        configs=_sorted(i["Spec"]["Name"] for i in engine.configs(ours) if counts(i["Spec"]["Labels"])),
        realms=_realms(settings, instance, run),
        mounts=_sorted(
            str(path) for path in leftover_mounts(settings.state_dir) if _counts_mount(settings, path.parts, run)
        ),
    )


def leftovers(found: Ledger) -> tuple[str, ...]:
    """All of it, as "kind name"."""
    return tuple(f"{kind.removesuffix('s')} {name}" for kind in Ledger.model_fields for name in getattr(found, kind))


def _is_run_alive(settings: Settings, run: str) -> bool:
    try:
        return is_alive(settings.state_dir, run)
    except WarmciError:
        return False  # "live" and other words that are no run's id


def _counts_mount(settings: Settings, parts: tuple[str, ...], run: str) -> bool:
    below = parts[len(settings.runs_dir.resolve().parts) :]
    return bool(below) and (below[0] == run if run else not _is_run_alive(settings, below[0]))


def _realms(settings: Settings, instance: str, run: str) -> tuple[str, ...]:
    live = keycloak_json.load_live(settings)
    if live is None or keycloak_app.unhealthy(settings, live.url) is not None:
        return ()
    try:
        with keycloak_app.connected(settings, live.access) as keycloak:
            realms = realm_lifecycle.list_realms(keycloak)
    except InfraError:
        return ()  # a run's own realm is proved gone by its deletion; another run's is not at issue
    ours = [realm for realm in realms if realm.owner == instance]
    return _sorted(
        realm.name for realm in ours if (realm.run == run if run else not _is_run_alive(settings, realm.run))
    )


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(names))
