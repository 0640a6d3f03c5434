"""What a recipe says in .env.sample, of its secrets and by its names, reaches a real Swarm as abra would have it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from warmci.base.models import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from support.bench import Bench

pytestmark = pytest.mark.integration

WORKER = "a-very-long-service-name-of-a-background-worker"
COMPOSE = f"""
version: "3.8"
services:
  app:
    image: warmci-demo/busybox:1.35
    entrypoint: ["sh", "/check.sh"]
    configs: [{{source: check, target: /check.sh}}]
    secrets: [pw, given]
    networks: [proxy]
    deploy:
      labels:
        - "traefik.enable=true"
        - "traefik.http.routers.${{STACK_NAME}}.rule=Host(`${{DOMAIN}}`)"
        - "traefik.http.services.${{STACK_NAME}}.loadbalancer.server.port=8080"
        - "coop-cloud.${{STACK_NAME}}.timeout=${{TIMEOUT}}"
  {WORKER}:
    image: warmci-demo/busybox:1.35
    command: ["sleep", "9999"]
    networks: [proxy]
networks: {{proxy: {{external: {{name: proxy}}}}}}
secrets:
  pw: {{external: {{name: "${{STACK_NAME}}_db_${{SECRET_DB_PW_VERSION}}"}}}}
  given: {{external: true, name: "${{STACK_NAME}}_token_${{SECRET_API_TOKEN_VERSION}}"}}
configs: {{check: {{name: "${{STACK_NAME}}_check_v1", file: check.sh}}}}
"""
ENV = """TYPE=reading
DOMAIN=reading.example.com
# a line separator\u2028in a comment
BANNER="first line
second line"
discovery.type=single-node
export NUMBER: 1
RULE=^/api/.*$
BOTH="$NUMBER \\$NUMBER"
SECRET_DB_PW_VERSION=v1 # length=12 charset=numeric
SECRET_API_TOKEN_VERSION=v1 # generate=false
TIMEOUT=900
"""
CHECK = """set -eu
[ "$BANNER" = "$(printf 'first line\\nsecond line')" ]
tr '\\0' '\\n' </proc/1/environ | grep -qx 'discovery.type=single-node'  # a shell passes on names of its own kind alone
[ "$NUMBER,$RULE,$BOTH" = '1,^/api/.*$,1 $NUMBER' ]
grep -qxE '[0-9]{12}' /run/secrets/pw
[ "$(cat /run/secrets/given)" = "{braces} and all" ]
mkdir -p /www
echo ok >/www/index.html
exec httpd -f -p 8080 -h /www
"""
SPELLINGS = r"""---
# as YAML 1.1 and the CLI have it
version: "3.8"
services:
  app:
    image: warmci-demo/busybox:1.35
    command: ["sh", "/check.sh"]
    configs: [{source: check, target: /check.sh}]
    environment: {OCTAL: 0755, TIME: 22:15:00, DATE: 2024-01-31, WORD: yes, NUMBER: 1.0, KEPT: base}
    networks: [proxy, own]
    ports: ["49160-49162:49160-49162/udp", 22:22]
    volumes: [/cache]
    logging: {driver: json-file, options: {max-size: 1m}}
    deploy:
      labels:
        - "traefik.enable=1"
        - "traefik.http.routers.${STACK_NAME}.rule=HostRegexp(`^(www.)?${DOMAIN}`)"
        - "traefik.http.services.${STACK_NAME}.loadbalancer.server.port=8080"
  idle: {image: warmci-demo/busybox:1.35, deploy: {replicas: 0}}
networks: {proxy: {external: true}, own: {driver_opts: {encrypted: ""}}}
configs: {check: {file: check.sh}}
---
"""
OVERRIDE = """version: "3.8"
services:
  app:
    environment: {KEPT: ""}
    logging: {driver: local}
"""
CHECK_SPELLINGS = r"""got="$OCTAL|$TIME|$DATE|$WORD|$NUMBER|$KEPT"
[ "$got" = "493|22:15:00|2024-01-31 00:00:00 +0000 UTC|yes|1|base" ] || { echo "$got"; exit 3; }
mkdir -p /www; echo ok >/www/index.html; exec httpd -f -p 8080 -h /www
"""


@pytest.fixture
def recipe(bench: Bench) -> Path:
    """A recipe with a dot in its name, on a branch whose name is hard to take."""
    tree = bench.root / "demo" / "recipes" / "read.ing"
    tree.mkdir()
    for name, text in (("compose.yml", COMPOSE), (".env.sample", ENV), ("check.sh", CHECK)):
        (tree / name).write_text(text, encoding="utf-8")
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (
        ("init", "-q", "-b", "main"),
        ("add", "-A"),
        ("commit", "-qm", "one"),
        ("tag", "0.1.0"),
        ("branch", "20241101"),
        ("branch", "fix/#12"),
    ):
        subprocess.run([*git, *arguments], check=True)
    return tree


def test_a_recipe_of_many_ways_to_say_it(bench: Bench, recipe: Path) -> None:
    refused = bench.run("read.ing", "--ref", "20241101", "--pr", "x1")
    assert refused.code == 2, refused.stderr
    assert "generate=false" in refused.stderr
    assert bench.ledger() == Ledger()

    operator = bench.settings.recipes_dir / "read.ing"
    operator.mkdir()
    (operator / "recipe.toml").write_text('[secrets]\ntoken = "{braces} and all"\n', encoding="utf-8")
    answer = bench.run("read.ing", "--ref", "fix/#12", "--pr", "x1")
    assert answer.code == 0, answer.stderr
    said = "\n".join(answer.result.deviations)
    assert "900 s" in said
    assert f"_{WORKER} has" in said
    assert "no release (x.y.z+upstream) are passed over: 0.1.0" in said
    assert "{braces}" not in answer.stdout + answer.stderr
    assert bench.ledger() == Ledger()

    too_long = bench.run("read.ing")
    assert too_long.code == 2, too_long.stderr
    assert f"_{WORKER} has" in too_long.stderr


def test_spellings_of_yaml_reach_the_engine_as_the_cli_reads_them(bench: Bench) -> None:
    tree = bench.root / "demo" / "recipes" / "spellings"
    tree.mkdir()
    lines = {"compose.yml": SPELLINGS, "over.yml": OVERRIDE, ".env.sample": "COMPOSE_FILE=compose.yml:over.yml\n"}
    for name, text in lines.items():
        (tree / name).write_text(text, encoding="utf-8", newline="\r\n")
    (tree / "check.sh").write_text(CHECK_SPELLINGS, encoding="utf-8")
    git = ["git", "-C", str(tree), "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.autocrlf=false"]
    for arguments in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-qm", "one")):
        subprocess.run([*git, *arguments], check=True)
    answer = bench.run("spellings", "--ref", "main", "--pr", "x1")
    assert answer.code == 0, answer.stderr
    said = "\n".join(answer.result.deviations)
    assert "idle runs nowhere: replicas: 0" in said
    assert "/cache is an anonymous volume" in said
    assert "app:22, app:49160, app:49161, app:49162" in said
    assert bench.ledger() == Ledger()
