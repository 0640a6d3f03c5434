"""Random small documents through ours and through the bare CLI, given the variables under their own harmless names."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from warmci.base import docker_cli
from warmci.base.errors import RecipeFailedError
from warmci.recipe.compose import SECTIONS, load_compose
from warmci.recipe.compose_text import dump, read

EXAMPLES = int(os.environ.get("COMPOSE_EXAMPLES", "40"))
NAMES = ("A", "b_2", "_C", "GONE")
"""Nothing that the CLI itself looks at; of these the last is never set."""
VALUES = st.text("ab $\\{}'\":#-\n\té😀%&*!|>0.=,[]~", max_size=8)
SCOPES = st.dictionaries(st.sampled_from(NAMES[:3]), VALUES | st.sampled_from(["3", "true", "1e3", "80"]), max_size=3)
PIECES = st.sampled_from(
    [
        *(f"${name}" for name in NAMES),
        *(f"${{{name}}}" for name in NAMES),
        *(f"${{{name}:-d}}" for name in NAMES),
        "${A-}",
        "${b_2:-$A}",
        "${GONE:-x$$y}",
        "${GONE:?gone}",
        "${A?a}",
        "${A:+p}",
        "$$",
        "$",
        "$$A",
        "$A-tail",
        "${",
        "}",
        "-",
        "=",
        ":",
        "a",
        "7",
        " ",
        "é",
    ]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=3).map("".join)
PLAIN = st.sampled_from(
    ["x", "yes", "22:22", "1.0", "0755", "2024-01-31", "1e3", "null", "~", "'1'", '"\\u00e9"', "'='"]
)
SCALARS = (
    PLAIN
    | st.integers(-3, 90000).map(str)
    | TEXTS.map(json.dumps)
    | TEXTS.map(lambda t: "'" + t.replace("'", "''") + "'")
)
KEYS = st.sampled_from(["a", "b", "A", "k.l", "'$A'", "y"])
LISTS = st.lists(SCALARS, max_size=3).map(lambda items: f"[{', '.join(items)}]")
MAPS = st.dictionaries(KEYS, SCALARS, max_size=3).map(
    lambda items: "{" + ", ".join(f"{k}: {v}" for k, v in items.items()) + "}"
)
ENVIRONMENT = MAPS | st.lists(st.tuples(st.sampled_from(["A", "B", "GONE", "b_2"]), st.none() | TEXTS), max_size=3).map(
    lambda items: f"[{', '.join(json.dumps(k if v is None else f'{k}={v}') for k, v in items)}]"
)
PORTS = st.lists(
    st.sampled_from(["22:22", "'80:80'", "'1-3:1-3/udp'", "{target: 1, published: '$A'}", "'$A:9'", "8080"]), max_size=3
)
VOLUMES = st.lists(
    st.sampled_from(["'v:/a'", "'v:/a:ro'", "/b", "'$A:/c'", "{type: tmpfs, target: /t}", "'./d:/d'"]), max_size=3
)
FIELDS: dict[str, st.SearchStrategy[str]] = {
    "command": SCALARS | LISTS,
    "entrypoint": LISTS,
    "environment": ENVIRONMENT,
    "labels": MAPS | LISTS,
    "hostname": SCALARS,
    "dns": SCALARS | LISTS,
    "sysctls": MAPS,
    "ports": PORTS.map(lambda items: f"[{', '.join(items)}]"),
    "volumes": VOLUMES.map(lambda items: f"[{', '.join(items)}]"),
    "networks": st.sampled_from(["[n]", "{n: {aliases: [a]}}", "{n: {aliases: [b, '$A']}}", "{n: }"]),
    "secrets": st.sampled_from(["[s]", "[{source: s, target: t, mode: 0400}]", "[{source: s, mode: '$A'}]"]),
    "healthcheck": SCALARS.map(lambda text: f"{{test: {text}, retries: 3, interval: 90s}}"),
    "deploy": SCALARS.map(lambda text: f"{{replicas: {text}, labels: [a=b]}}")
    | MAPS.map(lambda text: f"{{labels: {text}}}"),
    "logging": st.sampled_from(
        ["{driver: a, options: {b: '1'}}", "{driver: c, options: {d: $A}}", "{options: {e: f}}"]
    ),
    "read_only": SCALARS,
    "init": st.sampled_from(["true", "false"]),
    "stop_grace_period": st.sampled_from(["90s", "1h1m", "$A", "5"]),
    "x-own": MAPS,
    "none": PLAIN,
}
SERVICES = st.fixed_dictionaries({"image": SCALARS}, optional=FIELDS)
TOPS: dict[str, st.SearchStrategy[str]] = {
    "volumes": st.sampled_from(["{v: }", "{v: {name: '$A'}}", "{v: {labels: [a=$A]}, w: }"]),
    "networks": st.sampled_from(
        ["{n: }", "{n: {external: true}}", "{n: {external: {name: $A}}}", "{n: {internal: '$A'}}"]
    ),
    "secrets": st.sampled_from(["{s: {external: true, name: '${A}_s'}}", "{s: {external: true}}"]),
    "version": st.sampled_from(["'3.8'", "'3.3'", "3", "3.8"]),
    "x-top": MAPS,
    "name": PLAIN,
}


@st.composite
def documents(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.sampled_from(["app", "db"]), min_size=1, max_size=2, unique=True))
    lines = ["services:"]
    for name in names:
        lines.append(f"  {name}:")
        lines += [f"    {key}: {value}" for key, value in draw(SERVICES).items()]
    lines += [f"{key}: {value}" for key, value in draw(st.fixed_dictionaries({}, optional=TOPS)).items()]
    return draw(st.sampled_from(["", "---\n"])) + draw(st.sampled_from(["\n", "\r\n"])).join(lines) + "\n"


def by_the_cli(tree: Path, names: list[str], scope: dict[str, str]) -> dict[str, Any] | str:
    """Its document in ours' shape, or its words."""
    files = [part for name in names for part in ("-c", name)]
    argv = [str(docker_cli.find(None).path), "--config", str(tree / "none"), "stack", "config", *files]
    done = subprocess.run(argv, cwd=tree, env=scope, capture_output=True, check=False)
    if done.returncode:
        return " ".join(done.stderr.decode(errors="replace").split())
    document = read(done.stdout)
    for service in (document.get("services") or {}).values():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                volume["source"] = (
                    f"./{os.path.relpath(volume['source'], tree)}"
                    if str(tree) in volume["source"]
                    else volume["source"]
                )
    return {
        section: {key: {} if body is None else body for key, body in (document.get(section) or {}).items()}
        for section in SECTIONS
    }


@settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=EXAMPLES < 100
)
@given(st.lists(documents(), min_size=1, max_size=2), SCOPES)
def test_what_the_cli_makes_of_it_we_make_of_it(texts: list[str], scope: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory(prefix="warmci-property-") as directory:
        tree = Path(directory).resolve()
        names = [f"{number}.yml" for number in range(len(texts))]
        for name, text in zip(names, texts, strict=True):
            (tree / name).write_text(text, encoding="utf-8", newline="")
        theirs = by_the_cli(tree, names, scope)
        try:
            ours: dict[str, Any] | str = load_compose(tree, names, scope, docker_cli.find(None))
        except RecipeFailedError as error:
            ours = error.message
        if isinstance(theirs, str):
            assert isinstance(ours, str), (theirs, ours)
        else:
            assert ours == theirs, (texts, ours)
            (tree / "deployed.yml").write_text(dump(theirs), encoding="utf-8")
            again = by_the_cli(tree, ["deployed.yml"], {})
            assert isinstance(again, dict), (texts, again)
            assert dump(again) == dump(theirs), texts


@pytest.mark.parametrize("refused", [False, True])
def test_the_documents_are_of_both_kinds(*, refused: bool) -> None:
    """With variables in them; or the property would say little."""

    def fits(text: str) -> bool:
        with tempfile.TemporaryDirectory(prefix="warmci-property-") as directory:
            tree = Path(directory).resolve()
            (tree / "0.yml").write_text(text, encoding="utf-8", newline="")
            return "$A" in text and isinstance(by_the_cli(tree, ["0.yml"], {"A": "3"}), str) is refused

    find(documents(), fits, settings=settings(max_examples=200, deadline=None, phases=[Phase.generate], database=None))
