"""`warmci recipe check`: what makes a recipe untestable, or less tested than its author thinks; without an engine."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from warmci.base.errors import RecipeFailedError
from warmci.base.models import Line, Record
from warmci.recipe.healthcheck import is_checked
from warmci.recipe.pair import Pair
from warmci.recipe.reading import placed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmci.base.models import Ingress
    from warmci.base.settings import Settings
    from warmci.recipe.config import RecipeConfig
    from warmci.recipe.render import Rendered
    from warmci.recipe.repository import Repository

_SHELLS = frozenset({"sh", "bash", "ash", "dash", "busybox"})
_VERSION_LABEL = "coop-cloud.${STACK_NAME}.version"


class Finding(Record):
    level: Literal["error", "warning", "note"]
    """error: a run cannot be green; warning: something is not tested, or will be red one day; note: to know."""
    what: Line
    """The part of the recipe."""
    says: Line
    hint: Line = ""


def examine(
    settings: Settings, config: RecipeConfig, repository: Repository, head: str, kind: Ingress, scheme: str
) -> list[Finding]:
    """All that can be told of a commit under that ingress, errors first. Raises InfraError without a Docker CLI."""
    pair = Pair(settings, config, repository, placed(settings, repository.recipe, kind, scheme), head)
    release = repository.version_of(pair.base_commit) if pair.base_commit else ""
    where = {"head": "compose.yml", "base": f"release {release}", "upgrade": f"upgrade from {release}"}
    found = [
        Finding(level="error", what=where[obstacle.of], says=obstacle.says, hint=obstacle.hint)
        for obstacle in pair.obstacles()
    ]
    found += _of_releases(repository, head)
    if (now := pair.head.rendered) is not None:
        found += _of_document(now)
        found += _of_version(now, repository, head)
    found += _of_env_sample(repository, head)
    found += _of_tests(settings, repository.recipe)
    return sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.level))


def _of_env_sample(repository: Repository, head: str) -> Iterator[Finding]:
    with suppress(RecipeFailedError):  # a commit that cannot be checked out is told already
        if not (repository.checkout(head) / ".env.sample").exists():
            says = "there is none, so abra cannot make an app of it"
            yield Finding(level="warning", what=".env.sample", says=says)


def _of_releases(repository: Repository, head: str) -> Iterator[Finding]:
    if not repository.releases(head):
        yield Finding(
            level="warning",
            what="tags",
            says="no release x.y.z+upstream is in the history, so there is nothing that an upgrade could start from",
            hint="git tag -a 0.1.0+1.35.0, with the version of the app behind the +",
        )
    for said in repository.passed_over(head):
        yield Finding(level="warning", what="tags", says=said, hint="git tag -a x.y.z+upstream COMMIT")
    if light := repository.lightweight_tags(head):
        yield Finding(
            level="warning",
            what="tags",
            says=f"lightweight, so without author and date: {', '.join(light)}; abra makes and expects annotated ones",
            hint=f"git tag -a -f {light[0]} {light[0]}",
        )


def _of_document(rendered: Rendered) -> Iterator[Finding]:
    for name, service in rendered.document["services"].items():
        yield from _of_service(f"services.{name}", service)
    if rendered.route is None:
        yield Finding(
            level="warning",
            what="route",
            says=f"the app is not asked over HTTP, because {rendered.unrouted}",
            hint='Traefik labels in deploy.labels, or route = "SERVICE:PORT" in recipe.toml',
        )
    for said in rendered.deviations:
        yield Finding(level="note", what="as tested", says=said)


def _of_service(what: str, service: dict[str, Any]) -> Iterator[Finding]:
    image = str(service.get("image", ""))
    if "@" not in image and (":" not in image.rpartition("/")[2] or image.endswith(":latest")):
        yield Finding(
            level="warning", what=what, says=f"image {image} is another one every week", hint="name its version"
        )
    if not is_checked(service):
        yield Finding(
            level="warning",
            what=what,
            says="no health check: unless the image has one, it counts as started as soon as its process runs",
            hint="healthcheck with test, interval, retries and start_period",
        )
    volumes = service.get("volumes") or []
    for volume in volumes:
        if volume["type"] == "volume" and not volume.get("source"):
            says = f"{volume['target']} is an anonymous volume: its data is lost at each update"
            yield Finding(level="warning", what=what, says=says, hint=f"a named one: data:{volume['target']}")
    if not any(volume["type"] == "volume" and volume.get("source") for volume in volumes):
        return
    hint = "`init: true`, a `stop_signal` that it obeys, a `stop_grace_period` that is long enough"
    if _is_shell(service):
        says = "a shell is process 1 and hands no signal on: the service is killed, and its data is never promoted"
        yield Finding(level="warning", what=what, says=says, hint=f"exec in the script, or {hint}")
    elif not any(service.get(key) for key in ("init", "stop_signal", "stop_grace_period")):
        says = "data is promoted only of a service that ends by itself when told to; that is left to the image here"
        yield Finding(level="note", what=what, says=says, hint=hint)


def _is_shell(service: dict[str, Any]) -> bool:
    """Whether process 1 is a shell that neither makes way for the app nor listens itself."""
    argv = [*(service.get("entrypoint") or []), *(service.get("command") or [])]
    if service.get("init") or len(argv) < 3 or str(argv[0]).rpartition("/")[2] not in _SHELLS:
        return False
    script = " ".join(map(str, argv[1:]))
    return "exec " not in script and "trap " not in script


def _of_version(rendered: Rendered, repository: Repository, head: str) -> Iterator[Finding]:
    tagged, labelled = repository.version_of(head), rendered.version
    if labelled == head[:8]:
        yield Finding(
            level="warning",
            what="version",
            says="no service has the label of the recipe's version",
            hint=_VERSION_LABEL,
        )
    elif tagged != head[:8] and tagged != labelled:
        says = f"the commit is tagged {tagged}, and its label says {labelled}"
        yield Finding(level="warning", what="version", says=says, hint=_VERSION_LABEL)


def _of_tests(settings: Settings, recipe: str) -> Iterator[Finding]:
    home = settings.recipes_dir / recipe
    seeds = [path for path in home.glob("test_*.py") if "mark.seed" in path.read_text("utf-8", errors="replace")]
    if not any(home.glob("test_*.py")):
        says = f"{home} has no test_*.py: that data survives an upgrade is seen by generic tests only"
        yield Finding(level="note", what="tests", says=says, hint="docs/recipes.md")
    elif not seeds:
        says = f"no test in {home} is marked seed, so an upgrade starts from an app that nobody has used"
        yield Finding(level="warning", what="tests", says=says, hint="@pytest.mark.seed")
