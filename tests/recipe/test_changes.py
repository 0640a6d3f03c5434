"""What an upgrade changes, as a maintainer reads it: two commits of a real recipe, rendered by the real CLI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.begun import Begun
from warmci.base.models import Ingress
from warmci.recipe.changes import Change, changes, frozen_configs
from warmci.recipe.config import load_config
from warmci.recipe.reading import placed, read_commit
from warmci.recipe.repository import clone

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.recipe.render import Rendered


@pytest.fixture
def demo(tmp_path: Path) -> Begun:
    return Begun(tmp_path)


def pair(demo: Begun) -> tuple[Rendered, Rendered]:
    work = demo.path.parent / "pair"
    work.mkdir()
    repository = clone(demo.settings, "demo", work, str(demo.path))
    config = load_config(demo.settings.recipes_dir, "demo")
    first = repository.resolve("0.1.0+1.35.0")
    placement = placed(demo.settings, "demo", Ingress.DIRECT, "https")
    base = read_commit(demo.settings, config, repository, placement, first).rendered
    head = read_commit(demo.settings, config, repository, placement, repository.resolve("main"), first).rendered
    assert base is not None
    assert head is not None
    return base, head


def test_nothing(demo: Begun) -> None:
    assert changes(*pair(demo)) == []


def test_everything_that_an_upgrade_is_about(demo: Begun) -> None:
    demo.change("busybox:1.35.0", "busybox:1.36.0")
    demo.change("    init: true\n", "    init: true\n    environment: [COLOUR=green]\n    secrets: [token]\n")
    demo.change("content:/srv/content", "content:/srv/data")
    secret = "secrets:\n  token:\n    external: true\n    name: ${STACK_NAME}_token_${SECRET_TOKEN_VERSION}\n"
    demo.change("volumes:\n  content:\n", f"{secret}\nvolumes:\n  content:\n  more:\n")
    demo.change("TYPE=demo\n", "TYPE=demo\nSECRET_TOKEN_VERSION=v1\n", file=".env.sample")
    demo.change("services:\n", "services:\n  cache:\n    image: redis:7.0\n")
    demo.change("port=8080", "port=8081")
    demo.change("=v1", "=v2", file="abra.sh")
    demo.change("at {{", "on {{", file="index.html.tmpl")
    base, head = pair(demo)
    assert frozen_configs(base.document, head.document) == []
    found = changes(base, head)
    assert {(change.kind, change.what, change.before, change.after) for change in found} >= {
        ("image", "app", "busybox:1.35.0", "busybox:1.36.0"),
        ("env", "app: COLOUR", "", "green"),
        ("mount", "app: /srv/content", "content", ""),
        ("mount", "app: /srv/data", "", "content"),
        ("secret", "token_v1", "", "there"),
        ("service", "cache", "", "redis:7.0"),
        ("route", "HTTP", "app:8080", "app:8081"),
    }
    kinds = {change.kind: change for change in found}
    assert kinds["volume"].what == "more"
    assert "_index_v1" in kinds["config"].before
    assert "_index_v2" in kinds["config"].after


def test_a_config_that_swarm_would_refuse_to_change(demo: Begun) -> None:
    demo.change("at {{", "on {{", file="index.html.tmpl")
    base, head = pair(demo)
    (said,) = frozen_configs(base.document, head.document)
    assert said.startswith("configs.index has other content under the name ")
    assert changes(base, head) == []


def test_a_setting_and_an_empty_variable(demo: Begun) -> None:
    demo.change("stop_grace_period: 10s", "stop_grace_period: 20s\n    environment: [EMPTY=]")
    assert changes(*pair(demo)) == [
        Change(kind="env", what="app: EMPTY", before="", after="(empty)"),
        Change(kind="setting", what="app: stop_grace_period", before='"10s"', after='"20s"'),
    ]
