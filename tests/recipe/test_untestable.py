"""What `warmci recipe check` finds: each fault made in a recipe that has none before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.begun import Begun

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def demo(tmp_path: Path) -> Begun:
    return Begun(tmp_path)


def test_a_new_recipe_has_no_fault(demo: Begun) -> None:
    assert demo.said() == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("    init: true", "    cap_add: [NET_ADMIN]", "error compose.yml: refused: services.app.cap_add"),
        ("services:", "services: [", "error compose.yml: "),
        ("content:/srv/content", "/srv/content", "warning services.app: /srv/content is an anonymous volume"),
        ("    healthcheck:", "    x-healthcheck:", "warning services.app: no health check"),
        ("busybox:1.35.0", "busybox", "warning services.app: image busybox is another one"),
        ("busybox:1.35.0", "registry.example.org:5000/busybox:latest", "is another one"),
        ('"traefik.enable=true"', '"traefik.enable=false"', "warning route: the app is not asked over HTTP"),
        ("version=0.1.0+1.35.0", "other=0.1.0+1.35.0", "warning version: no service has the label"),
    ],
)
def test_a_fault_in_the_compose_file(demo: Begun, old: str, new: str, said: str) -> None:
    demo.change(old, new)
    assert any(said in found for found in demo.said()), demo.findings()


def test_all_refusals_are_told_with_their_words(demo: Begun) -> None:
    demo.change("    init: true", "    cap_add: [NET_ADMIN]\n    privileged: true")
    demo.change("content:/srv/content", "/etc:/srv/content")
    hints = [found.hint for found in demo.findings() if found.level == "error"]
    for word in ("cap_add:app", "bind:/etc", "privileged:app"):
        assert any(f'allow = ["{word}"]' in hint for hint in hints), hints
    (demo.operator / "recipe.toml").write_text('allow = ["cap_add:app", "bind:/etc", "privileged:app"]\n')
    found = demo.findings()
    assert [finding for finding in found if finding.level == "error"] == []
    assert any(finding.says == "allowed by the operator: bind:/etc" for finding in found)


ODD = '/srv/"a" 😀'


def test_a_word_is_quoted_as_toml_reads_it(demo: Begun) -> None:
    demo.change("content:/srv/content", f"{{type: bind, source: '{ODD}', target: /srv/content}}")
    (error,) = [found for found in demo.findings() if found.level == "error"]
    assert 'allow = ["bind:/srv/\\"a\\" 😀"]' in error.hint
    line = error.hint.removeprefix("if the operator trusts this: ").removesuffix(" in recipe.toml")
    (demo.operator / "recipe.toml").write_text(f"{line}\n")
    assert [found for found in demo.findings() if found.level == "error"] == []


def test_a_shell_as_process_1_of_a_service_with_data(demo: Begun) -> None:
    demo.change("    init: true\n", "")
    assert demo.said() == []
    demo.change('["httpd", "-f", "-p", "8080", "-h", "/srv"]', '["sh", "-c", "httpd -f -p 8080 -h /srv"]')
    (said,) = demo.said()
    assert "a shell is process 1" in said
    demo.change('"httpd -f', '"exec httpd -f')
    assert demo.said() == []
    demo.change("    stop_signal: SIGTERM\n    stop_grace_period: 10s\n", "")
    assert any("ends by itself" in found.says for found in demo.findings())


def test_tags(demo: Begun) -> None:
    demo.git("tag", "0.2.0+1.35.0")
    demo.git("tag", "--annotate", "--message=x", "v0.2")
    said = demo.said()
    assert any("passed over: v0.2" in found for found in said)
    assert any("lightweight, so without author and date: 0.2.0+1.35.0" in found for found in said)
    assert any("the commit is tagged 0.2.0+1.35.0, and its label says 0.1.0+1.35.0" in found for found in said)
    demo.git("tag", "--delete", "0.2.0+1.35.0", "0.1.0+1.35.0")
    assert any("no release x.y.z+upstream" in found for found in demo.said())


BROKEN_BASES = [
    ("services:", "services: [", "error release 0.2.0+1.35.0: "),
    ("    init: true", "    privileged: true", "error release 0.2.0+1.35.0: refused: services.app.privileged"),
]


@pytest.mark.parametrize(("old", "new", "said"), BROKEN_BASES)
def test_a_release_that_no_upgrade_can_start_from_is_an_error(demo: Begun, old: str, new: str, said: str) -> None:
    demo.change(old, new)
    demo.git("tag", "--annotate", "--message=x", "0.2.0+1.35.0")
    demo.change(new, old)
    found = [found for found in demo.said() if found.startswith("error")]
    assert len(found) == 1, found
    assert found[0].startswith(said)


def test_what_an_upgrade_would_meet_is_told(demo: Begun) -> None:
    demo.change("at {{", "on {{", file="index.html.tmpl")
    (said,) = [found for found in demo.said() if found.startswith("error")]
    assert said.startswith("error upgrade from 0.1.0+1.35.0: ")
    assert "other content under the name" in said


def test_a_secret_that_nobody_gives(demo: Begun) -> None:
    secret = "secrets:\n  token:\n    external: true\n    name: ${STACK_NAME}_token_${SECRET_TOKEN_VERSION}\n"
    demo.change("configs:\n  index:", f"{secret}\nconfigs:\n  index:")
    demo.change("    init: true\n", "    init: true\n    secrets: [token]\n")
    demo.change("TYPE=demo\n", "TYPE=demo\nSECRET_TOKEN_VERSION=v1 # generate=false\n", file=".env.sample")
    assert [found for found in demo.said() if "secret token" in found] == [
        "error compose.yml: secret token: the recipe says generate=false, and nobody gives it"
    ]
    (demo.operator / "recipe.toml").write_text('[secrets]\ntoken = "any"\n')
    assert demo.said() == []


def test_tests_without_a_seed(demo: Begun) -> None:
    (test,) = demo.operator.glob("test_*.py")
    test.write_text(test.read_text().replace("@pytest.mark.seed", ""))
    assert any("marked seed" in found for found in demo.said())
    test.unlink()
    assert any("has no test_*.py" in found.says for found in demo.findings())


def test_no_env_sample(demo: Begun) -> None:
    (demo.path / ".env.sample").unlink()
    demo.git("commit", "--quiet", "--all", "--message=x")
    assert any(".env.sample" in found for found in demo.said())
