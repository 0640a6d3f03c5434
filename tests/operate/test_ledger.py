from __future__ import annotations

from warmci.base.models import Ledger
from warmci.operate.ledger import leftovers


def test_all_that_there_is_of_a_run_at_its_end_is_left_behind() -> None:
    for kind in Ledger.model_fields:
        assert leftovers(Ledger.model_validate({kind: ("new",)})) == (f"{kind.removesuffix('s')} new",)
    assert leftovers(Ledger()) == ()


def test_leftovers_say_what_they_are() -> None:
    assert leftovers(Ledger(networks=("x",), secrets=("a", "b"))) == ("network x", "secret a", "secret b")
