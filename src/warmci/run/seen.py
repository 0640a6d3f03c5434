"""What is kept in a run's directory when a stage of an app fails: seen before the clean-up takes the stack away."""

from __future__ import annotations

import re
from difflib import unified_diff
from typing import TYPE_CHECKING

from warmci.base import fs
from warmci.base.errors import InfraError, RecipeFailedError
from warmci.base.labels import NAMESPACE_LABEL
from warmci.base.text import block
from warmci.recipe import compose_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from warmci.recipe.render import Rendered
    from warmci.swarm.engine import Engine

DIRECTORY = "seen"
_LOG_LINES = 500
_FILE_MAX = 256 * 2**10
"""Characters of one file; the end of what is longer."""
_DIFF_LINES_MAX = 4_000
_SERVICES_MAX = 50
_SAFE = re.compile(r"[^A-Za-z0-9_.-]")


def keep(
    engine: Engine,
    stack: str,
    run_dir: Path,
    title: str,
    rendered: tuple[Rendered | None, Rendered | None],
    redact: Callable[[str], str],
) -> None:
    """Write logs, health checks, tasks and the compose files (base, head) below run_dir/seen/TITLE; never raises.

    What cannot be seen, because the engine does not answer or the disk is full, is left out: the failure is the news.
    """
    home = run_dir / DIRECTORY / _safe(title)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in _files(engine, stack, rendered):
            if text.strip():
                fs.write_atomic(home / name, block(redact(text), _FILE_MAX))
    except (OSError, InfraError, RecipeFailedError):
        return


def listed(run_dir: Path) -> list[str]:
    """What tells more than the reports do, relative to the run's directory."""
    found = [*run_dir.glob("*.log"), *run_dir.glob("screenshot-*.jpg"), *run_dir.glob(f"{DIRECTORY}/*/*")]
    return sorted(str(path.relative_to(run_dir)) for path in found if path.is_file())


def _files(engine: Engine, stack: str, rendered: tuple[Rendered | None, Rendered | None]) -> Iterator[tuple[str, str]]:
    """Name and text; the compose files first, as they ask no engine."""
    base, head = (compose_text.dump(one.document) if one else "" for one in rendered)
    yield "compose.yml", head
    if base and head:
        yield "compose.diff", changes(base, head)
    label = [f"{NAMESPACE_LABEL}={stack}"]
    services = {str(item["ID"]): str(item["Spec"]["Name"]) for item in engine.services(label)}
    yield "tasks.txt", "\n".join(_tasks(engine.tasks(label), services))
    yield "health.txt", "\n".join(_health(engine, label))
    for name in sorted(services.values())[:_SERVICES_MAX]:
        short = name.removeprefix(f"{stack}_")
        yield f"{_safe(short)}.log", engine.service_logs(stack, short, _LOG_LINES)


def changes(base: str, head: str) -> str:
    """The difference by lines, of files that people write: of longer ones it would take minutes."""
    before, after = base.splitlines(), head.splitlines()
    if max(len(before), len(after)) > _DIFF_LINES_MAX:
        return f"not compared: more than {_DIFF_LINES_MAX} lines\n"
    return "\n".join(unified_diff(before, after, "base", "head", lineterm=""))


def _tasks(tasks: list[dict[str, Any]], services: dict[str, str]) -> Iterator[str]:
    """Swarm's history, oldest first."""
    for task in sorted(tasks, key=lambda item: str(item["CreatedAt"])):
        status = task["Status"]
        container = status.get("ContainerStatus") or {}
        said = status.get("Err") or status.get("Message") or ""
        code = container.get("ExitCode")
        ended = f", exit {code}" if code is not None and status["State"] in {"complete", "failed"} else ""
        name = services.get(str(task["ServiceID"]), str(task["ServiceID"]))
        yield (
            f"{str(status['Timestamp'])[:19]} {name}.{task.get('Slot', 0)} {task['ID'][:12]}"
            f" {status['State']}, wanted {task['DesiredState']}{ended}: {said}"
        )


def _health(engine: Engine, label: list[str]) -> Iterator[str]:
    """The last outputs of each container's health check."""
    for item in engine.containers(label):
        health = ((engine.inspect_container(str(item["Id"])) or {}).get("State") or {}).get("Health") or {}
        for check in health.get("Log") or []:
            ended = f"{str(check.get('End', ''))[:19]} exit {check.get('ExitCode')}"
            yield f"{item['Names'][0].lstrip('/')} {ended}: {str(check.get('Output', '')).strip()}"


def _safe(name: str) -> str:
    return _SAFE.sub("-", name).lstrip(".")[:100] or "x"
