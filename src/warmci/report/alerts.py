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
        _post(settings, raised, "raised", console)


def _read(path: Path) -> Alert | None:
    """The alert of that file; None where there is none that can be read: it is about to be replaced."""
    try:
        return Alert.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


class Posted(Alert):
    """What is posted to alert_webhook: once when an alert is raised or its words change, once when it is resolved."""

    state: Literal["raised", "resolved"]
    text: Line
    """All of it in one line, which the hooks of Slack, Mattermost and Matrix show."""
    link: Line = ""
    """The overview, where site_url says where that is."""


def posted(alert: Alert, state: Literal["raised", "resolved"], link: str) -> Posted:
    hint = f"; {alert.hint}" if state == "raised" and alert.hint else ""
    text = f"WarmCI on {alert.host}: {'resolved: ' if state == 'resolved' else ''}{alert.message}{hint}"
    return Posted.model_validate({**alert.model_dump(), "state": state, "text": text, "link": link})


def _post(settings: Settings, alert: Alert, state: Literal["raised", "resolved"], console: Console | None) -> None:
    if settings.alert_webhook is None:
        return
    body, url = (
        posted(alert, state, settings.site_url).model_dump(mode="json"),
        settings.alert_webhook.get_secret_value(),
    )
    try:
        with http.outside(url, total_s=_WEBHOOK_TIMEOUT_S, most_bytes=_WEBHOOK_ANSWER_MAX) as client:
            answer = client.post(url, json=body)
        reason = "" if answer.is_success else f"HTTP {answer.status_code}"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = type(error).__name__  # its words may hold the URL, which is a secret
    if reason and console is not None:
        console.say(f"warning: the alert webhook did not take it: {reason}", style="yellow")


def clear(settings: Settings, subject: str, console: Console | None = None) -> None:
    """What the alert was about has been put right, which is posted, too; nothing to do where there is none."""
    path = _dir(settings) / f"{subject}.json"
    before = _read(path)
    with disk(f"alert {subject}"):
        path.unlink(missing_ok=True)
    if before is not None:
        _post(settings, before, "resolved", console)


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
