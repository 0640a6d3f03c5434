"""What an operator must know even if nobody watched: one file per subject, shown by status, posted to a webhook."""

from __future__ import annotations

import json
import re
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import httpx
from pydantic import ValidationError

from warmci.base import http
from warmci.base.errors import InfraError
from warmci.base.fs import write_json
from warmci.base.models import Line, Record
from warmci.base.state import disk

if TYPE_CHECKING:
    from pathlib import Path

    from warmci.base.settings import Settings
    from warmci.report.console import Console

_SUBJECT = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_WEBHOOK_TIMEOUT_S = 10.0
_WEBHOOK_ANSWER_MAX = 2**20


class Alert(Record):
    """STATE/.alerts/SUBJECT.json; stands until what it is about has been put right."""

    schema_version: Literal[1] = 1
    subject: Line
    message: Line
    hint: Line
    host: Line
    since: datetime


def _dir(settings: Settings) -> Path:
    return settings.state_dir / ".alerts"


def alert(settings: Settings, console: Console, subject: str, message: str, hint: str) -> None:
    """Say it, keep it, and post it when it is new. A webhook that does not answer is a warning, no more."""
    if not _SUBJECT.fullmatch(subject):
        raise ValueError(subject)
    message, hint = console.redact(message), console.redact(hint)
    console.say(f"alert: {message}", style="bold yellow")
    raised = Alert(subject=subject, message=message, hint=hint, host=socket.gethostname(), since=datetime.now(UTC))
    if (before := _read(_dir(settings) / f"{subject}.json")) is not None and before.message == raised.message:
        return
    directory = _dir(settings)
    try:
        with disk(f"alert {subject}"):
            directory.mkdir(mode=0o700, exist_ok=True)
            write_json(directory / f"{subject}.json", raised.model_dump(mode="json"))
    finally:  # a full disk must not silence the one way that is left
        if settings.alert_webhook is not None:
            _post(settings.alert_webhook.get_secret_value(), raised, console)


def _read(path: Path) -> Alert | None:
    """The alert of that file; None where there is none that can be read: it is about to be replaced."""
    try:
        return Alert.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _post(url: str, raised: Alert, console: Console) -> None:
    try:
        with http.outside(url, total_s=_WEBHOOK_TIMEOUT_S, most_bytes=_WEBHOOK_ANSWER_MAX) as client:
            answer = client.post(url, json=raised.model_dump(mode="json"))
        reason = "" if answer.is_success else f"HTTP {answer.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = type(error).__name__  # its words may hold the URL, which is a secret
    if reason:
        console.say(f"warning: the alert webhook did not take it: {reason}", style="yellow")


def clear(settings: Settings, subject: str) -> None:
    """What the alert was about has been put right; nothing to do where there is none."""
    with disk(f"alert {subject}"):
        (_dir(settings) / f"{subject}.json").unlink(missing_ok=True)


def standing(settings: Settings) -> list[Alert]:
    """All that stand, oldest first. Raises InfraError for a file that cannot be read."""
    found = []
    for path in sorted(_dir(settings).glob("[a-z0-9]*.json")):
        try:
            found.append(Alert.model_validate(json.loads(path.read_bytes())))
        except FileNotFoundError:
            continue  # cleared meanwhile
        except (ValidationError, ValueError) as error:
            raise InfraError(
                f"{path} is not readable: {type(error).__name__}", hint=f"look at it, then rm {path}"
            ) from (error)
    return sorted(found, key=lambda item: item.since)
