"""What the two halves of a cold run tell each other: when the fresh one may begin, when the realm may go."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from warmci.base import names
from warmci.base.errors import BusyError, RecipeFailedError
from warmci.run import cold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmci.run.context import Context

HOME = "app.ci.example"


class FakeApp:
    """Notes what is done with it; red where `red` says."""

    def __init__(self, context: Any, placement: str, title: str, *_: object, **__: object) -> None:
        self.context, self.placement, self.title = context, placement, title
        self.version, self.secrets, self.env_commit = "", dict[str, str](), ""

    def _do(self, what: str) -> None:
        self.context.did.append(f"{self.title}: {what}")
        if self.context.red == f"{self.title}: {what}":
            raise RecipeFailedError("red")

    def install(self, _commit: str, _stage: str) -> None:
        self._do("install")

    def upgrade(self, _commit: str) -> None:
        self._do("upgrade")

    def test(self, phase: str) -> None:
        self._do(f"tests ({phase})")

    def images(self) -> dict[str, str]:
        return {}

    def undeploy(self, **_: object) -> list[str]:
        self._do("undeploy")
        return []


@pytest.fixture
def cleanup(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    def opened(context: Any, apps: list[str]) -> object:
        context.apps = apps
        return SimpleNamespace(release=lambda: context.did.append("released"))

    monkeypatch.setattr(cold, "App", FakeApp)
    monkeypatch.setattr(cold, "at_end", lambda *_, **__: nullcontext())
    monkeypatch.setattr(cold, "open_realm", opened)
    monkeypatch.setattr(cold, "_volumes_root", lambda *_, **__: Path("/nowhere/volumes"))
    monkeypatch.setattr(names, "canonical_domain", lambda *_: HOME)
    with ExitStack() as stack:
        yield stack


def context(
    monkeypatch: pytest.MonkeyPatch, cleanup: ExitStack, *, bases: int = 1, slot: bool = True, red: str = ""
) -> Any:
    @contextmanager
    def second_slot() -> Iterator[None]:
        if not slot:
            raise BusyError("none is free")
        yield

    base = SimpleNamespace(commit="b", version="0.1.0+1.0")
    provided = SimpleNamespace(base=base if bases else None, documents=[])
    monkeypatch.setattr(cold, "provide_cold", lambda *_: provided)
    return SimpleNamespace(
        request=SimpleNamespace(recipe="app", keep=""),
        settings=SimpleNamespace(base_domain="ci.example", watch_s=0.0),
        repository=SimpleNamespace(bases_for=lambda _: [base] * bases),
        config=SimpleNamespace(needs=["keycloak"], sso=None),
        console=SimpleNamespace(say=lambda *_, **__: None),
        recorder=SimpleNamespace(stage=lambda _: nullcontext(SimpleNamespace(skipped=False, detail=""))),
        place=lambda domain: domain,
        place_cold=lambda: "cold",
        at_home=lambda placement: placement,
        deviate=lambda *_: None,
        dependencies={},
        realm=None,
        head="h",
        second_slot=second_slot,
        shielded=nullcontext,
        cleanup=cleanup,
        did=[],
        red=red,
    )


def run(made: Any, coming: Any) -> None:
    cold.run_cold(cast("Context", made), coming)


def test_the_realm_goes_with_the_last_half_that_is_green(monkeypatch: pytest.MonkeyPatch, cleanup: ExitStack) -> None:
    made = context(monkeypatch, cleanup)
    run(made, "none")
    did = made.did
    assert len(made.apps) == did.count("released") == 2
    assert did.index("upgrade: install") < did.index("fresh: install")
    last = len(did) - 1 - did[::-1].index("released")
    assert last > did.index("fresh: tests (install)")
    assert last > did.index("upgrade: tests (upgrade)")


@pytest.mark.parametrize(("coming", "apps", "released"), [("advance", 3, 2), ("seed", 2, 1), ("none", 2, 2)])
def test_it_stays_for_whoever_may_yet_need_it(
    monkeypatch: pytest.MonkeyPatch, cleanup: ExitStack, coming: str, apps: int, released: int
) -> None:
    """A promotion's app, and one that still writes to data that is kept."""
    made = context(monkeypatch, cleanup, slot=False)
    run(made, coming)
    assert (len(made.apps), made.did.count("released")) == (apps, released)
    assert (HOME in made.apps) == (coming != "none")


@pytest.mark.parametrize(
    "red",
    ["fresh: install", "fresh: tests (install)", "upgrade: install", "upgrade: upgrade", "upgrade: tests (upgrade)"],
)
@pytest.mark.parametrize("slot", [True, False])
def test_a_red_half_releases_nothing(monkeypatch: pytest.MonkeyPatch, cleanup: ExitStack, red: str, slot: bool) -> None:
    made = context(monkeypatch, cleanup, slot=slot, red=red)
    with pytest.raises(RecipeFailedError):
        run(made, "none")
    if slot:  # the other half may have come to its end
        assert made.did.count("released") <= 1
    else:
        assert made.did.count("released") == (0 if red.startswith("fresh") else 1)


def test_a_first_release_has_one_app(monkeypatch: pytest.MonkeyPatch, cleanup: ExitStack) -> None:
    made = context(monkeypatch, cleanup, bases=0)
    run(made, "none")
    assert (made.apps, made.did.count("released")) == (["cold"], 1)
