"""The soak's recipe: two services on one small image, and heads that fail in each way that a head can."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SHARED = "commons"
"""A network of the host's that the operator allows the recipe; runs have one of their own in place of `proxy`."""
RELEASE = "1.0.0+1.35"
_SERVE = "mkdir -p /www; echo first >/www/index.html; exec httpd -f -p 8080 -h /www"
_DIE_LATER = "mkdir -p /www; echo first >/www/index.html; httpd -p 8080 -h /www; sleep 1.3; exit 1"
_DB = 'GENERATION=first]\n    volumes: ["data:/data"]\n    deploy:\n      update_config: {order: '
_COMPOSE = f"""
version: "3.8"
services:
  app:
    image: warmci-demo/busybox:1.35
    init: true
    command: [sh, -c, "{_SERVE}"]
    environment: [GENERATION=first]
    networks: [proxy, {SHARED}, internal]
    volumes: ["content:/srv/content"]
    configs: [{{source: note, target: /srv/note}}]
    healthcheck:
      test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1:8080/"]
      interval: 1s
      timeout: 5s
      retries: 4
      start_period: 2s
    deploy:
      update_config: {{order: stop-first, failure_action: rollback, monitor: 2s}}
      restart_policy: {{condition: any, delay: 1s}}
      labels:
        - "traefik.enable=true"
        - "traefik.http.services.${{STACK_NAME}}.loadbalancer.server.port=8080"
        - "traefik.http.routers.${{STACK_NAME}}.rule=Host(`${{DOMAIN}}`)"
        - "coop-cloud.${{STACK_NAME}}.version={RELEASE}"
  db:
    image: warmci-demo/busybox:1.35
    init: true
    command: [sleep, "100000"]
    networks: [internal]
    environment: [{_DB}stop-first}}
configs:
  note: {{name: "${{STACK_NAME}}_note_v1", file: note}}
volumes: {{content: , data: }}
networks:
  proxy: {{external: true}}
  {SHARED}: {{external: true}}
  internal:
"""
GOOD = {
    "good": ("GENERATION=first]\n    networks", "GENERATION=second]\n    networks"),
    "good-db": (_DB, _DB.replace("first", "second", 1)),
    "good-start-first": (f"{_DB}stop-first", f"{_DB.replace('first', 'second', 1)}start-first"),
}
RED = {
    "crashes": (_SERVE, "sleep 0.5; exit 1"),
    "crashes-and-pauses": (
        f'"{_SERVE}"]\n    environment: [GENERATION=first]\n',
        "exit 1]\n    environment: [GENERATION=second]\n",
    ),
    "never-healthy": (_SERVE, "exec sleep 100000"),
    "dies-later": (_SERVE, _DIE_LATER),
    "db-crashes": ('[sleep, "100000"]', "[sh, -c, exit 1]"),
    "no-image": ("db:\n    image: warmci-demo/busybox:1.35", "db:\n    image: warmci-demo/no-such-image:1"),
    "config-not-renamed": ("", ""),
}
"""Branch to what it changes in the compose file: old text, new text."""


def make(root: Path, name: str) -> None:
    """root/recipes/NAME, a repository with one release and a branch for each head; root/operator/NAME/recipe.toml."""
    tree = root / "recipes" / name
    tree.mkdir(parents=True)
    compose, note = tree / "compose.yml", tree / "note"
    compose.write_text(_COMPOSE, encoding="utf-8")
    note.write_text("first\n", encoding="utf-8")
    _git(tree, "init", "--quiet", "--initial-branch=main", "--template=")
    _commit(tree, "first release")
    _git(tree, "tag", "--annotate", "--message=release", RELEASE)
    for branch, (old, new) in {**GOOD, **RED}.items():
        _git(tree, "checkout", "--quiet", "-b", branch, "main")
        text = _COMPOSE.replace(old, new, 1)
        if branch == "crashes-and-pauses":
            text = text.replace("failure_action: rollback", "failure_action: pause")
        if branch == "config-not-renamed":
            note.write_text("second\n", encoding="utf-8")
        compose.write_text(text, encoding="utf-8")
        _commit(tree, branch)
    _git(tree, "checkout", "--quiet", "main")
    operator = root / "operator" / name
    operator.mkdir(parents=True)
    (operator / "recipe.toml").write_text(f'allow = ["network:{SHARED}"]\n', encoding="utf-8")


def _commit(tree: Path, message: str) -> None:
    _git(tree, "add", "--all")
    _git(tree, "commit", "--quiet", f"--message={message}")


def _git(tree: Path, *arguments: str) -> None:
    who = ("-c", "user.name=soak", "-c", "user.email=soak@example.org")
    subprocess.run(["git", "-C", str(tree), *who, *arguments], check=True)
