"""Settings: which source wins, and that each mistake is named with its file and field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from warmci.base import settings
from warmci.base.errors import UsageError


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text("", encoding="utf-8")
    monkeypatch.setenv("WARMCI_SETTINGS", str(path))
    return path


@pytest.fixture(autouse=True)
def no_file_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DEFAULT_FILE", tmp_path / "none.toml")


def test_file_then_environment_then_flags(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings.load().base_domain == "warmci.localhost"
    file.write_text('base_domain = "of.file"\n', encoding="utf-8")
    assert settings.load().base_domain == "of.file"
    monkeypatch.setenv("WARMCI_BASE_DOMAIN", "of.environment")
    assert settings.load().base_domain == "of.environment"
    assert settings.load(base_domain="of.flag").base_domain == "of.flag"
    assert settings.load(base_domain=None).base_domain == "of.environment"


@pytest.mark.parametrize("name", ["netns", "docker_cli", "metrics_file", "site_dir"])
def test_a_path_that_is_set_to_nothing_is_none(name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(f'{name} = "/of/the/file.prom"\n', encoding="utf-8")
    assert getattr(settings.load(), name) == Path("/of/the/file.prom")
    monkeypatch.setenv(f"WARMCI_{name.upper()}", "")
    assert getattr(settings.load(), name) is None


def test_directories_follow_the_state_directory() -> None:
    loaded = settings.load(state_dir=Path("/s"))
    assert (loaded.runs_dir, loaded.locks_dir, loaded.live_dir) == (
        Path("/s/.runs"),
        Path("/s/.locks"),
        Path("/s/.live"),
    )


def test_ports_stay_below_the_last_one() -> None:
    assert settings.load(port_first=30000, port_count=10).ports == range(30000, 30010)
    assert settings.load(port_first=65000, port_count=60000).ports == range(65000, 65536)


def test_the_engine_and_the_bound_of_ci_are_taken_from_their_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WARMCI_DOCKER_HOST")
    assert settings.load().docker_host == "unix:///var/run/docker.sock"
    assert settings.load().max_tests == 2
    monkeypatch.setenv("DOCKER_HOST", "tcp://engine:2375")
    monkeypatch.setenv("MAX_TESTS", "5")
    assert settings.load().docker_host == "tcp://engine:2375"
    assert settings.load().max_tests == 5
    monkeypatch.setenv("WARMCI_MAX_TESTS", "7")
    assert settings.load().max_tests == 7


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("port_first = 80\n", "port_first"),
        ('base_domain = "UPPER"\n', "base_domain"),
        ('base_domain = "-x"\n', "base_domain"),
        ("deploy_timeout_s = 0\n", "deploy_timeout_s"),
        ("max_tests = 0\n", "max_tests"),
        ('endpoint_mode = "other"\n', "endpoint_mode"),
        ('forge_url = "http://git.example.org"\n', "forge_url"),
        ('forge_url = "https://user:pass@git.example.org"\n', "forge_url"),
        ('forge_repository = "coop-cloud/miniflux"\n', "forge_repository"),
        ('forge_repository = "x/{recipe.__class__}"\n', "forge_repository"),
        ('stat_dir = "/x"\n', "stat_dir"),
        ("no toml", "settings.toml"),
    ],
)
def test_a_mistake_in_the_file_is_named(file: Path, text: str, word: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=word) as caught:
        settings.load()
    assert str(file) in f"{caught.value.message} {caught.value.hint}"
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("url", ["https://git.example.org", "https://git.example.org/forge", "http://127.0.0.1:3000"])
def test_forges(file: Path, url: str) -> None:
    file.write_text(f'forge_url = "{url}"\n', encoding="utf-8")
    assert settings.load().forge_url == url


def test_a_token_is_not_shown_and_not_taken_from_an_open_file(file: Path) -> None:
    file.write_text('forge_token = "canary-t0ken"\n', encoding="utf-8")
    file.chmod(0o640)
    with pytest.raises(UsageError, match="holds forge_token and others can read it") as caught:
        settings.load()
    assert caught.value.hint == f"chmod 0600 {file}"
    file.chmod(0o600)
    loaded = settings.load()
    assert loaded.forge_token.get_secret_value() == "canary-t0ken"
    assert "canary" not in f"{loaded!r} {loaded.model_dump_json()}"


def test_a_mistake_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMCI_LOCK_WAIT_S", "soon")
    with pytest.raises(UsageError, match="lock_wait_s"):
        settings.load()


def test_a_bound_that_is_no_number_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_TESTS", "many")
    with pytest.raises(UsageError):
        settings.load()


def test_a_named_file_must_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WARMCI_SETTINGS", str(tmp_path / "gone.toml"))
    with pytest.raises(UsageError, match=r"gone\.toml does not exist") as caught:
        settings.load()
    assert "WARMCI_SETTINGS" in str(caught.value.hint)


def test_settings_cannot_be_changed_after_loading() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings.load(), "max_tests", 9)  # noqa: B010  (mypy knows that it is read-only)


def test_every_setting_is_described() -> None:
    assert [name for name, field in settings.Settings.model_fields.items() if not field.description] == []


@pytest.fixture
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "credentials"
    path.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(path))
    return path


def test_a_credential_wins_over_the_file_and_the_environment_over_both(
    file: Path, credentials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('base_domain = "of.file"\nport_count = 20\n', encoding="utf-8")
    (credentials / "warmci_base_domain").write_text("of.credential\n", encoding="utf-8")
    (credentials / "of_somebody_else").write_text("x", encoding="utf-8")
    loaded = settings.load()
    assert (loaded.base_domain, loaded.port_count) == ("of.credential", 20)
    monkeypatch.setenv("WARMCI_BASE_DOMAIN", "of.environment")
    assert settings.load().base_domain == "of.environment"


def test_a_misspelt_credential_is_named(credentials: Path) -> None:
    (credentials / "warmci_base_domian").write_text("x.example", encoding="utf-8")
    with pytest.raises(UsageError, match="warmci_base_domian"):
        settings.load()


def test_a_wrong_credential_is_refused_without_its_value(credentials: Path) -> None:
    (credentials / "warmci_base_domain").write_text("S3CRET IN IT", encoding="utf-8")
    with pytest.raises(UsageError, match="base_domain") as caught:
        settings.load()
    assert "S3CRET" not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(("content", "word"), [(b" \n", "is empty"), (b"\xff\xfe", "is not readable text")])
def test_a_credential_without_a_secret_is_refused(credentials: Path, content: bytes, word: str) -> None:
    (credentials / "warmci_recipe_source").write_bytes(content)
    with pytest.raises(UsageError, match=f"warmci_recipe_source {word}"):
        settings.load()


@pytest.mark.parametrize("value", ["", "/nonexistent/credentials"])
def test_without_credentials_nothing_is_missed(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", value)
    assert settings.load().base_domain == "warmci.localhost"


@pytest.mark.parametrize(
    ("given", "sources"),
    [
        ("/srv/{recipe}", ("/srv/{recipe}",)),
        (
            '["/srv/{recipe}", "https://example.org/{recipe}.git"]',
            ("/srv/{recipe}", "https://example.org/{recipe}.git"),
        ),
    ],
)
def test_recipe_source_is_one_or_several(
    given: str, sources: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARMCI_RECIPE_SOURCE", given)
    assert settings.load().recipe_source == sources
    monkeypatch.delenv("WARMCI_RECIPE_SOURCE")
    file = tmp_path / "settings.toml"
    file.write_text(f"recipe_source = {given if given.startswith('[') else json.dumps(given)}\n")
    monkeypatch.setenv("WARMCI_SETTINGS", str(file))
    assert settings.load().recipe_source == sources


@pytest.mark.parametrize("given", ["/srv/recipes", "[]", "[", "/srv/{recipe}/{other}", "/srv/{recipe}{", '["/srv/x"]'])
def test_a_recipe_source_without_the_recipes_name(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARMCI_RECIPE_SOURCE", given)
    with pytest.raises(UsageError, match="recipe_source"):
        settings.load()


def test_all_mistakes_are_told_at_once_with_what_was_meant(file: Path) -> None:
    file.write_text(
        'max_test = 3\ningress = "trafik"\ndisk_low_mb = "x"\nforge_url = "https://ci:pw-canary@forge"\n',
        encoding="utf-8",
    )
    with pytest.raises(UsageError) as caught:
        settings.load()
    said = caught.value.message
    assert "max_test: unknown; did you mean max_tests?" in said
    assert "ingress: must be 'auto', 'traefik' or 'direct'" in said
    assert "disk_low_mb: must be a whole number" in said
    assert "forge_url: does not match" in said
    assert "pw-canary" not in said
