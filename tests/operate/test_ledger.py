"""Leftovers: what is there after and was not before, of every kind."""

from __future__ import annotations

from warmci.base.models import Ledger
from warmci.operate.ledger import leftovers


def test_every_kind_of_leftover_is_told() -> None:
    for kind in Ledger.model_fields:
        after = Ledger.model_validate({kind: ("old", "new")})
        before = Ledger.model_validate({kind: ("old",)})
        assert leftovers(before, after) == (f"{kind.removesuffix('s')} new",)
        assert leftovers(after, before) == ()
        assert leftovers(after, after) == ()


def test_the_same_name_of_another_kind_is_another_thing() -> None:
    before, after = Ledger(volumes=("x",)), Ledger(volumes=("x",), networks=("x",), secrets=("b", "a"))
    assert leftovers(before, after) == ("network x", "secret a", "secret b")
