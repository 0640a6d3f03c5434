"""Pure: what a sweep says in the end. One that swept nothing, or promoted nothing for days, is not green."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.errors import InfraError, RecipeFailedError, UnverifiedError
from warmci.models import Verdict

if TYPE_CHECKING:
    from warmci.sweep_record import Sweep, SweepItem

_RED = (Verdict.FAIL, Verdict.ROLLBACK_FAILED)


def judge(sweep: Sweep) -> tuple[int, str]:
    """(exit code, one line). A red recipe outweighs broken infrastructure, and that what was not verified."""
    items = [item for item in sweep.items if item.state == "done"]
    red = [item for item in items if item.verdict in _RED]
    passed = [item for item in items if item.verdict is Verdict.PASS]
    unverified = [item for item in items if item.verdict is Verdict.UNVERIFIED]
    broken = [item for item in items if item not in (*red, *passed, *unverified)]
    postponed = [item for item in sweep.items if item.state == "postponed"]
    said = [f"{len(passed)} of {len(sweep.items)} recipes green"]
    said += [_named("red", red), _named("no verdict", broken), _named("not verified", unverified)]
    said += [_named("postponed", postponed)]
    code = RecipeFailedError.exit_code if red else InfraError.exit_code if broken else 0
    if sweep.drill is not None and sweep.drill.verdict is not Verdict.PASS:
        said.append(f"rollback drill of {sweep.drill.recipe}: {sweep.drill.summary or sweep.drill.verdict}")
        code = code or (sweep.drill.exit_code or InfraError.exit_code)
    if not sweep.keycloak_ok:
        said.append(f"Keycloak: {sweep.keycloak}")
        code = code or InfraError.exit_code
    if not items:
        said.append("nothing was swept" if sweep.items else "no recipe is enrolled (setting recipes)")
    if sweep.stale:
        said.append(f"not promoted for too long: {', '.join(sweep.stale)}")
    if unverified or sweep.stale or not items:
        code = code or UnverifiedError.exit_code
    return code, "; ".join(filter(None, said))


def _named(word: str, items: list[SweepItem]) -> str:
    if not items:
        return ""
    first = items[0]
    more = f" ({first.summary})" if first.summary and len(items) == 1 else ""
    return f"{word}: {', '.join(item.recipe for item in items)}{more}"
