"""What a comment or a CI's event asks for: whole grammar, recipe, pull request, ref. Runs nothing itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from warmci.base import names
from warmci.base.errors import UsageError
from warmci.base.models import Mode, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

# The last line end is none of the commenter's: `echo`, heredocs and web forms add it.
_COMMENT = re.compile(r"!testme(?P<quick> --quick)?(?:\r?\n)?")
_PULL = re.compile(r"refs/pull/([0-9]+)/(?:head|merge)")
_BRANCH_OR_TAG = re.compile(r"refs/(?:heads|tags)/(.+)")
_LINK = re.compile(r"https?://[!-~]{1,500}")
_EVENT_MAX = 32 * 2**20
_HINT = "docs/ci.md lists the events"


class Wanted(Record):
    """What an event asks for; mode None: nothing, it is a comment that is no trigger."""

    ci: str
    recipe: str
    pr: str = ""
    ref: str = ""
    mode: Mode | None = Mode.COLD

    def arguments(self) -> list[str]:
        """For run_recipe_ci.py; empty when nothing is asked for. Checked names, none with a space or a wildcard."""
        if self.mode is None:
            return []
        named = [*(["--pr", self.pr] if self.pr else []), *(["--ref", self.ref] if self.ref else [])]
        return [self.recipe, *named, *(["--quick"] if self.mode is Mode.QUICK else [])]


def parse_comment(text: str) -> Mode | None:
    """`!testme` is cold, `!testme --quick` is quick, every other text is no trigger, to the letter."""
    found = _COMMENT.fullmatch(text)
    if found is None:
        return None
    return Mode.QUICK if found["quick"] else Mode.COLD


def from_environment(environ: Mapping[str, str]) -> Wanted:
    """What Woodpecker's, Drone's or Actions' (Gitea, Forgejo, GitHub) variables ask for; UsageError for any other."""
    if environ.get("CI") == "woodpecker":
        found = _woodpecker(environ)
    elif environ.get("DRONE") == "true":
        found = _drone(environ)
    elif any(environ.get(f"{forge}_ACTIONS") == "true" for forge in ("FORGEJO", "GITEA", "GITHUB")):
        found = _actions(environ)
    else:
        raise UsageError(
            "no CI that is known: neither Woodpecker, Drone nor Gitea, Forgejo or GitHub Actions", hint=_HINT
        )
    names.recipe_name(found.recipe)
    names.pull_request(found.pr)
    if found.ref:
        names.git_ref(found.ref)
    if not found.pr and not found.ref:
        raise UsageError(f"{found.ci}: the event names neither a pull request nor a ref", hint=_HINT)
    return found


def job_link(environ: Mapping[str, str]) -> str:
    """Where people find this CI job; empty where there is none, or no URL is known."""
    link = environ.get("CI_PIPELINE_URL") or environ.get("DRONE_BUILD_LINK", "")
    server, repository, run = (_actions_variable(environ, name) for name in ("SERVER_URL", "REPOSITORY", "RUN_NUMBER"))
    if not link and server and repository and run:
        link = f"{server}/{repository}/actions/runs/{run}"
    return link if _LINK.fullmatch(link) else ""


def _woodpecker(environ: Mapping[str, str]) -> Wanted:
    """https://woodpecker-ci.org/docs/usage/environment."""
    event, recipe = environ.get("CI_PIPELINE_EVENT", ""), environ.get("CI_REPO_NAME", "")
    if event == "pull_request":
        return Wanted(ci="woodpecker", recipe=recipe, pr=environ.get("CI_COMMIT_PULL_REQUEST", ""))
    if event in {"push", "manual", "cron"}:
        return Wanted(ci="woodpecker", recipe=recipe, ref=environ.get("CI_COMMIT_BRANCH", ""))
    if event in {"tag", "release"}:
        return Wanted(ci="woodpecker", recipe=recipe, ref=environ.get("CI_COMMIT_TAG", ""))
    raise _no_such_event("woodpecker", event)


def _drone(environ: Mapping[str, str]) -> Wanted:
    """https://docs.drone.io/pipeline/environment/reference/."""
    event, recipe = environ.get("DRONE_BUILD_EVENT", ""), environ.get("DRONE_REPO_NAME", "")
    if event == "pull_request":
        return Wanted(ci="drone", recipe=recipe, pr=environ.get("DRONE_PULL_REQUEST", ""))
    if event in {"push", "cron", "custom"}:
        return Wanted(ci="drone", recipe=recipe, ref=environ.get("DRONE_BRANCH", ""))
    if event == "tag":
        return Wanted(ci="drone", recipe=recipe, ref=environ.get("DRONE_TAG", ""))
    raise _no_such_event("drone", event)


def _actions(environ: Mapping[str, str]) -> Wanted:
    """https://forgejo.org/docs/latest/user/actions/reference/: FORGEJO_X and GITHUB_X say the same."""
    event, ref = _actions_variable(environ, "EVENT_NAME"), _actions_variable(environ, "REF")
    recipe = _actions_variable(environ, "REPOSITORY").rpartition("/")[2]
    path = _actions_variable(environ, "EVENT_PATH")
    if event == "issue_comment":
        payload = _read_event(path)
        return Wanted(ci="actions", recipe=recipe, pr=_number(payload, "issue"), mode=_commented(payload))
    if event in {"pull_request", "pull_request_target"}:
        named = _PULL.fullmatch(ref)
        pr = named[1] if named else _number(_read_event(path), "pull_request")
        return Wanted(ci="actions", recipe=recipe, pr=pr)
    if event in {"push", "schedule", "workflow_dispatch", "release"}:
        named = _BRANCH_OR_TAG.fullmatch(ref)
        return Wanted(ci="actions", recipe=recipe, ref=named[1] if named else "")
    raise _no_such_event("actions", event)


def _actions_variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(f"FORGEJO_{name}") or environ.get(f"GITHUB_{name}", "")


def _commented(payload: dict[str, Any]) -> Mode | None:
    """The mode that a new comment on a pull request asks for; editing or deleting a comment asks for nothing."""
    issue, comment = payload.get("issue"), payload.get("comment")
    on_pull = payload.get("is_pull") is True or (isinstance(issue, dict) and bool(issue.get("pull_request")))
    body = comment.get("body") if isinstance(comment, dict) else None
    if payload.get("action") != "created" or not on_pull or not isinstance(body, str):
        return None
    return parse_comment(body)


def _number(payload: dict[str, Any], key: str) -> str:
    item = payload.get(key)
    number = item.get("number") if isinstance(item, dict) else None
    if type(number) is not int or number < 1:
        raise UsageError(f"the event has no {key}.number", hint=_HINT)
    return str(number)


def _read_event(path: str) -> dict[str, Any]:
    try:
        with Path(path).open("rb") as file:
            payload = json.loads(file.read(_EVENT_MAX))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"the event file {path or '(none named)'} cannot be read: {error}", hint=_HINT) from error
    if not isinstance(payload, dict):
        raise UsageError(f"the event file {path} holds no event", hint=_HINT)
    return payload


def _no_such_event(ci: str, event: str) -> UsageError:
    return UsageError(f"{ci}: a {event!a} event is not one to test", hint=_HINT)
