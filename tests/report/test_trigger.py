"""The trigger's grammar and the variables of three CIs: exact, and never a name that has not been checked."""

from __future__ import annotations

import io
import json
import string
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmci.base.errors import UsageError
from warmci.base.models import Mode
from warmci.cli import app
from warmci.report.trigger import Wanted, from_environment, job_link, parse_comment

COLD, QUICK = "!testme", "!testme --quick"


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_two_triggers(end: str) -> None:
    assert parse_comment(COLD + end) is Mode.COLD
    assert parse_comment(QUICK + end) is Mode.QUICK


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        " !testme",
        "!testme ",
        "!testme\n\n",
        "!testme\r",
        "\n!testme",
        "\ufeff!testme",
        "!testme\u200b",
        "!testme\x00",
        "!testme\u2028",
        "!testme\x0b",
        "!Testme",
        "!TESTME",
        "! testme",
        "!test me",
        "!testme!",
        "!testmequick",
        "!testme  --quick",
        "!testme\t--quick",
        "!testme\u00a0--quick",
        "!testme\n--quick",
        "!testme --quick ",
        "!testme --Quick",
        "!testme --quick --quick",
        "!testme -quick",
        "!testme \u2014quick",
        "!testme \u2013\u2013quick",
        "!testme --quick=1",
        "!testme miniflux",
        "!testme # please",
        "> !testme",
        "`!testme`",
        "**!testme**",
        "please !testme",
        "!testme\nthank you",
        "!testme\n!testme",
        "\uff01testme",
        "!t\u0435stme",
        "!te\u0455tme",
        "\U0001d42d!testme",
        "!te\u00adstme",
        "!te\u0301stme",
    ],
)
def test_everything_else_is_no_trigger(text: str) -> None:
    assert parse_comment(text) is None


@given(st.text() | st.text(alphabet="!testm -quick\r\n", max_size=20))
def test_no_other_text_is_a_trigger(text: str) -> None:
    bare = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    expected = {COLD: Mode.COLD, QUICK: Mode.QUICK}.get(bare)
    assert parse_comment(text) is expected


@given(st.sampled_from([COLD, QUICK]), st.integers(0, 15), st.characters())
def test_one_character_more_is_no_trigger(trigger: str, at: int, extra: str) -> None:
    text = trigger[:at] + extra + trigger[at:]
    assert (parse_comment(text) is None) == (text not in {COLD, QUICK, f"{trigger}\n"})


# --- the command


def parse(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = app.main(["trigger", "parse", *arguments])
    said = capsys.readouterr()
    if not said.out:
        return code, said.err
    found = json.loads(said.out)
    assert found.pop("schema_version") == 1
    return code, found


def test_parse_prints_json_and_its_exit_code_says_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert parse(capsys, COLD) == (0, {"trigger": True, "mode": "cold"})
    assert parse(capsys, QUICK) == (0, {"trigger": True, "mode": "quick"})
    assert parse(capsys, "hello") == (6, {"trigger": False, "mode": None})
    assert parse(capsys, "--", "--quick") == (6, {"trigger": False, "mode": None})
    assert parse(capsys, COLD, "--quick")[0] == 2


@pytest.mark.parametrize(
    ("given", "code"), [(b"!testme --quick\n", 0), (b"!testme\xff", 6), (b"", 6), (b"!testme" + b" " * 2**21, 6)]
)
def test_parse_reads_standard_input(
    given: bytes, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert parse(capsys)[0] == code


def test_parse_does_not_wait_for_a_person(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    code, said = parse(capsys)
    assert code == 2
    assert "no comment given" in said


# --- variables of the CIs

WOODPECKER = {"CI": "woodpecker", "CI_REPO_NAME": "miniflux", "CI_REPO": "coop-cloud/miniflux"}
DRONE = {"CI": "true", "DRONE": "true", "DRONE_REPO_NAME": "miniflux"}
ACTIONS = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "coop-cloud/miniflux"}


@pytest.mark.parametrize(
    ("environ", "arguments"),
    [
        ({**WOODPECKER, "CI_PIPELINE_EVENT": "pull_request", "CI_COMMIT_PULL_REQUEST": "7"}, "miniflux --pr 7"),
        ({**WOODPECKER, "CI_PIPELINE_EVENT": "push", "CI_COMMIT_BRANCH": "main"}, "miniflux --ref main"),
        ({**WOODPECKER, "CI_PIPELINE_EVENT": "cron", "CI_COMMIT_BRANCH": "main"}, "miniflux --ref main"),
        ({**WOODPECKER, "CI_PIPELINE_EVENT": "tag", "CI_COMMIT_TAG": "1.0.0+2.2"}, "miniflux --ref 1.0.0+2.2"),
        ({**DRONE, "DRONE_BUILD_EVENT": "pull_request", "DRONE_PULL_REQUEST": "7"}, "miniflux --pr 7"),
        ({**DRONE, "DRONE_BUILD_EVENT": "push", "DRONE_BRANCH": "main"}, "miniflux --ref main"),
        ({**DRONE, "DRONE_BUILD_EVENT": "tag", "DRONE_TAG": "1.0.0+2.2"}, "miniflux --ref 1.0.0+2.2"),
        ({**ACTIONS, "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/7/head"}, "miniflux --pr 7"),
        ({**ACTIONS, "GITHUB_EVENT_NAME": "pull_request", "GITHUB_REF": "refs/pull/7/merge"}, "miniflux --pr 7"),
        ({**ACTIONS, "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main"}, "miniflux --ref main"),
        ({**ACTIONS, "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/tags/1.0.0+2.2"}, "miniflux --ref 1.0.0+2.2"),
        ({**ACTIONS, "GITHUB_EVENT_NAME": "schedule", "GITHUB_REF": "refs/heads/main"}, "miniflux --ref main"),
        (
            {
                "FORGEJO_ACTIONS": "true",
                "FORGEJO_REPOSITORY": "coop-cloud/miniflux",
                "GITHUB_REPOSITORY": "mirror/other",
                "FORGEJO_EVENT_NAME": "push",
                "FORGEJO_REF": "refs/heads/main",
            },
            "miniflux --ref main",
        ),
    ],
)
def test_events(environ: dict[str, str], arguments: str) -> None:
    assert " ".join(from_environment(environ).arguments()) == arguments


def comment_event(body: str = QUICK, **changes: Any) -> dict[str, Any]:
    """As Gitea and Forgejo send it."""
    return {
        "action": "created",
        "issue": {"number": 7, "pull_request": {"merged": False}},
        "comment": {"id": 1, "body": body},
        "is_pull": True,
    } | changes


def actions(tmp_path: Path, event: str, payload: object) -> dict[str, str]:
    path = tmp_path / "event.json"
    path.write_text(payload if isinstance(payload, str) else json.dumps(payload), encoding="utf-8")
    named = {"GITHUB_EVENT_NAME": event, "GITHUB_EVENT_PATH": str(path), "GITHUB_REF": "refs/heads/main"}
    return {**ACTIONS, **named}


@pytest.mark.parametrize(
    ("payload", "arguments"),
    [
        (comment_event(), "miniflux --pr 7 --quick"),
        (comment_event(COLD), "miniflux --pr 7"),
        (comment_event(COLD, is_pull=None), "miniflux --pr 7"),
        (comment_event("hello"), ""),
        (comment_event(action="edited"), ""),
        (comment_event(action="deleted"), ""),
        (comment_event(issue={"number": 7, "pull_request": None}, is_pull=False), ""),
        (comment_event(comment=None), ""),
        (comment_event(comment={"body": None}), ""),
    ],
)
def test_comments(payload: dict[str, Any], arguments: str, tmp_path: Path) -> None:
    assert " ".join(from_environment(actions(tmp_path, "issue_comment", payload)).arguments()) == arguments


def test_pull_request_target_names_its_number_in_the_event_only(tmp_path: Path) -> None:
    environ = actions(tmp_path, "pull_request_target", {"pull_request": {"number": 9}})
    assert from_environment(environ).pr == "9"


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "no CI that is known"),
        ({"CI": "true"}, "no CI that is known"),
        ({**WOODPECKER, "CI_PIPELINE_EVENT": "pull_request_closed"}, "'pull_request_closed' event is not one to test"),
        ({**WOODPECKER, "CI_PIPELINE_EVENT": "pull_request"}, "neither a pull request nor a ref"),
        ({**DRONE, "DRONE_BUILD_EVENT": "promote"}, "'promote' event is not one to test"),
        ({**ACTIONS, "GITHUB_EVENT_NAME": "issue_comment"}, r"event file \(none named\)"),
        ({**ACTIONS, "GITHUB_EVENT_NAME": "issues"}, "'issues' event"),
        ({**ACTIONS, "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/pull/1/head"}, "neither"),
        ({**ACTIONS, "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/-x"}, "not a ref name"),
        ({**ACTIONS, "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/a b;c"}, "not a ref name"),
        (
            {**ACTIONS, "GITHUB_REPOSITORY": "x/..", "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/m"},
            "not a recipe name",
        ),
        ({**WOODPECKER, "CI_PIPELINE_EVENT": "pull_request", "CI_COMMIT_PULL_REQUEST": "7 --reseed"}, "not a pull"),
        ({**WOODPECKER, "CI_REPO_NAME": "", "CI_PIPELINE_EVENT": "push", "CI_COMMIT_BRANCH": "m"}, "not a recipe"),
    ],
)
def test_what_cannot_be_read_is_said(environ: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        from_environment(environ)
    assert caught.value.hint


@pytest.mark.parametrize(
    "payload", ["", "[]", "{", '{"issue": {"number": true}}', '{"issue": {"number": "7"}}', '{"issue": 7}', "[" * 10**5]
)
def test_events_that_are_none(payload: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        from_environment(actions(tmp_path, "issue_comment", payload))


@given(
    st.dictionaries(
        st.sampled_from(["CI_REPO_NAME", "CI_COMMIT_BRANCH", "CI_COMMIT_PULL_REQUEST", "CI_PIPELINE_EVENT"]),
        st.text(alphabet=string.printable, max_size=12) | st.sampled_from(["push", "pull_request", "main", "a"]),
    )
)
def test_no_value_of_a_stranger_becomes_an_option_or_a_shell_word(values: dict[str, str]) -> None:
    try:
        words = from_environment({"CI": "woodpecker", **values}).arguments()
    except UsageError:
        return
    options = [word for word in words if word.startswith("-")]
    assert set(options) <= {"--pr", "--ref", "--quick"}
    assert len(options) == len(set(options))
    assert expanded(" ".join(words)) == words


def expanded(text: str) -> list[str]:
    """What a shell makes of the text in `$arguments`, in a directory that has a file."""
    argv = ["sh", "-c", 'for word in $arguments; do printf "%s\\0" "$word"; done']
    done = subprocess.run(argv, env={"arguments": text}, cwd=Path(__file__).parent, check=True, capture_output=True)
    return done.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize(
    "branch", ["fix/#12", "a;b", "$(id)", "`id`", "it's", 'say"so"', "a&&b", "{a,b}", "ä", "a|b>c"]
)
def test_a_branch_of_any_name_reaches_the_run_as_it_is(branch: str) -> None:
    values = {"CI_REPO_NAME": "demo", "CI_PIPELINE_EVENT": "push", "CI_COMMIT_BRANCH": branch}
    words = from_environment({"CI": "woodpecker", **values}).arguments()
    assert words == ["demo", "--ref", branch]
    assert expanded(" ".join(words)) == words


@pytest.mark.parametrize(
    ("environ", "link"),
    [
        ({}, ""),
        ({"CI_PIPELINE_URL": "https://ci.example.org/repos/7/pipeline/8"}, "https://ci.example.org/repos/7/pipeline/8"),
        ({"DRONE_BUILD_LINK": "https://drone.example.org/x/8"}, "https://drone.example.org/x/8"),
        ({"DRONE_BUILD_LINK": "javascript:alert(1)"}, ""),
        ({"DRONE_BUILD_LINK": "https://x\nSet-Cookie: y"}, ""),
        (
            {"GITHUB_SERVER_URL": "https://git.example.org", "GITHUB_REPOSITORY": "a/b", "GITHUB_RUN_NUMBER": "12"},
            "https://git.example.org/a/b/actions/runs/12",
        ),
        ({"GITHUB_SERVER_URL": "https://git.example.org", "GITHUB_REPOSITORY": "a/b"}, ""),
    ],
)
def test_the_jobs_own_page(environ: dict[str, str], link: str) -> None:
    assert job_link(environ) == link


def test_env_prints_words_or_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in actions(tmp_path, "issue_comment", comment_event()).items():
        monkeypatch.setenv(name, value)
    assert app.main(["trigger", "env"]) == 0
    assert capsys.readouterr().out == "miniflux --pr 7 --quick\n"
    assert app.main(["trigger", "env", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.pop("arguments") == ["miniflux", "--pr", "7", "--quick"]
    assert found.pop("schema_version") == 1
    assert Wanted.model_validate(found) == Wanted(ci="actions", recipe="miniflux", pr="7", mode=Mode.QUICK)
    actions(tmp_path, "issue_comment", comment_event("hello"))
    assert app.main(["trigger", "env"]) == 0
    assert capsys.readouterr().out == ""
