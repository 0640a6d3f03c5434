"""The operator's recipe.toml: defaults, and each mistake named with file and field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from warmci.base.errors import UsageError
from warmci.recipe.config import RecipeConfig, claim_source, filled, load_config

if TYPE_CHECKING:
    from pathlib import Path


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "recipe.toml").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_recipe_needs_no_file(tmp_path: Path) -> None:
    assert load_config(tmp_path, "demo") == RecipeConfig()
    assert RecipeConfig().needs == ()
    assert RecipeConfig().allow == ()


def test_everything_is_read(tmp_path: Path) -> None:
    text = """
needs = ["keycloak"]
health_path = "/up"
attach = "copy"
allow = ["cap_add:app"]
test_timeout_s = 5
env = {SITE = "{url}/x", HOST = "{domain}:{port}"}
secrets = {smtp_pw = "{literal}"}
[sso]
redirect_paths = ["/cb"]
env = {OIDC = "{issuer}", BACK = "{url}/cb"}
secrets = {oidc_secret = "{client_secret}"}
"""
    config = load_config(written(tmp_path, text), "demo")
    assert (config.needs, config.health_path, config.attach, config.allow) == (
        ("keycloak",),
        "/up",
        "copy",
        ("cap_add:app",),
    )
    assert config.secrets == {"smtp_pw": "{literal}"}
    assert config.sso is not None
    assert config.sso.redirect_paths == ("/cb",)
    facts = {"url": "http://d:1", "domain": "d", "port": "1"}
    assert filled(config.env, facts) == {"SITE": "http://d:1/x", "HOST": "d:1"}


def test_users_clients_and_claims_are_read(tmp_path: Path) -> None:
    text = """
[sso]
backchannel_logout_path = "/logout-by-keycloak"
login_timeout_s = 30
[sso.users.bob]
roles = ["editor"]
groups = ["staff/editors"]
attributes = {department = "Press"}
[sso.clients.robot]
service_account = true
[sso.claims]
groups = "{groups}"
department = "{attribute:department}"
tenant = "acme"
admin = true
level = 3
[sso.env]
ROBOT = "{robot_client_id}"
[sso.secrets]
robot = "{robot_client_secret}"
"""
    sso = load_config(written(tmp_path, text), "demo").sso
    assert sso is not None
    assert sso.users["bob"].groups == ("staff/editors",)
    assert sso.clients["robot"].service_account
    sources = {name: claim_source(said) for name, said in sso.claims.items()}
    assert sources == {"groups": "groups", "department": "attribute:department", "tenant": "", "admin": "", "level": ""}
    assert (sso.claims["admin"], sso.claims["level"]) == (True, 3)
    assert sso.login_timeout_s == 30


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('sso = {users = {"../bob" = {}}}', "sso.users"),
        ('sso = {users = {bob = {groups = ["/staff"]}}}', "sso.users.bob.groups.0"),
        ('sso = {users = {bob = {password = "x"}}}', "sso.users.bob.password"),
        ("sso = {clients = {app = {}}}", "app is the app's own client"),
        ('sso = {clients = {robot = {redirect_paths = ["cb"]}}}', "sso.clients.robot.redirect_paths.0"),
        (
            'sso = {claims = {groups = "{group}"}}',
            "unknown source {group}; known: {groups}, .*{attribute:NAME}",
        ),
        ('sso = {env = {A = "{robot_client_id}"}}', "unknown placeholder {robot_client_id}"),
        ('sso = {backchannel_logout_path = "logout"}', "sso.backchannel_logout_path"),
        ('need = ["keycloak"]', "need: "),
        ('needs = ["postgres"]', "needs.0: "),
        ('health_path = "up"', "health_path: "),
        ('secrets = {a = ""}', "secrets.a: "),
        ('attach = "link"', "attach: "),
        ("test_timeout_s = 0", "test_timeout_s: "),
        ('env = {A = "{client_secret}"}', "unknown placeholder {client_secret}"),
        ('sso = {env = {A = "{passwd}"}}', "sso.env: .*unknown placeholder {passwd}; known: .*issuer"),
        ('sso = {secrets = {A = "{url.__class__}"}}', "unknown placeholder"),
        ('env = {A = "{url[0]}"}', "unknown placeholder"),
        ('env = {A = "{0}"}', "unknown placeholder"),
        ('env = {A = "{}"}', "unknown placeholder"),
        ('env = {A = "{url"}', "env: "),
        ("env = 7", "env: "),
        ("not toml", "recipe.toml: "),
        ("a = 1\na = 2", "recipe.toml: "),
    ],
)
def test_a_mistake_names_file_and_field(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        load_config(written(tmp_path, text), "demo")
    assert caught.value.message.startswith(str(tmp_path / "demo" / "recipe.toml"))
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_all_mistakes_are_told_at_once_in_words(tmp_path: Path) -> None:
    text = """
health_pth = "/up"
redirect_paths = ["/cb"]
test_timeout_s = "soon"
attach = "link"
[sso]
fixed_relm = true
health_path = "/x"
[sso.users.bob]
rolls = ["x"]
[sso.claims]
a = [1]
"""
    with pytest.raises(UsageError) as caught:
        load_config(written(tmp_path, text), "demo")
    said = caught.value.message.removeprefix(f"{tmp_path / 'demo' / 'recipe.toml'}: ")
    assert sorted(said.split("; ")) == sorted(
        [
            "health_pth: unknown",
            "did you mean health_path?",
            "redirect_paths: unknown here",
            "it belongs into [sso]",
            "test_timeout_s: must be a number",
            "attach: must be 'overlay' or 'copy', not 'link'",
            "sso.fixed_relm: unknown",
            "did you mean fixed_realm?",
            "sso.health_path: unknown here",
            "it belongs above all tables",
            "sso.users.bob.rolls: unknown",
            "did you mean roles?",
            "sso.claims.a: must be text, a number, true or false",
        ]
    )


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (written(tmp_path, "") / "demo" / "recipe.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match=r"recipe\.toml"):
        load_config(tmp_path, "demo")


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "demo" / "recipe.toml").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"recipe\.toml"):
        load_config(tmp_path, "demo")
