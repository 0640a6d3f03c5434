"""Small recipes of the tests' own, beside the demo's: a web server by default, changed where a test wants it."""

from __future__ import annotations

import copy
import json
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from support.bench import Bench

IMAGE = "warmci-demo/busybox:1.35"
SERVE = "mkdir -p /www; echo ok > /www/index.html; exec httpd -f -p 8080 -h /www"
Document = dict[str, Any]


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def web(version: str = "0.1.0+1.0", **changes: Any) -> Document:
    """A routed service `app`; changes go into it, with deploy merged."""
    labels = {
        "traefik.enable": "true",
        "traefik.http.routers.${STACK_NAME}.rule": "Host(`${DOMAIN}`)",
        "traefik.http.services.${STACK_NAME}.loadbalancer.server.port": "8080",
        "coop-cloud.${STACK_NAME}.version": version,
    }
    deploy = {"labels": labels, **changes.pop("deploy", {})}
    app = {"image": IMAGE, "command": shell(SERVE), "networks": ["proxy"], "deploy": deploy, **changes}
    return {"version": "3.8", "services": {"app": app}, "networks": {"proxy": {"external": True}}}


def beside(document: Document, name: str, **service: Any) -> Document:
    """The same with one more service."""
    found = copy.deepcopy(document)
    found["services"][name] = {"image": IMAGE, "networks": ["proxy"], **service}
    return found


def with_volume(document: Document, *names: str) -> Document:
    found = copy.deepcopy(document)
    found["volumes"] = {name: {} for name in names}
    return found


def make_recipe(
    bench: Bench,
    name: str,
    head: Document,
    releases: Sequence[tuple[str, Document]] = (),
    files: Mapping[str, str] | None = None,
) -> str:
    """A repository with each release tagged on main, and the head on the branch `pr`. Returns the recipe's name."""
    tree = bench.root / "demo" / "recipes" / name
    tree.mkdir()
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.org"]

    def commit(document: Document, message: str) -> None:
        (tree / "compose.yml").write_text(json.dumps(document, indent=1), encoding="utf-8")
        subprocess.run([*git, "add", "-A"], check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", message], check=True)

    subprocess.run(["git", "init", "-q", "-b", "main", str(tree)], check=True)
    for path, text in {".env.sample": f"TYPE={name}\nDOMAIN=x.example.com\n", **(files or {})}.items():
        (tree / path).write_text(text, encoding="utf-8")
    if not releases:
        commit(head, "head")
    for version, document in releases:
        commit(document, version)
        subprocess.run([*git, "tag", "-a", version, "-m", version], check=True)
    subprocess.run([*git, "checkout", "-q", "-b", "pr"], check=True)
    commit(head, "the pull request")
    subprocess.run([*git, "checkout", "-q", "main"], check=True)
    return name
