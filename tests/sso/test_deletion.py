"""The end of a run's realm: once, whether it was begun beside other work or not."""

from __future__ import annotations

import threading

import pytest

from warmci.base.errors import InfraError
from warmci.sso.run_realm import Deletion


def test_one_that_nobody_began_is_done_at_the_end() -> None:
    done: list[str] = []
    Deletion(lambda: done.append("deleted")).finish()
    assert done == ["deleted"]


def test_one_that_was_begun_is_waited_for_and_not_done_again() -> None:
    done, may_end = [], threading.Event()

    def work() -> None:
        assert may_end.wait(30)
        done.append(threading.current_thread().name)

    deletion = Deletion(work, users=2)
    deletion.release()
    assert done == []
    deletion.release()
    assert done == []
    may_end.set()
    deletion.finish()
    assert len(done) == 1
    assert done[0] != threading.current_thread().name


def test_it_waits_for_the_last_app_that_may_use_the_realm() -> None:
    done: list[str] = []
    deletion = Deletion(lambda: done.append(threading.current_thread().name), users=2)
    deletion.release()
    deletion.finish()  # the other one was red
    assert done == [threading.current_thread().name]


@pytest.mark.parametrize("failures", [1, 2])
def test_one_that_failed_is_tried_again(failures: int) -> None:
    tried: list[int] = []

    def work() -> None:
        tried.append(1)
        if len(tried) <= failures:
            raise InfraError("Keycloak does not answer")

    deletion = Deletion(work)
    deletion.release()
    if failures == 1:
        deletion.finish()
    else:
        with pytest.raises(InfraError, match="does not answer"):
            deletion.finish()
    assert len(tried) == 2
