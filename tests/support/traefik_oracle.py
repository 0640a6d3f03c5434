"""Traefik itself as an oracle: its rule muxer and its reading of labels, built from its Go module, and what to ask it.

`PYTHONPATH=tests python -m support.traefik_oracle` writes tests/data/traefik.json, the answers that unit tests compare
with; tests/integration/test_traefik_oracle.py asks afresh.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

MODULE, VERSION = "github.com/traefik/traefik/v3", "v3.3.4"
GOLDEN = Path(__file__).parents[1] / "data" / "traefik.json"
_HOSTS = ("x.example.com", "www.x.example.com", "X.Example.com", "x.example.com.", "other.org")
_VALUES = {
    "Host": ("x.example.com", "X.example.COM", "x.example.com.", "www.x.example.com", "ö.org", "other.org"),
    "HostHeader": ("x.example.com",),
    "HostRegexp": (
        *("^(www.)?x.example.com", "{sub:[a-z]+}.example.com", "{any:.*}", ".+", r"^[a-z]+\.example\.com$"),
        *("(", "{a", "x}", "{:a}", "{a:}", "(?i)X\\.EXAMPLE", "[[:alpha:]]+", "(?P<n>x)", "\\pL+", "(?<n>x)", "(?!x)"),
    ),
    "Path": ("/", "/x", "x", "/{a}", "/{a:.*}", "/?"),
    "PathPrefix": ("/", "/api", "api", "/{a:[a-z]*}"),
    "PathRegexp": ("^/$", "/a", "(", ".*"),
    "Method": ("GET", "get", "POST"),
    "ClientIP": (
        "127.0.0.1",
        "10.0.0.0/8",
        "127.0.0.1/8",
        "::1",
        "x",
        "127.0.0.1/255.0.0.0",
        "127.0.0.01",
        "0.0.0.0/0",
    ),
    "Header": ("Accept", "*/*", "X"),
    "HeaderRegexp": ("Accept", ".*", "("),
    "Headers": ("accept", "*/*"),
    "HeadersRegexp": ("Accept", "[*]", "("),
    "Query": ("a", "a=b", "a="),
    "QueryRegexp": ("a", "(", ".*"),
}
_NOISE = (*"()&|!,`\"\n ;/.x\\'\t{}[]=1", "//", "/*", "\\x41", "\\u00e9", "\\101", "\n\n")


class Questions:
    """Random rules and labels, most of them nearly right."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def rule(self) -> dict[str, str]:
        pick = self._random.choice
        return {"rule": self._spoilt(self._tree(0)), "syntax": pick(("v2", "v3")), "host": pick(_HOSTS)}

    def _spoilt(self, rule: str) -> str:
        if self._random.random() < 0.8:
            return rule
        at = self._random.randrange(len(rule))
        return rule[:at] + str(self._random.choice(_NOISE)) + rule[at + self._random.choice((0, 0, 1)) :]

    def _tree(self, depth: int) -> str:
        pick, chance = self._random.choice, self._random.random()
        if depth > 3 or chance < 0.4:
            return self._call()
        if chance < 0.85:
            sign = pick(("&&", "&&", "||"))
            space: str = pick((" ", " ", " ", "", "  ", "\n", " /* c */ "))
            return f"{self._tree(depth + 1)}{space}{sign}{pick((' ', chr(10), ''))}{self._tree(depth + 1)}"
        return f"!{self._tree(depth + 1)}" if chance < 0.93 else f"({self._tree(depth + 1)})"

    def _call(self) -> str:
        pick, chance = self._random.choice, self._random.random
        name = pick(sorted(_VALUES)) if chance() < 0.6 else "Host"
        values = [pick(_VALUES[name]) if chance() < 0.97 else "" for _ in range(pick((1,) * 16 + (2,) * 5 + (0, 3)))]
        written = [
            f"`{value}`" if chance() < 0.75 else json.dumps(value, ensure_ascii=chance() < 0.5) for value in values
        ]
        spelling = pick((*(name,) * 6, name.lower(), name.upper(), name.lower().title(), name.swapcase()))
        return f"{spelling}{pick(('', '', ' '))}({pick((',', ' , ', ', ')).join(written)}{pick(('',) * 15 + (',',))})"

    def services(self) -> dict[str, Any]:
        names = self._random.sample(("app", "web", "api"), self._random.choice((1, 1, 2)))
        return {"services": {name: self._labels() for name in names}}

    def _labels(self) -> dict[str, str]:
        pick = self._random.choice
        made = dict(self._label(pick(("r", "r", "r", "q", "R"))) for _ in range(self._random.randrange(1, 7)))
        if self._random.random() < 0.5:
            made |= {
                "traefik.http.routers.r.rule": "Host(`a`)",
                "traefik.http.services.s.loadbalancer.server.port": "80",
            }
        enable = pick((*("traefik.enable",) * 10, "traefik.Enable", "Traefik.enable"))
        return made | {enable: pick((*("true",) * 12, "1", "True", "TRUE", "t", "yes", "0", "false", "tRue", ""))}

    def _label(self, router: str) -> tuple[str, str]:
        pick, chance = self._random.choice, self._random.random()
        kind = pick((*("http",) * 8, "tcp", "udp"))
        if chance > 0.97:
            return pick((("traefik.http..x", "1"), ("traefik.http.routers.[x].rule", "a"), ("other.label", "x")))
        if chance > 0.93:
            return pick((("traefik.docker.network", "proxy"), ("traefik.http.middlewares.m.stripprefix.prefixes", "/")))
        if kind == "udp" and chance < 0.5:
            return f"traefik.udp.routers.{router}.service", "s"
        fields = {
            "rule": ("Host(`a`)", "Host(`a`)", "Host(`b`)", ""),
            "service": ("s", "t", "api@internal", ""),
            "entrypoints": ("web", "web-secure", "web, web-secure", " a ", ""),
            "priority": ("5", "-1", "x", "+3", "1_0", " 1", ""),
            "tls": ("true", "false", "1", "yes", ""),
            "tls.certresolver": ("x",),
            "ruleSyntax": ("v2",),
            "rules": ("x",),
        }
        ports = {"server.port": ("80", "8080", "80", ""), "server.scheme": ("https", "h2c"), "server.prot": ("80",)}
        root = pick((*("traefik",) * 60, "Traefik"))
        if chance < 0.5:
            name = pick(("rule",) * 5 + ("service", "entrypoints") * 2 + tuple(fields))
            return f"{root}.{self._case(kind)}.routers.{router}.{self._case(name)}", pick(fields[name])
        name = pick(("server.port",) * 8 + tuple(ports))
        service = pick(("s", "s", "t"))
        return f"{root}.{kind}.{self._case('services')}.{service}.loadbalancer.{self._case(name)}", pick(ports[name])

    def _case(self, name: str) -> str:
        spellings = [*(name,) * 12, name.upper(), name.title(), name.swapcase()]
        return str(self._random.choice(spellings))


class Oracle:
    """Both programs, built in a directory."""

    def __init__(self, root: Path) -> None:
        told = subprocess.run(
            ["go", "mod", "download", "-json", f"{MODULE}@{VERSION}"], cwd="/", check=True, capture_output=True
        )
        source = root / "traefik"
        shutil.copytree(json.loads(told.stdout)["Dir"], source, copy_function=shutil.copyfile)
        subprocess.run(["chmod", "-R", "u+w", source], check=True)
        shutil.copytree(Path(__file__).parent / "traefik", source / "oracle")
        for name in ("rules", "labels"):
            build = ["go", "build", "-mod=readonly", "-trimpath", "-o", str(root / name), f"./oracle/{name}"]
            subprocess.run(build, cwd=source, check=True)
        self._root = root

    def answers(self, name: str, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lines = "\n".join(map(json.dumps, questions))
        done = subprocess.run([self._root / name], input=lines, check=True, capture_output=True, text=True)
        return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    ask = Questions(1)
    rules = [ask.rule() for _ in range(250)]
    labels = [ask.services() for _ in range(150)]
    with tempfile.TemporaryDirectory() as name:
        oracle = Oracle(Path(name))
        seen = {
            "rules": list(zip(rules, oracle.answers("rules", rules), strict=True)),
            "labels": list(zip(labels, oracle.answers("labels", labels), strict=True)),
        }
    lines = ",\n".join(
        f'"{kind}": [\n' + ",\n".join(json.dumps(pair) for pair in pairs) + "\n]" for kind, pairs in seen.items()
    )
    GOLDEN.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
