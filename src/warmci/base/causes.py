"""Kinds of cause of a run that is not green: what each is called, how it is recognised, what helps.

Recognised by what was said, in the order of the catalogue: first in the error itself, then in the log from its end.
What fits none has no kind; the words stand in the result either way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from warmci.base.models import Cause

_FLAGS = re.IGNORECASE


@dataclass(frozen=True)
class Kind:
    name: str
    said: str
    """Regular expression of the telling words."""
    help: str
    in_log: bool = True
    """Whether these words tell enough in a log, too; else only in the error."""


CATALOGUE = (
    Kind("missing image", r"no such image|image is gone", "correct the image's name or tag, or push it", in_log=False),
    Kind(
        "registry in trouble",
        r"cannot be pulled from|images are not pulled after",
        "not the recipe's fault: look after the registry or the login, then retry",
        in_log=False,
    ),
    Kind(
        "no node",
        r"no suitable node|no node can run",
        "the swarm has no node with these resources or labels; reserve less, or test where there is one",
        in_log=False,
    ),
    Kind(
        "out of memory",
        r"\(OOM\)|java\.lang\.OutOfMemoryError|heap out of memory|cannot allocate memory",
        "raise deploy.resources.limits.memory, or make the app need less",
    ),
    Kind(
        "disk full in the app",
        r"no space left on device|disk quota exceeded|ENOSPC",
        "the app filled its tmpfs or volume: raise its size, or write less",
    ),
    Kind(
        "listener on loopback",
        r"listens on loopback only",
        "let the app listen on 0.0.0.0: the proxy comes from outside its container",
        in_log=False,
    ),
    Kind(
        "wrong port",
        r"nothing listens on port \d+",
        "make loadbalancer.server.port the port that the app listens on",
        in_log=False,
    ),
    Kind(
        "unbumped config",
        r"only updates to Labels are allowed",
        "a config's content changed under the same name: bump its version in abra.sh",
    ),
    Kind(
        "missing secret",
        r"secret not found|secret \S+ (?:is )?(?:missing|not found|not set)"
        r"|/run/secrets/\S+.*(?:no such file|not found)"
        r"|(?:no such file|cannot open|can't open).*/run/secrets/",
        "name the secret under the service's secrets, with its version in .env.sample",
    ),
    Kind(
        "missing variable",
        r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b[\"'`]?,? (?:is |was |has )?(?:not |un)(?:been )?(?:set|defined|provided|given)"
        r"|\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b[\"'`]? (?:is |must be )(?:required|missing|empty|set)"
        r"|(?:missing|required|unset).{0,40}\benv(?:ironment)?\b|unbound variable|parameter not set",
        "set it in the compose file or in .env.sample; an upgrade keeps the old .env, so a new one needs a default",
    ),
    Kind(
        "login refused by the database",
        r"password authentication failed|access denied for user|WRONGPASS|NOAUTH",
        "a database keeps the password that it was made with: the same secret before and after",
    ),
    Kind(
        "name not resolved",
        r"could not resolve|could not translate host name|name or service not known|ENOTFOUND|EAI_AGAIN|bad address"
        r"|temporary failure in name resolution|no address associated",
        "is that service in the recipe, under this name, on a network that both share?",
    ),
    Kind(
        "other service not reached",
        r"ECONNREFUSED|connection refused|could not connect to|no route to host",
        "is that service up, and does the app wait for it? swarm has no depends_on",
        in_log=False,
    ),
    Kind(
        "program not found",
        r"executable file not found|exec format error|: not found$|exec: .*no such file|command not found",
        "the image has no such program: look at command and entrypoint",
    ),
    Kind(
        "permission denied",
        r"permission denied|EACCES|operation not permitted|read-only file system",
        "which user does the app run as, and who owns what it writes to?",
    ),
    Kind(
        "migration failed",
        r"migrat\w* .*(?:fail|error)|(?:fail|error)\w* .*migrat|\[Migration"
        r"|(?:relation|column|table) \S+ (?:does not|already)",
        "try it on data of the older version, with that version's schema",
    ),
    Kind(
        "data lost",
        r"before the upgrade is gone|the upgrade lost data|no longer shows volume",
        "what an upgrade must keep belongs into a named volume that stays where it is",
        in_log=False,
    ),
    Kind(
        "never healthy",
        r"health check \(exit|unhealthy container",
        "run the health check's command in the container; is its start_period long enough?",
    ),
    Kind(
        "ends by itself",
        r"ends by itself again and again",
        "a service must stay; what is to run once needs restart_policy.condition: none, or a job",
        in_log=False,
    ),
    Kind(
        "late fault",
        r"though it had converged",
        "it came up and died: the last lines say why; does something it needs come later?",
        in_log=False,
    ),
    Kind(
        "crash loop",
        r"crash-loops|non-zero exit|not started again by its restart policy",
        "the task's last lines say why",
        in_log=False,
    ),
    Kind(
        "too slow",
        r"did not converge within",
        "raise deploy_timeout_s if the app only needs longer",
        in_log=False,
    ),
)


def find_cause(message: str, log: str) -> Cause | None:
    """The kind that the error's or the log's words tell of, with the line that does."""
    for line in message.splitlines():
        for kind in CATALOGUE:
            if re.search(kind.said, line, _FLAGS):
                return _better(kind, line, log)
    return _in_log(log)


def _better(kind: Kind, line: str, log: str) -> Cause:
    """That it loops or is late only says how it showed; the log may say why."""
    if kind.name in {"crash loop", "late fault", "too slow", "never healthy", "ends by itself"} and (
        found := _in_log(log)
    ):
        return found
    return Cause(kind=kind.name, line=line.strip()[:300], help=kind.help)


def _in_log(log: str) -> Cause | None:
    for line in reversed(log.splitlines()):
        for kind in CATALOGUE:
            if kind.in_log and re.search(kind.said, line, _FLAGS):
                return Cause(kind=kind.name, line=line.strip()[:300], help=kind.help)
    return None
