"""Fixtures for recipe tests: `app`, `sso`, `deps`, and the marker `seed`. Loaded by suite.py into its pytest run."""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from warmci.testing.sso import Sso

# Heavy modules are imported in the fixtures: a quick run lasts seconds, and tests may need none of them.
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

    import httpx
    from pydantic import SecretStr

    from warmci.testing.suite import TestContext

__all__ = ["App", "Sso"]
CONTEXT_VARIABLE = "WARMCI_TEST_CONTEXT"
COLLECTED_VARIABLE = "WARMCI_COLLECTED"
INFRASTRUCTURE = "warmci-infrastructure"
_POLL_S = 0.005
_finished = pytest.StashKey[int]()


class App:
    """The recipe under test, deployed."""

    def __init__(self, context: TestContext, client: httpx.Client) -> None:
        self.recipe = context.recipe
        self.url = context.url
        self.domain = context.domain
        self.client = client
        """Its base is `url`; one cookie jar for the whole session."""
        self._context = context

    def secret(self, name: str) -> str:
        """Value of a secret of the recipe, by its name without version. Raises KeyError naming what there is."""
        return _value(self._context.secrets, name)

    def exec(self, service: str, argv: Sequence[str]) -> str:
        """Output of a command in the service's running container. Raises RecipeFailedError unless it ends with 0."""
        from warmci.base.errors import RecipeFailedError  # noqa: PLC0415
        from warmci.swarm.engine import Engine  # noqa: PLC0415  (start-up time)

        code, output = Engine(self._context.docker_host).exec_in_service(self._context.stack, service, argv)
        if code != 0:
            raise RecipeFailedError(f"{argv[0]} in service {service} ended with {code}: {output.strip()[-500:]}")
        return output

    def logs(self, service: str, tail: int = 100) -> str:
        """The last lines that the service's newest containers wrote."""
        from warmci.swarm.engine import Engine  # noqa: PLC0415  (start-up time)

        return Engine(self._context.docker_host).service_logs(self._context.stack, service, tail)


def _value(secrets: Mapping[str, SecretStr], name: str) -> str:
    if name not in secrets:
        raise KeyError(f"the recipe has no secret {name}; it has: {', '.join(sorted(secrets)) or 'none'}")
    return secrets[name].get_secret_value()


def _client(context: TestContext) -> httpx.Client:
    from warmci.base.http import client  # noqa: PLC0415  (start-up time)

    return client(base_domain=context.base_domain, address=context.address, base_url=context.url, ca=context.ca)


def _context_text() -> str:
    """Wait for it: the app may not be ready yet. Whoever started us ends us, too."""
    name = os.environ.get(CONTEXT_VARIABLE)
    if not name:
        raise pytest.UsageError(f"{CONTEXT_VARIABLE} is not set: recipe tests are started by warmci")
    path = Path(name)
    if not path.exists():
        # What the fixtures need, while there is time.
        importlib.import_module("warmci.testing.suite")
        importlib.import_module("warmci.base.http")
    while not path.exists():
        time.sleep(_POLL_S)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def warmci_context() -> TestContext:
    from warmci.testing.suite import TestContext  # noqa: PLC0415  (start-up time)

    return TestContext.model_validate_json(_context_text())


@pytest.fixture(scope="session")
def app(warmci_context: TestContext) -> Iterator[App]:
    with _client(warmci_context) as client:
        yield App(warmci_context, client)


@pytest.fixture(scope="session")
def sso(warmci_context: TestContext) -> Iterator[Sso]:
    if warmci_context.sso is None:
        pytest.fail(
            f'recipes/{warmci_context.recipe}/recipe.toml lacks the line needs = ["keycloak"]: this run has no realm',
            pytrace=False,
        )
    sso = Sso(warmci_context.sso, warmci_context.url, lambda: _client(warmci_context))
    yield sso
    sso.close()


@pytest.fixture(scope="session")
def deps(warmci_context: TestContext) -> dict[str, str]:
    """Dependency to its URL."""
    return dict(warmci_context.deps)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "seed: puts data into the app that the other tests find again after an upgrade")
    config.stash[_finished] = 0
    # A hanging suite is ended by TERM: leave word of where it hung.
    faulthandler.register(signal.SIGTERM, file=sys.__stderr__ or sys.stderr, chain=True)


def _by_phase(items: Sequence[pytest.Item]) -> dict[str, list[pytest.Item]]:
    """install: all, seeding first; base: seeding only; upgrade and quick: all but seeding."""
    seeding = [item for item in items if item.get_closest_marker("seed")]
    others = [item for item in items if not item.get_closest_marker("seed")]
    return {"install": [*seeding, *others], "base": seeding, "upgrade": others, "quick": others}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    phases = _by_phase(items)
    if into := os.environ.get(COLLECTED_VARIABLE):
        told = {phase: [item.nodeid for item in part] for phase, part in phases.items()}
        Path(into).write_text(json.dumps(told), "utf-8")
        return
    selected = phases[cast("str", json.loads(_context_text())["phase"])]
    if left_out := [item for item in items if item not in selected]:
        config.hook.pytest_deselected(items=left_out)
    items[:] = selected


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Leave word of a failure that is the infrastructure's: the run that started us says so, then."""
    from warmci.base.errors import InfraError  # noqa: PLC0415  (start-up time)

    if call.excinfo is not None and isinstance(call.excinfo.value, InfraError):
        item.user_properties.append((INFRASTRUCTURE, call.excinfo.value.message))
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    done = yield
    item.config.stash[_finished] += 1
    return done


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A session that a test ended early (pytest.exit with code 0) is not a passed one."""
    if session.config.option.collectonly:
        return
    if session.exitstatus == pytest.ExitCode.OK and session.config.stash[_finished] < len(session.items):
        session.exitstatus = pytest.ExitCode.INTERRUPTED
