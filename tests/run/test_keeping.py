"""Keeping an app is beside the verdict: what goes wrong with it is said, and the run's own end stands."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from support.results import RUN
from warmci.base import interrupts
from warmci.base.errors import InfraError, RecipeFailedError
from warmci.report.console import Console
from warmci.run import keeping
from warmci.run.kept_app import Keeping

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.base.models import RunResult


def nothing_told(_result: RunResult) -> None:
    raise AssertionError("nobody is told of an app that is not kept")


def a_run(tmp_path: Path, keep: str, **facts: Any) -> Any:
    return SimpleNamespace(
        request=SimpleNamespace(keep=keep, keep_s=0.0),
        keeping=Keeping(cast("Any", None), lambda _phase, _until: None, nothing_told),
        console=Console(),
        shielded=interrupts.shielded,
        require_infrastructure=lambda: None,
        run_id=RUN,
        run_dir=tmp_path,
        realm=None,
        **facts,
    )


class Unnamed:
    """An app whose facts are not to be had just now."""

    @property
    def own_tests(self) -> None:
        raise InfraError("the authority of this host cannot be read")


def test_an_app_that_cannot_be_kept_takes_nothing_from_a_red_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = a_run(tmp_path, "failure")
    with pytest.raises(RecipeFailedError, match="red"), keeping.at_end(context, cast("Any", Unnamed()), "install"):
        raise RecipeFailedError("red")
    assert "the app cannot be kept: the authority of this host cannot be read" in capsys.readouterr().err


def test_an_app_that_cannot_be_kept_takes_nothing_from_a_green_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with keeping.at_end(a_run(tmp_path, "always"), cast("Any", Unnamed()), "install"):
        pass
    assert "the app cannot be kept" in capsys.readouterr().err


@pytest.mark.parametrize(("has_app_lock", "held"), [(True, "the recipe's lock and a slot"), (False, "a slot")])
def test_the_invitation_says_what_the_run_holds(tmp_path: Path, has_app_lock: bool, held: str) -> None:
    """A work tree's run holds no lock of its recipe; a pull request's does where its realm's name is fixed."""
    context = a_run(tmp_path, "always", has_app_lock=has_app_lock)
    app = SimpleNamespace(placement=SimpleNamespace(url="http://app.test"))
    first = next(iter(keeping._invitation(context, cast("Any", app), datetime.now(UTC))))
    assert first.endswith(f"it holds {held}")
