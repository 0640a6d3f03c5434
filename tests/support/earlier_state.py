"""What an earlier WarmCI left on disk, written for real: `PYTHONPATH=tests python -m support.earlier_state COMMIT`.

That commit's own code runs, on its own engine: a seed, an advance, a red quick run, and a cold one that is killed.
State directory, settings and recipe stay as tests/data/state-COMMIT.tar.gz, with owners and modes, and never edited.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from support.rooms import ROOT
from warmci.demo import images, private_engine
from warmci.swarm.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA = ROOT / "tests" / "data"
RECIPE = "custom-html"
IMAGE = "warmci-demo/busybox:1.35"
_SAYS = '''"""The operator's: what a year of use would leave."""

import pytest


@pytest.mark.seed
def test_write(app):
    write = "cd /srv/content && echo kept > notes && ln -sf notes link && chmod 640 notes && chown 1000:100 notes"
    app.exec("app", ["sh", "-c", write])


def test_read(app):
    assert app.exec("app", ["cat", "/srv/content/link"]).strip() == "kept"
'''
_RUN = (sys.executable, "-c", "from warmci.run_recipe_ci import entry; entry()", RECIPE)
_BAD = "sed -i 's#/srv/content$#/srv/elsewhere#' compose.yml"


def archives() -> list[Path]:
    return sorted(DATA.glob("state-*.tar.gz"))


def unpack(archive: Path, home: Path, *without: str) -> Path:
    """Into `home`; its settings file, whose paths lead there, without some settings."""
    call(home, "tar", "--numeric-owner", "--xattrs", "-xpzf", str(archive))
    path = home / "settings.toml"
    text = re.sub(r"/tmp/warmci-earlier-\w+", str(home), path.read_text(encoding="utf-8"))
    path.write_text("".join(line for line in text.splitlines(True) if line.split()[0] not in without), encoding="utf-8")
    return path


def main(commit: str) -> None:
    with tempfile.TemporaryDirectory(prefix="warmci-earlier-") as made:
        home = Path(made)
        started = private_engine.start(home / "engine", print)
        try:
            images.provide_images(Engine(started.docker_host), [IMAGE], images.default_cache_dir(), print)
            write(home, commit, started)
        finally:
            private_engine.destroy(home / "engine")
        name = f"state-{call(ROOT, 'git', 'rev-parse', '--short=7', commit).strip()}.tar.gz"
        kept = ["settings.toml", f"operator/{RECIPE}", f"recipes/{RECIPE}", "state"]
        # The format keeps nanoseconds: manifests have them.
        call(home, "tar", "--format=posix", "--numeric-owner", "--xattrs", "-czf", str(DATA / name), *kept)


def write(home: Path, commit: str, engine: private_engine.PrivateEngine) -> None:
    code = home / "code"
    code.mkdir()
    subprocess.run(f"git -C {ROOT} archive {commit} src | tar x -C {code}", shell=True, check=True)  # noqa: S602
    env = {**os.environ, "PYTHONPATH": str(code / "src"), "WARMCI_SETTINGS": str(home / "settings.toml")}
    make = "import pathlib, sys; from warmci import demo_recipes; demo_recipes.instantiate(pathlib.Path(sys.argv[1]))"
    call(home, sys.executable, "-c", make, str(home), env=env)
    (home / "operator" / RECIPE).mkdir(parents=True, exist_ok=True)
    (home / "operator" / RECIPE / f"test_{RECIPE.replace('-', '_')}.py").write_text(_SAYS, encoding="utf-8")
    values = {
        "state_dir": str(home / "state"),
        "recipes_dir": str(home / "operator"),
        "recipe_source": f"{home}/recipes/{{recipe}}",
        "recipes": [RECIPE],
        "docker_host": engine.docker_host,
        "netns": str(engine.netns),
    }
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    (home / "settings.toml").write_text(text, encoding="utf-8")
    recipe = home / "recipes" / RECIPE
    tags = call(recipe, "git", "tag", "--sort=v:refname").split()
    change = f"{_BAD} && git -c user.name=me -c user.email=me@example.org commit -qam 'Data elsewhere'"
    call(recipe, "sh", "-c", f"git switch -qc bad && {change} && git switch -q -")
    for expected, words in (
        (0, ["--ref", tags[0]]),
        (0, ["--ref", tags[1]]),
        (1, ["--ref", "bad", "--pr", "2", "--quick"]),
    ):
        call(home, *_RUN, *words, expected=expected, env=env)
    killed(home, env)


def killed(home: Path, env: dict[str, str]) -> None:
    """A run that ends by SIGKILL while its app starts: its journal stays."""
    with subprocess.Popen(_RUN, cwd=home, env=env, stderr=subprocess.PIPE, text=True, start_new_session=True) as run:
        assert run.stderr is not None
        for line in run.stderr:
            if "app 0/1" in line:
                os.killpg(run.pid, signal.SIGKILL)


def call(where: Path, *argv: str, expected: int = 0, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(argv, cwd=where, env=env, capture_output=True, text=True, timeout=600, check=False)
    print(done.stderr, end="")
    assert done.returncode == expected, f"{argv}: {done.returncode}"
    return done.stdout


if __name__ == "__main__":
    main(sys.argv[1])
