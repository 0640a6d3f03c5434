"""What is read again of a checkout is not loaded again, and nobody changes what others were given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from warmci.base import docker_cli, process
from warmci.base.errors import RecipeFailedError
from warmci.recipe import compose
from warmci.recipe.loads import Loads

if TYPE_CHECKING:
    from pathlib import Path

_TEXT = """
services: {app: {image: "busybox:$TAG", secrets: [pw]}}
secrets: {pw: {external: true, name: "x_pw_${SECRET_PW_VERSION}"}}
"""
_SCOPE = {"TAG": "1", "SECRET_PW_VERSION": "v1"}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    found: list[object] = []
    real = process.run_limited

    def counted(argv: list[str], **more: object) -> int:
        found.append(argv)
        return real(argv, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(process, "run_limited", counted)
    return found


def test_the_same_is_loaded_once_and_is_the_callers_own(tmp_path: Path, started: list[object]) -> None:
    (tmp_path / "compose.yml").write_text(_TEXT, encoding="utf-8")
    cli, loads = docker_cli.find(None), Loads()
    first = loads.document(tmp_path, ["compose.yml"], _SCOPE, cli)
    assert first == compose.load_compose(tmp_path, ["compose.yml"], _SCOPE, cli)
    assert len(started) == 2
    first["services"]["app"]["image"] = "changed"
    again = loads.document(tmp_path, ["compose.yml"], dict(_SCOPE), cli)
    assert again["services"]["app"]["image"] == "busybox:1"
    for _ in range(2):
        found = loads.secret_variables(tmp_path, ["compose.yml"], cli)
        assert found == {"pw": ["SECRET_PW_VERSION"]}
    assert len(started) == 3


def test_another_scope_or_checkout_is_another_question(tmp_path: Path, started: list[object]) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "compose.yml").write_text(_TEXT.replace("busybox", name), encoding="utf-8")
    cli, loads = docker_cli.find(None), Loads()
    images = [
        loads.document(tmp_path / name, ["compose.yml"], {**_SCOPE, "TAG": tag}, cli)["services"]["app"]["image"]
        for name, tag in (("old", "1"), ("new", "1"), ("new", "2"))
    ]
    assert images == ["old:1", "new:1", "new:2"]
    assert len(started) == 3


def test_what_was_refused_is_asked_again(tmp_path: Path) -> None:
    (tmp_path / "compose.yml").write_text("services: 1\n", encoding="utf-8")
    cli, loads = docker_cli.find(None), Loads()
    with pytest.raises(RecipeFailedError):
        loads.document(tmp_path, ["compose.yml"], _SCOPE, cli)
    (tmp_path / "compose.yml").write_text(_TEXT, encoding="utf-8")
    assert loads.document(tmp_path, ["compose.yml"], _SCOPE, cli)["services"]
