"""Settings: defaults < file < credentials < environment (WARMCI_…). Loaded once by the entry files and passed down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from warmci.base.errors import UsageError
from warmci.base.mistakes import told
from warmci.base.names import recipe_name
from warmci.base.source_setting import CO_OP_CLOUD, RecipeSources

DEFAULT_FILE = Path("/etc/warmci/settings.toml")
FILE_VARIABLE = "WARMCI_SETTINGS"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
"""Set by systemd for a unit with LoadCredential= (systemd.exec(5))."""
PREFIX = "WARMCI_"
OptionalPath = Annotated[Path | None, BeforeValidator(lambda value: value or None)]
"""Set to nothing, as an empty variable is, it is none: pathlib would make it the directory at hand."""


def default_docker_host() -> str:
    """The operator's $DOCKER_HOST, else the engine's own socket."""
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def _max_tests() -> int:
    return int(os.environ.get("MAX_TESTS") or 2)


class _FromHost(BaseSettings):
    """Where values are looked for, in their order."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (signature of pydantic-settings)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = TomlConfigSettingsSource(settings_cls, settings_file())
        return init_settings, env_settings, SecretsSettingsSource(settings_cls, credentials_dir()), file


class Settings(_FromHost):
    """Each field is a setting; its description is what docs/settings.md says."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    state_dir: Path = Field(Path("/var/lib/ci-warm"), description="canonicals, runs and locks; 0700, one file system")
    recipes_dir: Path = Field(
        Path("/etc/warmci/recipes"), description="the operator's RECIPE/recipe.toml and RECIPE/test_*.py"
    )
    pytest_plugins: tuple[
        Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")], ...
    ] = Field(
        (), description="modules of pytest plugins for recipes' tests; none is loaded by itself (docs/recipes.md)"
    )
    recipe_source: RecipeSources = Field(
        (CO_OP_CLOUD,),
        description="where recipes are cloned from: URL or path with {recipe} in it, or a list of them (in the "
        "environment as JSON), of which the first that has the recipe is taken",
    )
    base_domain: str = Field(
        "warmci.localhost",
        pattern=r"^[a-z0-9]([a-z0-9.-]{0,30}[a-z0-9])?$",
        description="apps get names under it",
    )
    docker_host: str = Field(
        default_factory=default_docker_host, description="the engine; default: $DOCKER_HOST, else its socket"
    )
    docker_cli: OptionalPath = Field(
        None,
        description="Docker's CLI, 23 or newer, that reads recipes and deploys; default: `docker` on PATH, "
        "else the one that scripts/install-tools built",
    )
    netns: OptionalPath = Field(None, description="network namespace of a private engine, entered at start")
    ingress_address: str = Field("127.0.0.1", description="where published ports of this host answer")
    tls_certificate: OptionalPath = Field(
        None, description="PEM file, with its chain, for *.base_domain; default: one by a CA of this host's own"
    )
    tls_key: OptionalPath = Field(None, description="PEM file of its key")
    port_first: int = Field(20000, ge=1024, le=65000, description="first port that WarmCI publishes apps on")
    port_count: int = Field(8000, ge=10, le=60000, description="how many ports WarmCI may use")
    endpoint_mode: Literal["auto", "vip", "dnsrr"] = Field(
        "auto", description="auto: dnsrr where the kernel has no IPVS (reported as a deviation)"
    )
    max_tests: int = Field(
        default_factory=_max_tests,
        ge=1,
        le=64,
        description="apps under test at once on this host; a cold run may take two; default: $MAX_TESTS, else 2",
    )
    lock_wait_s: float = Field(1800.0, ge=0, description="seconds to wait for the app's lock and a slot")
    deploy_timeout_s: float = Field(600.0, gt=0, description="seconds until a deployment must have converged")
    deploy_timeout_max_s: float = Field(
        3600.0, gt=0, description="the same where the recipe's TIMEOUT asks for more; never less than deploy_timeout_s"
    )
    watch_s: float = Field(
        20.0, ge=0, description="seconds from a task's start that cold watches it for late faults, beside the tests"
    )
    screenshots: Literal["cold", "always", "never"] = Field(
        "cold",
        description="which runs' reports show the app's landing page, where there is a Chromium: cold ones, all, none",
    )
    pull_timeout_s: float = Field(
        1800.0, gt=0, description="seconds until the images that the engine lacks must have been pulled"
    )
    keycloak_ref: str = Field("", description="release of the keycloak recipe for the live provider; default: newest")
    traefik_ref: str = Field("", description="release of the traefik recipe for the live ingress; default: newest")
    ingress: Literal["auto", "traefik", "direct"] = Field(
        "auto", description="who stands before apps; auto: Traefik where one is there, else direct (docs/ingress.md)"
    )
    realm_warn: int = Field(100, ge=1, description="realms at the live Keycloak from which doctor and runs warn")
    realm_max: int = Field(
        250, ge=1, description="realms from which new ones are refused: Keycloak degrades from about 300"
    )
    realm_ttl_s: int = Field(
        86400, ge=60, description="seconds after which other hosts may reap a realm that this host made"
    )
    realm_reap_max: int = Field(50, ge=1, description="how many realms one pass of the reaper deletes at most")
    protected_realms: tuple[str, ...] = Field((), description="realms that are never created, changed or deleted")
    recipes: tuple[str, ...] = Field((), description="enrolled recipes: swept nightly, each with a canonical")
    sweep_budget_s: float = Field(4 * 3600.0, gt=0, description="seconds after which a sweep starts no further recipe")
    sweep_stale_days: float = Field(7.0, gt=0, description="days without a promotion after which a sweep is not green")
    alert_webhook: SecretStr | None = Field(
        None,
        description="URL that alerts are posted to as JSON, when they are new or changed and when they are resolved",
    )
    disk_low_mb: int = Field(
        1024, ge=0, description="with less free (MiB), a run prunes first, and is refused if need be"
    )
    disk_high_mb: int = Field(4096, ge=0, description="such a run prunes until this much is free (MiB)")
    disk_low_inodes: int = Field(10_000, ge=0, description="as disk_low_mb, in inodes")
    disk_high_inodes: int = Field(40_000, ge=0, description="as disk_high_mb, in inodes")
    keep_runs: int = Field(30, ge=1, description="results and logs that are kept of each recipe and kind of run")
    site_dir: OptionalPath = Field(
        None, description="where the overview is written for a web server; default: STATE/.site, which is ours alone"
    )
    site_url: str = Field(
        "",
        pattern=r"^$|^https?://[^\s@?#]+$",
        description="URL that site_dir is served at: pull requests and alerts then link to it",
    )
    metrics_file: OptionalPath = Field(
        None, description="NAME.prom in node_exporter's textfile directory; written after each run and sweep"
    )
    forge_url: str = Field(
        "",
        pattern=r"^$|^https://[^\s@?#]+$|^http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/[^\s@?#]*)?$",
        description="Gitea or Forgejo that hears of runs with --pr (https, or http on this host); empty: none",
    )
    forge_repository: str = Field(
        "coop-cloud/{recipe}",
        pattern=r"^[^{}/]+/[^{}/]*\{recipe\}[^{}/]*$",
        description="owner and name of a recipe's repository there",
    )
    forge_token: SecretStr = Field(
        SecretStr(""), description="its token: write on repository and issues, read:user; better as WARMCI_FORGE_TOKEN"
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.disk_high_mb < self.disk_low_mb or self.disk_high_inodes < self.disk_low_inodes:
            raise ValueError("disk_high_mb and disk_high_inodes must not be below disk_low_mb and disk_low_inodes")
        file = self.metrics_file
        if file is not None and (file.suffix != ".prom" or not file.is_absolute()):
            raise ValueError("metrics_file must be an absolute path that ends in .prom")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        return self

    @field_validator("recipes")
    @classmethod
    def _checked(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(dict.fromkeys(recipe_name(name) for name in value))
        except UsageError as error:
            raise ValueError(error.message) from None

    @property
    def site(self) -> Path:
        return self.site_dir or self.state_dir / ".site"

    @property
    def runs_dir(self) -> Path:
        return self.state_dir / ".runs"

    @property
    def locks_dir(self) -> Path:
        return self.state_dir / ".locks"

    @property
    def live_dir(self) -> Path:
        return self.state_dir / ".live"

    @property
    def ingress_dir(self) -> Path:
        return self.state_dir / ".ingress"

    @property
    def tls_dir(self) -> Path:
        return self.state_dir / ".tls"

    @property
    def ports(self) -> range:
        return range(self.port_first, min(self.port_first + self.port_count, 65536))


def settings_file() -> Path:
    return Path(os.environ.get(FILE_VARIABLE) or DEFAULT_FILE)


def credentials_dir() -> Path | None:
    """Where systemd put this unit's credentials: a file WARMCI_NAME, in small letters, is the setting NAME."""
    directory = os.environ.get(CREDENTIALS_VARIABLE)
    return Path(directory) if directory and Path(directory).is_dir() else None


def _check_credentials() -> None:
    """A credential that is misspelt or empty would silently leave its setting without the secret."""
    directory = credentials_dir()
    for path in sorted(directory.iterdir()) if directory else ():
        name = path.name.removeprefix(PREFIX.lower())
        if name == path.name:
            continue  # somebody else's
        if name not in Settings.model_fields:
            raise UsageError(f"credential {path.name}: there is no setting {name}", hint="see docs/settings.md")
        try:
            empty = not path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise UsageError(f"credential {path.name} is not readable text", hint="see docs/settings.md") from None
        if empty:
            raise UsageError(f"credential {path.name} is empty", hint="write the secret into its file")


def load(**flags: Any) -> Settings:
    """Settings of this process; flags win over everything. Raises UsageError naming file and field."""
    _check_credentials()
    path = settings_file()
    if os.environ.get(FILE_VARIABLE) and not path.is_file():
        raise UsageError(f"settings file {path} does not exist", hint=f"unset {FILE_VARIABLE} or correct it")
    try:
        _refuse_open_secret(path)
        return Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        raise UsageError(
            f"settings: {told(error, Settings, values=False)}", hint=f"see docs/settings.md and {path}"
        ) from error
    except ValueError as error:
        raise UsageError(f"settings file {path}: {error}", hint="see docs/settings.md") from error


class _StateDir(_FromHost):
    """The one setting that tells where the result of a run with wrong settings goes."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    state_dir: Path = Settings.model_fields["state_dir"].default


def state_dir_alone() -> Path | None:
    """state_dir, whatever else is wrong in the settings; None where not even that can be told."""
    if os.environ.get(FILE_VARIABLE) and not settings_file().is_file():
        return None
    try:
        return _StateDir().state_dir
    except ValueError:  # of pydantic, or of TOML
        return None


def _refuse_open_secret(path: Path) -> None:
    if path.is_file() and path.stat().st_mode & 0o044 and "forge_token" in path.read_text(encoding="utf-8"):
        raise UsageError(f"settings file {path} holds forge_token and others can read it", hint=f"chmod 0600 {path}")


def as_markdown() -> str:
    """docs/settings.md, from the fields themselves."""
    rows = []
    for name, field in Settings.model_fields.items():
        is_none = field.default_factory or field.default in (None, ()) or isinstance(field.default, SecretStr)
        default = "" if is_none else f"`{field.default[0] if isinstance(field.default, tuple) else field.default}`"
        rows.append(f"| `{name}` | {default} | {field.description} |")
    head = (
        "# Settings\n\n"
        f"Generated by `make docs`. Read from `{DEFAULT_FILE}` (TOML), or from the file that `${FILE_VARIABLE}` names."
        "\nThe environment wins over the file: `WARMCI_NAME` sets `name`. Between the two stand systemd's credentials:"
        f"\nthe file `warmci_name` in `${CREDENTIALS_VARIABLE}` sets `name`. That is the place for secrets: it is never"
        "\nin a file or an environment that others read.\n\n"
        "| setting | default | meaning |\n| --- | --- | --- |\n"
    )
    return head + "\n".join(rows) + "\n"
