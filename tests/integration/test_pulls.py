"""Images come before anything is deployed; only what its registry says is not there is blamed on a recipe."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.own_recipes import make_recipe, web
from support.registries import (
    PASSWORD,
    SWARM_ADDRESS,
    USER,
    Registry,
    faulty_registry,
    free_port,
    hanging_registry,
    real_registry,
    silent_registry,
)
from warmci.base.models import Ledger
from warmci.swarm import pulled
from warmci.swarm.pull import MANIFEST_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from support.bench import Answer, Bench
    from support.own_recipes import Document

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def plain(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with real_registry(tmp_path_factory.mktemp("registry") / "plain") as registry:
        yield registry


def trial(bench: Bench, name: str, **env: str) -> Answer:
    answer = bench.run(name, "--ref", "pr", "--pr", "x1", **env)
    assert bench.ledger() == Ledger()
    return answer


def is_before_any_deployment(answer: Answer) -> None:
    assert [stage.name for stage in answer.result.stages] == ["checkout", "images", "clean up and ledger"]


def test_what_the_engine_lacks_is_pulled_and_remembered(bench: Bench, plain: Registry, tmp_path: Path) -> None:
    image = plain.has(bench, "team/app:1.0", config=tmp_path)
    answer = trial(bench, make_recipe(bench, "pulls", web(image=image)))
    assert answer.code == 0, answer.stderr
    stage = next(stage for stage in answer.result.stages if stage.name == "images")
    assert stage.detail == f"pulled {image}"
    again = bench.run("pulls", "--ref", "pr", "--pr", "x1")
    assert next(s for s in again.result.stages if s.name == "images").detail == "all are on the engine"


@pytest.mark.parametrize("name", ["team/app:9", "no/such:1.0", "Not/A-Name:1"])
def test_an_image_that_is_not_in_its_registry_is_the_recipes_fault(
    bench: Bench, plain: Registry, tmp_path: Path, name: str
) -> None:
    plain.has(bench, "team/app:2.0", config=tmp_path)
    image = f"{plain.address}/{name}"
    recipe = make_recipe(bench, f"missing-{abs(hash(name)) % 10**6}", web(image=image))
    answer = trial(bench, recipe)
    assert answer.code == 1, answer.stderr
    assert f"no such image: {image}" in answer.result.summary
    is_before_any_deployment(answer)


def test_a_name_without_registry_on_an_engine_without_the_outside(bench: Bench) -> None:
    answer = trial(bench, make_recipe(bench, "offline", web(image="warmci-demo/never-made:1")))
    assert answer.code == 1, answer.stderr
    assert "no such image: warmci-demo/never-made:1" in answer.result.summary


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            429,
            '{"errors": [{"code": "TOOMANYREQUESTS", "message": "pull rate limit"}]}',
            "toomanyrequests|429 Too Many Requests",
        ),
        (500, "oops", "500 Internal Server Error"),
        (502, "<html>Bad Gateway</html>", "502 Bad Gateway"),
        (503, "", "503 Service Unavailable"),
    ],
)
def test_a_registry_in_trouble_is_infrastructure(bench: Bench, status: int, body: str, words: str) -> None:
    with faulty_registry(status, body) as registry:
        recipe = make_recipe(bench, f"answers-{status}", web(image=f"{registry.address}/team/app:1.0"))
        answer = trial(bench, recipe)
    assert answer.code == 3, answer.stderr
    assert re.search(words, answer.result.summary)
    assert registry.address in answer.result.summary
    is_before_any_deployment(answer)


@pytest.mark.parametrize("kind", [silent_registry, pytest.param(hanging_registry, marks=pytest.mark.long)])
def test_a_registry_that_never_answers_is_infrastructure(
    bench: Bench, kind: Callable[[], AbstractContextManager[Registry]]
) -> None:
    """Of the first the engine itself tires, of the second it never would; both long before pull_timeout_s."""
    with kind() as registry:
        recipe = make_recipe(bench, kind.__name__.replace("_", "-"), web(image=f"{registry.address}/team/app:1.0"))
        began = time.monotonic()
        answer = trial(bench, recipe)
    assert answer.code == 3, answer.stderr
    assert f"cannot be pulled from {registry.address}" in answer.result.summary
    assert time.monotonic() - began < MANIFEST_S + 90
    is_before_any_deployment(answer)


def test_a_pull_has_a_deadline(bench: Bench) -> None:
    with hanging_registry() as registry:
        recipe = make_recipe(bench, "slow-pull", web(image=f"{registry.address}/team/app:1.0"))
        answer = trial(bench, recipe, WARMCI_PULL_TIMEOUT_S="3")
    assert answer.code == 3, answer.stderr
    assert f"not pulled after 3 s; under way: {registry.address}/team/app:1.0" in answer.result.summary
    assert "pull_timeout_s" in answer.result.hint


def test_an_image_by_its_digest(bench: Bench, plain: Registry, tmp_path: Path) -> None:
    """Alone, beside a tag, and one that is not there."""
    tagged = plain.has(bench, "team/pinned:1.0", config=tmp_path)
    name, digest = tagged.rpartition(":")[0], plain.digest("team/pinned", "1.0")
    for kind, image in (("digest", f"{name}@{digest}"), ("both", f"{tagged}@{digest}")):
        answer = trial(bench, make_recipe(bench, f"by-{kind}", web(image=image)))
        assert answer.code == 0, answer.stderr
    absent = f"{name}@sha256:{'0' * 64}"
    answer = trial(bench, make_recipe(bench, "by-none", web(image=absent)))
    assert answer.code == 1, answer.stderr
    assert f"no such image: {absent}" in answer.result.summary


def with_keycloak(bench: Bench, tmp_path: Path, keycloak: Document) -> Answer:
    """A run that needs a Keycloak, where there is only the recipe of one."""
    own = replace(bench, root=tmp_path)
    (tmp_path / "demo" / "recipes").mkdir(parents=True)
    make_recipe(own, "keycloak", keycloak, [("1.0.0+26.7.3", keycloak)])
    (tmp_path / "operator" / "logs-in").mkdir(parents=True)
    (tmp_path / "operator" / "logs-in" / "recipe.toml").write_text('needs = ["keycloak"]\n', encoding="utf-8")
    return bench.run(
        make_recipe(own, "logs-in", web()),
        *("--ref", "pr", "--pr", "x1"),
        WARMCI_STATE_DIR=str(tmp_path / "state"),
        WARMCI_RECIPES_DIR=str(tmp_path / "operator"),
        WARMCI_RECIPE_SOURCE=f"{tmp_path}/demo/recipes/{{recipe}}",
    )


def test_the_keycloak_of_a_run_is_pulled_as_any_other_image_is(bench: Bench, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    answer = with_keycloak(bench, tmp_path, web("1.0.0+26.7.3", image=f"{address}/keycloak:26"))
    assert answer.code == 3, answer.stderr
    assert f"image {address}/keycloak:26 cannot be pulled from {address}" in answer.result.summary
    assert answer.result.cause is not None
    assert answer.result.cause.kind == "registry in trouble"
    assert answer.result.leftovers == ()


def test_the_image_of_a_runs_keycloak_is_remembered_as_pulled_for_it(
    bench: Bench, plain: Registry, tmp_path: Path
) -> None:
    """Prune may take it: the next run without a live Keycloak pulls it again."""
    image = plain.has(bench, "team/keycloak:26", config=tmp_path)
    answer = with_keycloak(bench, tmp_path, web("1.0.0+26.7.3", image=image, command=["false"]))
    assert answer.code == 3, answer.stderr
    assert "Keycloak could not be deployed for this run" in answer.result.summary
    remembered = [(item.reference, item.run) for item in pulled.load(tmp_path / "state")]
    assert remembered == [(image, answer.result.run)]


def test_a_registry_that_refuses_connections_is_infrastructure(bench: Bench) -> None:
    address = f"127.0.0.1:{free_port()}"
    answer = trial(bench, make_recipe(bench, "refuses", web(image=f"{address}/team/app:1.0")))
    assert answer.code == 3, answer.stderr
    assert f"from {address}" in answer.result.summary
    assert "connection refused" in answer.result.summary


def test_a_certificate_of_an_unknown_ca_is_infrastructure(bench: Bench, tmp_path: Path) -> None:
    with real_registry(tmp_path / "tls", host=SWARM_ADDRESS, tls=True) as registry:
        answer = trial(bench, make_recipe(bench, "unknown-ca", web(image=f"{registry.address}/team/app:1.0")))
    assert answer.code == 3, answer.stderr
    assert "x509" in answer.result.summary
    assert f"/etc/docker/certs.d/{registry.address}/ca.crt" in answer.result.hint


def test_a_private_registry_needs_the_operators_login_and_no_recipe_gets_it(bench: Bench, tmp_path: Path) -> None:
    with real_registry(tmp_path / "login", login=True) as registry:
        login = [
            "docker",
            "--config",
            str(tmp_path / "push"),
            "login",
            "-u",
            USER,
            "--password-stdin",
            registry.address,
        ]
        subprocess.run(login, input=PASSWORD, text=True, check=True, capture_output=True)
        image = registry.has(bench, "team/app:1.0", config=tmp_path / "push")
        recipe = make_recipe(bench, "private", web(image=image))
        without = trial(bench, recipe, HOME=str(tmp_path))
        assert without.code == 3, without.stderr
        assert f"docker login {registry.address}" in without.result.hint
        answer = trial(bench, recipe, DOCKER_CONFIG=str(tmp_path / "push"))
    assert answer.code == 0, answer.stderr
    seen = answer.stderr + answer.stdout + _written(bench, answer.result.run)
    assert PASSWORD not in seen


def _written(bench: Bench, run: str) -> str:
    files = (bench.settings.runs_dir / run).rglob("*")
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in files if Path(path).is_file())


def test_a_base_whose_image_is_gone_is_not_the_pull_requests_fault(bench: Bench, plain: Registry) -> None:
    gone = web("0.1.0+1.0", image=f"{plain.address}/team/gone:1.0")
    answer = trial(bench, make_recipe(bench, "base-gone", web("0.2.0+1.0"), [("0.1.0+1.0", gone)]))
    assert answer.code == 6, answer.stderr
    assert "the upgrade is not verified: the base's image is gone" in answer.result.summary
    assert any(f"{plain.address}/team/gone:1.0" in said for said in answer.result.deviations)
    assert "fresh: tests (install)" in [stage.name for stage in answer.result.stages]


def test_an_older_release_is_the_base_where_the_newest_is_gone(bench: Bench, plain: Registry) -> None:
    gone = web("0.2.0+1.0", image=f"{plain.address}/team/gone:2.0")
    releases = [("0.1.0+1.0", web("0.1.0+1.0")), ("0.2.0+1.0", gone)]
    answer = trial(bench, make_recipe(bench, "older-base", web("0.3.0+1.0", environment={"A": "b"}), releases))
    assert answer.code == 0, answer.stderr
    assert answer.result.base_version == "0.1.0+1.0"
    assert any(said.startswith("0.2.0+1.0 is no base") for said in answer.result.deviations)


def test_a_red_head_is_red_whatever_became_of_its_base(bench: Bench, plain: Registry) -> None:
    gone = web("0.1.0+1.0", image=f"{plain.address}/team/gone:1.0")
    head = web("0.2.0+1.0", image=f"{plain.address}/team/never:1.0")
    answer = trial(bench, make_recipe(bench, "both-gone", head, [("0.1.0+1.0", gone)]))
    assert answer.code == 1, answer.stderr
    assert "team/never:1.0" in answer.result.summary
