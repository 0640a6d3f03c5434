"""Pulls under a deadline: who says nothing is given up, who is only slow is not. The engine is a stand-in."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from warmci.base.errors import InfraError
from warmci.swarm import pull
from warmci.swarm.images import PullRefusedError
from warmci.swarm.pull import MissingImageError, fault, pull_images

if TYPE_CHECKING:
    from collections.abc import Callable

    from warmci.swarm.engine import Engine


class StandIn:
    """Says the lines of each reference, then waits until it is closed."""

    def __init__(self, lines: dict[str, list[dict[str, Any]]], *, logged_in: bool = False) -> None:
        self._lines, self._logged_in = lines, logged_in
        self.closed = threading.Event()

    def pull(self, reference: str, on_line: Callable[[dict[str, Any]], None]) -> None:
        for line in self._lines[reference]:
            on_line(line)
        self.closed.wait(60)

    def registry_of(self, reference: str) -> str:
        return reference.partition("/")[0]

    def has_login(self, _registry: str) -> bool:
        return self._logged_in


def engine(lines: dict[str, list[dict[str, Any]]] | None = None, *, logged_in: bool = False) -> Engine:
    return cast("Engine", StandIn(lines or {}, logged_in=logged_in))


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "MANIFEST_S", 0.2)
    monkeypatch.setattr(pull, "STALL_S", 0.4)


BEGUN = {"status": "Pulling from team/app", "id": "1"}
LAYER = {"status": "Downloading", "id": "a", "progressDetail": {"current": 1_000_000, "total": 9_000_000}}
UNPACKED = {"status": "Extracting", "id": "a"}
WAITING = {"status": "Waiting", "id": "b"}


@pytest.mark.parametrize("lines", [[], [BEGUN]])
@pytest.mark.usefixtures("silence")
def test_a_registry_that_gives_no_manifest_is_given_up_long_before_the_deadline(lines: list[dict[str, Any]]) -> None:
    began = time.monotonic()
    with pytest.raises(InfraError, match=r"image r\.x/app:1 cannot be pulled from r\.x: no manifest after"):
        pull_images(engine({"r.x/app:1": lines}), ["r.x/app:1"], deadline_s=600, on_change=lambda _: None)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("last", [LAYER, {"status": "Pulling fs layer", "id": "a"}])
@pytest.mark.usefixtures("silence")
def test_a_layer_of_which_nothing_comes_is_given_up_long_before_the_deadline(last: dict[str, Any]) -> None:
    began = time.monotonic()
    with pytest.raises(InfraError, match=r"image r\.x/app:1 cannot be pulled from r\.x: nothing of a layer for"):
        pull_images(engine({"r.x/app:1": [BEGUN, last]}), ["r.x/app:1"], deadline_s=600, on_change=lambda _: None)
    assert time.monotonic() - began < 30


@pytest.mark.usefixtures("silence")
def test_what_the_engine_does_itself_or_puts_off_is_waited_for_until_the_deadline() -> None:
    said: list[str] = []
    began = time.monotonic()
    lines: list[dict[str, Any]] = [BEGUN, LAYER, UNPACKED, WAITING]
    with pytest.raises(InfraError, match=r"not pulled after 1 s; under way: r\.x/app:1 1 of 9 MB") as caught:
        pull_images(engine({"r.x/app:1": lines}), ["r.x/app:1"], deadline_s=1.0, on_change=said.append)
    assert 1.0 <= time.monotonic() - began < 30
    assert "pull_timeout_s" in (caught.value.hint or "")
    assert "pulling r.x/app:1 1 of 9 MB" in said


@pytest.mark.usefixtures("silence")
def test_whoever_waits_for_its_turn_is_not_silent() -> None:
    """Three at once: the fourth has not begun."""
    names = [f"r.x/app:{number}" for number in range(4)]
    slow: dict[str, list[dict[str, Any]]] = {name: [BEGUN, LAYER, UNPACKED] for name in names[:3]}
    slow[names[3]] = []
    with pytest.raises(InfraError, match="not pulled after 1 s"):
        pull_images(engine(slow), names, deadline_s=1.0, on_change=lambda _: None)


@pytest.mark.parametrize(
    ("words", "status", "missing"),
    [
        ("manifest for r.x/app:1 not found: manifest unknown: manifest unknown", 404, True),
        ("manifest for r.x/app@sha256:00 not found: manifest unknown", 404, True),
        ("no matching manifest for linux/amd64 in the manifest list entries", 500, True),
        ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", 500, False),
        (
            "failed to register layer: Error processing tar file(exit status 1): write /x: no space left on device",
            500,
            False,
        ),
        ("filesystem layer verification failed for digest sha256:00", 500, False),
        (
            "Get https://r.x/v2/: request canceled (Client.Timeout exceeded while awaiting headers)",
            500,
            False,
        ),
        ("received unexpected HTTP status: 503 Service Unavailable", 500, False),
        ("Get https://r.x/v2/: x509: certificate has expired or is not yet valid", 500, False),
        ("Get https://r.x/v2/: read: connection reset by peer", 500, False),
        ("unexpected EOF", 500, False),
        ("invalid tag format", 400, True),
        ("unsupported digest algorithm", 400, True),
    ],
)
def test_whose_fault_it_is(words: str, status: int, missing: bool) -> None:
    refused = PullRefusedError("r.x/app:1", words, status)
    found = fault(engine(), "r.x/app:1", refused)
    assert isinstance(found, MissingImageError) == missing
    assert words[:60] in found.message
    assert "r.x" in found.message
    if "no space left" in words:
        assert "warmci prune" in (found.hint or "")
