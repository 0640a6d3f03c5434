"""When the two halves of a cold run may run at once, and what comes of them."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager, nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from warmci.base import stopping
from warmci.base.errors import BusyError, InterruptedRunError, RecipeFailedError
from warmci.recipe.trust_gate import allowed_text
from warmci.run.halves import run_both, why_apart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from warmci.recipe.render import Rendered
    from warmci.run.context import Context

WAIT_S = 60.0
UP = threading.Event()
UP.set()


def context(cleanup: ExitStack, *, slots: int = 1, keep: str = "", sso: object = None) -> Context:
    given_back = threading.Event()

    @contextmanager
    def second_slot() -> Iterator[None]:
        if not slots:
            raise BusyError("none is free")
        yield
        given_back.set()

    made = SimpleNamespace(
        request=SimpleNamespace(keep=keep),
        config=SimpleNamespace(sso=sso),
        console=SimpleNamespace(say=lambda *_, **__: None),
        second_slot=second_slot,
        cleanup=cleanup,
        shielded=nullcontext,
        given_back=given_back,
    )
    return cast("Context", made)


def rendered(document: dict[str, Any], *deviations: str) -> Rendered:
    return cast("Rendered", SimpleNamespace(document=document, deviations=deviations))


def services(**networks: list[str]) -> dict[str, Any]:
    return {name: {"networks": dict.fromkeys(of)} for name, of in networks.items()}


SHARED = {"proxy": {"external": True}, "inside": {"internal": True}}


@pytest.mark.parametrize(
    ("document", "deviations", "why"),
    [
        ({"services": services(app=["proxy", "inside"], db=["inside"]), "networks": SHARED}, (), ""),
        (
            {"services": services(app=["proxy", "inside"], web=["proxy"]), "networks": SHARED},
            (),
            "app, web share the network proxy",
        ),
        ({"services": services(app=["x"], web=["x"]), "networks": {"x": {}}}, (), ""),
        (
            {"services": services(app=["x"]), "networks": {"x": {"ipam": {"config": [{"subnet": "10.9.0.0/24"}]}}}},
            (),
            "networks.x has addresses of its own choice",
        ),
        ({"services": services(app=[])}, (allowed_text("bind:/srv"),), "bind:/srv is allowed"),
        ({"services": services(app=[])}, (allowed_text("cap_add:app"), "a deviation"), ""),
    ],
)
def test_what_both_would_share_keeps_them_apart(
    document: dict[str, Any], deviations: tuple[str, ...], why: str
) -> None:
    with ExitStack() as cleanup:
        assert why_apart(context(cleanup), [rendered({"services": {}}), rendered(document, *deviations)]) == why


def test_a_kept_app_and_a_backchannel_keep_them_apart() -> None:
    with ExitStack() as cleanup:
        assert why_apart(context(cleanup, keep="always"), []) == "its app may be kept"
        aimed = SimpleNamespace(backchannel_logout_path="/logout")
        assert "one app only" in why_apart(context(cleanup, sso=aimed), [])


def test_both_run_at_once_and_give_the_slot_back_with_the_first() -> None:
    with ExitStack() as cleanup:
        made, met = context(cleanup), threading.Barrier(2)

        def first() -> str:
            met.wait(WAIT_S)
            return "first"

        def second() -> str:
            met.wait(WAIT_S)
            assert cast("Any", made).given_back.wait(WAIT_S)
            return "second"

        assert run_both(made, first, second, [], UP) == ["first", "second"]


def test_the_long_half_has_a_head_start_until_its_app_is_up() -> None:
    order, is_up = [], threading.Event()

    def long() -> None:
        order.append("booting")
        is_up.set()

    with ExitStack() as cleanup:
        run_both(context(cleanup), lambda: order.append("short"), long, [], is_up)
    assert order == ["booting", "short"]


def test_the_head_start_is_bounded_and_a_red_in_it_ends_both(monkeypatch: pytest.MonkeyPatch) -> None:
    never, began = threading.Event(), threading.Event()

    def red() -> None:
        raise RecipeFailedError("no title")

    with ExitStack() as cleanup, pytest.raises(RecipeFailedError, match="no title"):
        run_both(context(cleanup), began.set, red, [], never)
    assert not began.is_set()
    monkeypatch.setattr("warmci.run.halves._HEAD_START_S", 0.2)
    with ExitStack() as cleanup:
        run_both(context(cleanup), began.set, lambda: began.wait(WAIT_S), [], never)
    assert began.is_set()


def test_without_a_slot_one_comes_after_the_other() -> None:
    order = []
    with ExitStack() as cleanup:
        run_both(
            context(cleanup, slots=0),
            lambda: order.append("fresh"),
            lambda: order.append("aged"),
            [],
            threading.Event(),
        )
    assert order == ["fresh", "aged"]


@pytest.mark.parametrize("fails", [0, 1])
def test_the_first_red_is_told_and_stops_the_other(fails: int) -> None:
    ended = []

    def red() -> None:
        raise RecipeFailedError("no title")

    def patient() -> None:
        try:
            stopping.pause(WAIT_S)
        except stopping.StoppedError:
            ended.append("stopped")
            raise

    halves = (red, patient) if fails == 0 else (patient, red)
    with ExitStack() as cleanup, pytest.raises(RecipeFailedError, match="no title"):
        run_both(context(cleanup), *halves, [], UP)
    assert ended == ["stopped"]


def test_an_interrupt_at_the_start_waits_for_both_to_stop() -> None:
    ended: list[str] = []

    def patient() -> None:
        try:
            stopping.pause(WAIT_S)
        except stopping.StoppedError:
            ended.append("stopped")
            raise

    @contextmanager
    def interrupted() -> Iterator[None]:
        yield
        if not told:
            told.append("once")
            raise InterruptedRunError("interrupted by SIGTERM")

    told: list[str] = []
    with ExitStack() as cleanup:
        made = context(cleanup)
        cast("Any", made).shielded = interrupted
        with pytest.raises(InterruptedRunError):
            run_both(made, patient, patient, [], UP)
        assert ended == ["stopped", "stopped"]


def test_a_thread_lives_until_the_clean_up_for_its_programs_die_with_it() -> None:
    threads: list[threading.Thread] = []

    def begun() -> None:
        threads.append(threading.current_thread())

    with ExitStack() as cleanup:
        run_both(context(cleanup), begun, begun, [], UP)
        assert [thread.is_alive() for thread in threads] == [True, True]
    for thread in threads:
        thread.join(WAIT_S)
    assert [thread.is_alive() for thread in threads] == [False, False]
