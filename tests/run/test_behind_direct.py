"""The wait for an app behind WarmCI's own proxy: until it serves, in vain, or until it is dead."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from support import hostile_server
from warmci.base.errors import RecipeFailedError
from warmci.base.settings import Settings
from warmci.run import behind_direct
from warmci.run.behind_direct import BehindDirect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from warmci.recipe.ingress import Route
    from warmci.recipe.render import Placement


@pytest.fixture
def port() -> Iterator[int]:
    with hostile_server.running() as found:
        yield found


def asked(tmp_path: Path, port: int, path: str) -> BehindDirect:
    settings = Settings(state_dir=tmp_path, base_domain="warmci.localhost", ingress_address="127.0.0.2")
    placement = cast("Placement", SimpleNamespace(url_at=lambda host: f"http://{host}:{port}"))
    return BehindDirect(settings, placement, cast("Route", SimpleNamespace(host="app.warmci.localhost")), path)


def test_an_app_that_serves_is_not_waited_for(tmp_path: Path, port: int) -> None:
    alive: list[str] = []
    ok, _, listens = asked(tmp_path, port, "/").wait(lambda: alive.append("asked"))
    assert (ok, listens, alive) == (True, True, [])


def test_one_that_does_not_is_told_with_what_it_last_said(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(behind_direct, "_DEADLINE_S", 0.3)
    alive: list[str] = []
    ok, said, listens = asked(tmp_path, port, "/error").wait(lambda: alive.append("asked"))
    assert (ok, listens) == (False, True)
    assert said == f"http://app.warmci.localhost:{port}/error does not serve after 0 s; last: HTTP 500"
    assert alive


def test_the_wait_ends_where_it_is_in_vain(tmp_path: Path, port: int) -> None:
    def dead() -> None:
        raise RecipeFailedError("service app failed")

    with pytest.raises(RecipeFailedError, match="service app failed"):
        asked(tmp_path, port, "/error").wait(dead)
