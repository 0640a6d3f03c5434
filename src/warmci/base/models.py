"""What WarmCI writes to disk and prints as JSON. Each file carries its version; unknown versions are refused."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen value; unknown fields are refused, so that a newer file is never half understood."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Mode(StrEnum):
    COLD = "cold"
    QUICK = "quick"
    DRILL = "drill"
    """The canonical booted from its snapshot as it is: proof that it can be gone back to."""


class Verdict(StrEnum):
    """What a run says; the exit code follows from it (design: exit codes)."""

    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    FAIL = "fail"
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
    Verdict.USAGE: 2,
    Verdict.INFRA: 3,
    Verdict.PROMOTION_FAILED: 4,
    Verdict.ROLLBACK_FAILED: 5,
    Verdict.UNVERIFIED: 6,
    Verdict.BUG: 70,
    Verdict.BUSY: 75,
    Verdict.INTERRUPTED: 130,
}


class TestOutcome(Record):
    __test__ = False  # a record, not a test class

    name: str
    outcome: Literal["passed", "failed", "skipped"]
    seconds: float
    message: str = ""


class StageResult(Record):
    name: str
    outcome: Literal["ok", "failed", "skipped"]
    seconds: float
    detail: str = ""
    tests: tuple[TestOutcome, ...] = ()


class Ledger(Record):
    """Everything of this instance on the engine, in Keycloak and in the mount table, by name."""

    stacks: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    realms: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()


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
    state: Literal["good", "dirty"]
    reason: str = ""
    commit: str
    version: str
    images: dict[str, str]
    """Service name to the image digest that ran."""
    domain: str
    port: int
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

    id: str
    version: str
    commit: str
    age_s: float
    manifest_sha256: str


class Promotion(Record):
    action: Literal["seed", "advance", "none"]
    outcome: Literal["ok", "failed", "skipped"]
    reason: str = ""
    seconds: float = 0.0
    canonical: CanonicalUse | None = None


class RunResult(Record):
    """result.json of one run."""

    schema_version: Literal[1] = 1
    run: str
    recipe: str
    ref: str
    pr: str
    requested: Mode
    ran: Mode | None = None
    because: str = ""
    """Why another mode ran than was asked for; empty when none did."""
    base_commit: str = ""
    base_version: str = ""
    head_commit: str = ""
    head_version: str = ""
    trusted: bool = False
    images: dict[str, str] = {}
    domain: str = ""
    attach: str = ""
    deviations: tuple[str, ...] = ()
    dependencies: dict[str, str] = {}
    canonical: CanonicalUse | None = None
    promotion: Promotion | None = None
    stages: tuple[StageResult, ...] = ()
    ledger_before: Ledger | None = None
    ledger_after: Ledger | None = None
    leftovers: tuple[str, ...] = ()
    started: datetime
    seconds: float = 0.0
    verdict: Verdict
    exit_code: int
    summary: str = ""
    hint: str = ""
    log_excerpt: str = ""
