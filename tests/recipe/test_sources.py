"""Where a recipe is cloned from, and what is told of a place that wants a login."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from warmci.base.errors import InfraError, UsageError
from warmci.base.settings import Settings
from warmci.recipe.repository import clone
from warmci.recipe.sources import Source, sources, to_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _AsksWho(BaseHTTPRequestHandler):
    """As Gitea answers for what it does not have, or does not show."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="Gitea"')
        self.end_headers()


@pytest.fixture
def forge() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _AsksWho) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_forge_that_asks_for_a_login_knows_no_such_recipe(tmp_path: Path, forge: str) -> None:
    (tmp_path / "work").mkdir()
    asked = Settings.model_validate({"state_dir": tmp_path, "recipe_source": f"http://{forge}/{{recipe}}.git"})
    with pytest.raises(UsageError, match=r"^unknown recipe typo, or a private one: .*/typo\.git asks for a login$"):
        clone(asked, "typo", tmp_path / "work")


@pytest.mark.parametrize("login", ["canary", "canary:x", "canary:", "me:canary", "me:ca@canary", ":canary"])
def test_a_login_of_the_settings_is_shown_nowhere(tmp_path: Path, forge: str, login: str) -> None:
    source = f"http://{login}@{forge}/{{recipe}}.git"
    asked = Settings.model_validate({"state_dir": tmp_path, "recipe_source": source})
    with pytest.raises((UsageError, InfraError)) as caught:
        clone(asked, "demo", tmp_path / "work")
    assert f"http://{forge}/demo.git" in str(caught.value)
    assert "canary" not in f"{caught.value} {caught.value.hint}"
    (one,) = sources(asked, "demo")
    assert one.public == f"http://{forge}/demo.git"


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("HTTPS://canary@example.org/demo.git", "HTTPS://example.org/demo.git"),
        ("https://example.org/a@b/demo.git", "https://example.org/a@b/demo.git"),
        ("ssh://git:canary@example.org/demo.git", "ssh://example.org/demo.git"),
        ("ssh://git@example.org/demo.git", "ssh://git@example.org/demo.git"),
        ("git@example.org:me/demo.git", "git@example.org:me/demo.git"),
        ("/srv/git/demo", "/srv/git/demo"),
    ],
)
def test_what_logs_in_is_taken_out_and_nothing_else(url: str, public: str) -> None:
    assert Source(url).public == public


def test_only_a_source_that_no_setting_leads_to_must_be_named(tmp_path: Path) -> None:
    settings = Settings(
        state_dir=tmp_path, recipe_source=("https://me:canary@git.example/{recipe}.git", "/srv/recipes/{recipe}")
    )
    for known in ("", "https://git.example/wiki.git", "/srv/recipes/wiki"):
        assert to_name(settings, "wiki", known) == ""
    for other in ("/home/me/wiki", "https://elsewhere.example/wiki.git", "/srv/recipes/other"):
        assert to_name(settings, "wiki", other) == other
