"""What WarmCI writes to disk and prints as JSON. Each file carries its version; unknown versions are refused."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from warmci.base import text

Line = Annotated[str, BeforeValidator(lambda value: text.line(value) if isinstance(value, str) else value)]
Block = Annotated[str, BeforeValidator(lambda value: text.block(value) if isinstance(value, str) else value)]
"""Fields of records that are shown: whatever is put into them, also from a file of an older version, is harmless."""


class Record(BaseModel):
    """A frozen value; unknown fields are refused, so that a newer file is never half understood."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Mode(StrEnum):
    COLD = "cold"
    QUICK = "quick"
    DRILL = "drill"
    """The canonical booted from its snapshot as it is: proof that it can be gone back to."""
    OPEN = "open"
    """The canonical's app on a throw-away copy of its data, for people to look at; no test runs."""


class Ingress(StrEnum):
    """Who stands before an app and what its URL is."""

    DIRECT = "direct"
    """Nobody: the routed port is published on one of ours."""
    TRAEFIK = "traefik"
    """Traefik, by the recipe's own labels: https://DOMAIN."""


class Verdict(StrEnum):
    """What a run says; the exit code follows from it (EXIT_CODES)."""

    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    FAIL = "fail"
    REFUSED = "refused"
    """By the trust gate: a red recipe, and the operator may allow what it asks for."""
    INFRA = "infrastructure"
    PROMOTION_FAILED = "promotion-failed"
    ROLLBACK_FAILED = "rollback-failed"
    UNVERIFIED = "unverified"
    USAGE = "usage"
    BUSY = "busy"
    INTERRUPTED = "interrupted"
    BUG = "bug"


EXIT_CODES: dict[Verdict, int] = {
    Verdict.PASS: 0,
    Verdict.FAIL: 1,
    Verdict.REFUSED: 1,
    Verdict.USAGE: 2,
    Verdict.INFRA: 3,
    Verdict.PROMOTION_FAILED: 4,
    Verdict.ROLLBACK_FAILED: 5,
    Verdict.UNVERIFIED: 6,
    Verdict.BUG: 70,
    Verdict.BUSY: 75,
    Verdict.INTERRUPTED: 130,
}


class ErrorReport(Record):
    """What --json prints in place of an answer, when there is none."""

    schema_version: Literal[1] = 1
    error: Line
    hint: Line = ""
    exit_code: int


class TestOutcome(Record):
    __test__ = False  # a record, not a test class

    name: Line
    outcome: Literal["passed", "failed", "skipped"]
    seconds: float
    reason: Line = ""
    """Of a failed one: what failed, in its own words, as `AssertionError: no title`."""
    message: Block = ""
    output: Block = ""
    """The end of what a failed one printed and logged."""
    infrastructure: Block = ""
    """Of a failed one: what of the infrastructure failed it, in words; it says nothing of the recipe then."""


class StageResult(Record):
    name: Line
    outcome: Literal["ok", "failed", "skipped"]
    seconds: float
    at: float | None = None
    """Seconds from the run's beginning to the stage's own."""
    detail: Line = ""
    tests: tuple[TestOutcome, ...] = ()


class Ledger(Record):
    """Everything of this instance on the engine, in Keycloak and in the mount table, by name."""

    stacks: tuple[Line, ...] = ()
    containers: tuple[Line, ...] = ()
    networks: tuple[Line, ...] = ()
    volumes: tuple[Line, ...] = ()
    secrets: tuple[Line, ...] = ()
    configs: tuple[Line, ...] = ()
    realms: tuple[Line, ...] = ()
    mounts: tuple[Line, ...] = ()


class VolumeSummary(Record):
    name: str
    files: int
    bytes: int


class Lineage(Record):
    """One version that a canonical's data has lived through."""

    version: str
    commit: str
    run: str
    at: datetime


class Canonical(Record):
    """canonical.json: the one commit point of a recipe's known-good."""

    schema_version: Literal[1] = 1
    recipe: str
    source: str = ""
    """Where its code was cloned from; empty where nobody noted it."""
    state: Literal["good", "dirty"]
    reason: str = ""
    commit: str
    version: str
    images: dict[str, str]
    """Service name to the image digest that ran."""
    domain: str
    port: int
    ingress: Ingress = Ingress.DIRECT
    """Under which the data was born: URLs in it are that ingress's."""
    scheme: Literal["http", "https"] = "http"
    """Of those URLs; before there was a choice it was http under `direct`."""
    env_commit: str = ""
    """Commit whose .env.sample made the app's .env; an upgrade keeps it. Empty: the first install's own commit."""
    snapshot: str
    manifest_sha256: str
    lineage: tuple[Lineage, ...]
    secrets: dict[str, str]
    """Secret name (as the recipe calls it) to value; the file is 0600 in a 0700 directory."""
    run: str
    created: datetime
    last_cold: str = ""
    last_quick: str = ""


class CanonicalUse(Record):
    """Which canonical a run used or made."""

    id: Line
    version: Line
    commit: Line
    age_s: float
    manifest_sha256: Line
    lineage: tuple[Line, ...] = ()
    """Versions that its data has lived through, oldest first."""


class Cause(Record):
    """Which kind of cause a run's own words tell of (base/causes.py)."""

    kind: Line
    line: Line
    """The words that tell it."""
    help: Line


class Promotion(Record):
    action: Literal["seed", "advance", "none"]
    outcome: Literal["ok", "failed", "skipped"]
    reason: Line = ""
    seconds: float = 0.0
    canonical: CanonicalUse | None = None


class RunResult(Record):
    """result.json of one run. Its text is harmless by construction (base/text.py); sinks add their own escapes only."""

    schema_version: Literal[1] = 1
    run: Line
    recipe: Line
    source: Line = ""
    """Where it was cloned from."""
    ref: Line
    pr: Line
    requested: Mode
    ran: Mode | None = None
    because: Line = ""
    """Why another mode ran than was asked for; empty when none did."""
    base_commit: Line = ""
    base_version: Line = ""
    head_commit: Line = ""
    head_version: Line = ""
    trusted: bool = False
    images: dict[Line, Line] = {}
    image_names: dict[Line, Line] = {}
    """By service as `images`: what the recipe calls them."""
    domain: Line = ""
    attach: Line = ""
    deviations: Annotated[tuple[Line, ...], BeforeValidator(text.entries)] = ()
    dependencies: dict[Line, Line] = {}
    canonical: CanonicalUse | None = None
    promotion: Promotion | None = None
    stages: tuple[StageResult, ...] = ()
    ledger_before: Ledger | None = None
    """Older results have it: a run's id is new, so there is nothing of it before."""
    ledger_after: Ledger | None = None
    leftovers: tuple[Line, ...] = ()
    started: datetime
    seconds: float = 0.0
    verdict: Verdict
    exit_code: int
    summary: Line = ""
    hint: Line = ""
    log_excerpt: Block = ""
    links: dict[Line, Line] = {}
    """Pages of the web: pull request, commit, recipe, CI job."""
    repeat: Line = ""
    """The command that asks for the same again."""
    screenshots: dict[Line, Line] = {}
    """File of the run's directory to what it shows; where there is no such file, why not."""
    kept: tuple[Line, ...] = ()
    """Files of the run's directory that tell more: logs, health checks, tasks, the compose file and its diff."""
    kept_until: datetime | None = None
    """While the run's app is kept for people to look at (--keep): when that ends. None before and afterwards."""
    cause: Cause | None = None
    """The kind of what is wrong, where its words are known; none for a run that is green."""
