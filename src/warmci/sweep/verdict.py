"""Pure: what a sweep says in the end. One that swept nothing, or promoted nothing for days, is not green."""

from __future__ import annotations

from typing import TYPE_CHECKING

from warmci.base.errors import InfraError, RecipeFailedError, UnverifiedError
from warmci.base.models import Verdict

if TYPE_CHECKING:
    from warmci.report.sweep_record import Sweep, SweepItem

_RED = (Verdict.FAIL, Verdict.REFUSED, Verdict.ROLLBACK_FAILED)
_GREEN = (Verdict.PASS, Verdict.PROMOTION_FAILED)


def judge(sweep: Sweep) -> tuple[int, str]:
    """(exit code, one line). A red recipe outweighs broken infrastructure, and that what was not verified."""
    items = [item for item in sweep.items if item.state == "done"]
    red = [item for item in items if item.verdict in _RED]
    green = [item for item in items if item.verdict in _GREEN]
    unmoved = [item for item in green if item.verdict is not Verdict.PASS]
    unverified = [item for item in items if item.verdict is Verdict.UNVERIFIED]
    broken = [item for item in items if item not in (*red, *green, *unverified)]
    postponed = [item for item in sweep.items if item.state == "postponed"]
    said = [f"{len(green)} of {len(sweep.items)} recipes green"]
    said += [_named("red", red), _named("no verdict", broken), _named("promotion failed", unmoved)]
    said += [_named("not verified", unverified), _named("postponed", postponed)]
    if not items:
        said.append("nothing was swept" if sweep.items else "no recipe is enrolled (setting recipes)")
    if sweep.drill is not None and sweep.drill.verdict is not Verdict.PASS:
        said.append(f"rollback drill of {sweep.drill.recipe}: {sweep.drill.summary or sweep.drill.verdict}")
    if not sweep.keycloak_ok:
        said.append(f"Keycloak: {sweep.keycloak}")
    if sweep.stale:
        said.append(f"not promoted for too long: {', '.join(sweep.stale)}")
    said += sweep.troubles
    return _code(sweep, red, [*broken, *unmoved], [*unverified, *postponed]), "; ".join(filter(None, said))


def _code(sweep: Sweep, red: list[SweepItem], broken: list[SweepItem], unknown: list[SweepItem]) -> int:
    drill = sweep.drill.verdict if sweep.drill is not None else Verdict.PASS
    if red or drill in _RED:
        return RecipeFailedError.exit_code
    if broken or not sweep.keycloak_ok or sweep.troubles or drill not in (Verdict.PASS, Verdict.UNVERIFIED):
        return InfraError.exit_code
    swept = any(item.state == "done" for item in sweep.items)
    if unknown or sweep.stale or drill is Verdict.UNVERIFIED or not swept:
        return UnverifiedError.exit_code
    return 0


def _named(word: str, items: list[SweepItem]) -> str:
    if not items:
        return ""
    first = items[0]
    more = f" ({first.summary})" if first.summary and len(items) == 1 else ""
    return f"{word}: {', '.join(item.recipe for item in items)}{more}"
