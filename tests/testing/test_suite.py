"""suite.run_suite with real pytest on tiny test directories."""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING, Any

import pytest

from warmci.base import authority, process
from warmci.base.settings import Settings
from warmci.testing.suite import SsoContext, SsoUser, TestContext, begin, run_suite, with_plugins

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from warmci.base.models import TestOutcome

SECRET = "hunter2hunter2hunter2"
PASSWORD = "alice-password-0001"
PHASES = """
    import pytest
    ORDER = []
    def test_plain(): assert ORDER in ([], ["seed"]); ORDER.append("plain")
    @pytest.mark.seed
    def test_seed(): assert ORDER == []; ORDER.append("seed")
"""


class Bench:
    """A recipe's test directory, and runs of it."""

    def __init__(self, root: Path) -> None:
        self.tests = root / "tests"
        self.work = root / "work"
        self.tests.mkdir()
        self.work.mkdir()

    def write(self, text: str, name: str = "test_it.py") -> None:
        lines = [line.removeprefix("    ") for line in text.strip("\n").splitlines()]
        (self.tests / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def run(self, phase: str = "install", timeout_s: float = 60.0, **facts: Any) -> list[tuple[str, str, str]]:
        outcomes = self.outcomes(phase, timeout_s, **facts)
        return [(outcome.name, outcome.outcome, outcome.message) for outcome in outcomes]

    def outcomes(
        self, phase: str = "install", timeout_s: float = 60.0, options: Sequence[str] = (), **facts: Any
    ) -> tuple[TestOutcome, ...]:
        return run_suite(self.tests, self.context(phase, **facts), self.work, timeout_s, options)

    def context(self, phase: str = "install", **facts: Any) -> TestContext:
        return TestContext.model_validate(
            {
                "recipe": "tiny",
                "run": "r1",
                "phase": phase,
                "url": "http://tiny.ci.localhost:20000",
                "domain": "tiny.ci.localhost",
                "base_domain": "ci.localhost",
                "address": "127.0.0.1",
                "stack": "tiny",
                "docker_host": "unix:///nowhere.sock",
                "secrets": {"admin_password": SECRET},
                **facts,
            }
        )

    def log(self, phase: str = "install") -> str:
        return (self.work / f"pytest-{phase}.log").read_text(encoding="utf-8")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_client_of_a_tests_own_trusts_the_app_too(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    ca = authority.served(Settings(state_dir=tmp_path / "state", base_domain="ci.localhost")).ca
    bench.write(
        """
    import os, ssl

    def test_it(app):
        known = ssl.create_default_context().get_ca_certs(binary_form=True)
        assert ssl.PEM_cert_to_DER_cert(app.context_ca) in known
        assert os.environ["REQUESTS_CA_BUNDLE"] == os.environ["SSL_CERT_FILE"]
    """.replace("app.context_ca", repr(ca))
    )
    assert [outcome for _, outcome, _ in bench.run(ca=ca)] == ["passed"]


def test_no_test_files_is_nothing(bench: Bench, tmp_path: Path) -> None:
    assert bench.run() == []
    bench.tests = tmp_path / "absent"
    assert bench.run() == []


def test_outcomes_with_reason_and_place(bench: Bench) -> None:
    bench.write("""
    import pytest
    def test_good(): pass
    def test_bad(): assert 1 == 2, "one is not two"
    def test_skipped(): pytest.skip("not today")
    class TestGroup:
        @pytest.mark.parametrize("n", [7])
        def test_param(self, n): pass
    """)
    good, bad, skipped, param = bench.run()
    assert good == ("test_it::test_good", "passed", "")
    assert bad[:2] == ("test_it::test_bad", "failed")
    assert bad[2].startswith("AssertionError: one is not two")
    assert "test_it.py:3: " in bad[2]
    assert skipped == ("test_it::test_skipped", "skipped", "not today")
    assert param[:2] == ("test_it.TestGroup::test_param[7]", "passed")


def test_the_reason_is_the_assertion_and_the_output_the_tests_own(bench: Bench) -> None:
    bench.write("""
    def test_title():
        print("fetched the page")
        assert "title" in "", "no title"
    def test_chained():
        try: raise KeyError("inner")
        except KeyError as error: raise ValueError("outer") from error
    def test_good(): print("nobody asks")
    """)
    title, chained, good = bench.outcomes()
    assert title.reason == "AssertionError: no title"
    assert "fetched the page" in title.output
    assert "Captured Err" not in title.output  # nothing was written there
    assert chained.reason == "ValueError: outer"
    assert (good.reason, good.output) == ("", "")
    for said in ("fetched the page", 'assert "title" in "", "no title"', "test_it.py:3: "):
        assert said in bench.log()


def test_an_error_in_a_fixture_is_a_failure(bench: Bench) -> None:
    bench.write("""
    import pytest
    @pytest.fixture
    def broken():
        yield
        raise OSError("teardown failed")
    def test_it(broken): pass
    """)
    assert ("failed", "OSError: teardown failed") in [(o, m.splitlines()[0]) for _, o, m in bench.run() if m]


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("install", ["test_seed", "test_plain"]),
        ("base", ["test_seed"]),
        ("upgrade", ["test_plain"]),
        ("quick", ["test_plain"]),
    ],
)
def test_phases_select_by_the_seed_marker(bench: Bench, phase: str, expected: list[str]) -> None:
    bench.write(PHASES)
    found = bench.run(phase)
    assert [name.removeprefix("test_it::") for name, _, _ in found] == expected
    assert {outcome for _, outcome, _ in found} == {"passed"}


def test_no_test_for_the_phase_is_nothing(bench: Bench) -> None:
    bench.write("def test_plain(): pass")
    assert bench.run("base") == []


def test_a_broken_module_is_one_failure_that_tells_why(bench: Bench) -> None:
    bench.write("import no_such_module")
    bench.write("def test_fine(): pass", "test_fine.py")
    ((name, outcome, message),) = bench.run()
    assert (name, outcome) == ("pytest", "failed")
    assert "No module named 'no_such_module'" in message


def test_a_usage_error_is_a_failure(bench: Bench) -> None:
    bench.write("def test_it(no_such_fixture): pass")
    bench.write("raise SystemError('conftest is broken')", "conftest.py")
    ((_, outcome, message),) = bench.run()
    assert outcome == "failed"
    assert "conftest is broken" in message


@pytest.mark.parametrize(
    ("death", "word"),
    [
        ("os._exit(0)", "report"),
        ("os._exit(5)", "report"),
        ("os._exit(9)", "exit code 9"),
        ("os.kill(os.getpid(), 11)", "signal 11"),
        ("pytest.exit('enough', returncode=0)", "exit code 2"),
    ],
)
def test_a_dead_interpreter_never_passes(bench: Bench, death: str, word: str) -> None:
    bench.write(f"""
    import os, pytest
    def test_first(): pass
    def test_death(): {death}
    def test_last(): pass
    """)
    outcomes = bench.run()
    assert [outcome for _, outcome, _ in outcomes] == ["failed"]
    assert word in outcomes[0][2]


def test_no_end_in_time_names_the_test_and_the_place(bench: Bench) -> None:
    bench.write("""
    import time
    def test_quick(): pass
    def test_hangs(): time.sleep(60)
    """)
    began = time.monotonic()
    ((_, outcome, message),) = bench.run(timeout_s=3)
    assert time.monotonic() - began < 15
    assert outcome == "failed"
    assert message.startswith("no end after 3 s in test_it.py::test_hangs")
    assert "line 3 in test_hangs" in message


def test_secrets_are_masked_in_messages_and_log(bench: Bench) -> None:
    sso = SsoContext(
        issuer="http://idp/realms/r",
        realm="r",
        client_id="app",
        client_secret=SECRET[::-1],
        users=(SsoUser(username="alice", password=PASSWORD, email="a@example.org"),),
    )
    bench.write("""
    from warmci.testing.suite import TestContext
    import os, pathlib
    def test_secrets():
        context = TestContext.model_validate_json(pathlib.Path(os.environ["WARMCI_TEST_CONTEXT"]).read_text())
        values = [context.secrets["admin_password"], context.sso.client_secret, context.sso.users[0].password]
        found = " ".join(value.get_secret_value() for value in values)
        print("printed", found)
        assert found == "", found
    """)
    ((_, outcome, message),) = bench.run(sso=sso)
    assert outcome == "failed"
    for text in (message, bench.log()):
        assert "*** *** ***" in text
        assert not [value for value in (SECRET, SECRET[::-1], PASSWORD) if value in text]


def test_what_the_infrastructure_failed_is_told_apart(bench: Bench) -> None:
    bench.write("""
    import pytest
    from warmci.base.errors import InfraError
    @pytest.fixture(scope="module")
    def session(): raise InfraError("Keycloak is away")
    def test_red(): assert 1 == 2
    def test_by_fixture(session): pass
    def test_by_itself(): raise InfraError("the engine is away")
    """)
    outcomes = bench.outcomes()
    assert {o.name.rpartition("::")[2]: (o.outcome, o.infrastructure) for o in outcomes} == {
        "test_red": ("failed", ""),
        "test_by_fixture": ("failed", "Keycloak is away"),
        "test_by_itself": ("failed", "the engine is away"),
    }


def test_nothing_is_left_but_a_private_log(bench: Bench) -> None:
    bench.write("import helper\ndef test_it(tmp_path): (tmp_path / 'x').write_text('x')")
    bench.write("VALUE = 1", "helper.py")
    bench.write("def pytest_report_header(): return 'ours'", "conftest.py")
    (bench.tests.parent / "conftest.py").write_text("raise SystemError('not ours')", encoding="utf-8")
    before = sorted(bench.tests.iterdir())
    assert [outcome for _, outcome, _ in bench.run()] == ["passed"]
    assert sorted(bench.tests.iterdir()) == before
    assert [path.name for path in bench.work.iterdir()] == ["pytest-install.log"]
    assert stat.S_IMODE((bench.work / "pytest-install.log").stat().st_mode) == 0o600


def test_context_file_is_private_and_the_environment_clean(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    bench.write("""
    import os, pathlib
    def test_it():
        path = pathlib.Path(os.environ["WARMCI_TEST_CONTEXT"])
        assert path.stat().st_mode & 0o77 == 0 and path.parent.stat().st_mode & 0o77 == 0
        assert "DOCKER_HOST" not in os.environ
    """)
    assert [outcome for _, outcome, _ in bench.run()] == ["passed"]


def test_sso_without_a_realm_names_the_missing_line(bench: Bench) -> None:
    bench.write("def test_login(sso): pass")
    ((_, outcome, message),) = bench.run()
    assert outcome == "failed"
    assert 'recipes/tiny/recipe.toml lacks the line needs = ["keycloak"]' in message


def test_fixtures_carry_the_context(bench: Bench) -> None:
    bench.write("""
    import pytest
    from warmci.base.errors import InfraError
    def test_app(app):
        assert (app.recipe, app.domain) == ("tiny", "tiny.ci.localhost")
        assert str(app.client.base_url).rstrip("/") == app.url
        assert app.secret("admin_password").startswith("hunter2")
        with pytest.raises(KeyError, match="it has: admin_password"):
            app.secret("other")
        with pytest.raises(InfraError):
            app.exec("app", ["true"])
    def test_deps(deps): assert deps == {"keycloak": "http://kc"}
    """)
    outcomes = bench.run(deps={"keycloak": "http://kc"})
    assert [(outcome, message) for _, outcome, message in outcomes] == [("passed", "")] * 2


def test_long_messages_keep_their_first_line_and_their_end(bench: Bench) -> None:
    bench.write("def test_it(): raise ValueError('begin ' + '\\n'.join(str(n) for n in range(2000)) + ' end')")
    ((_, _, message),) = bench.run()
    assert len(message) <= 2000
    assert message.startswith("ValueError: begin 0\n…\n")
    assert " end" in message


def test_a_plugin_is_loaded_where_it_is_named(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "operators_own.py").write_text("import pytest\n@pytest.fixture\ndef answer(): return 42\n")
    monkeypatch.syspath_prepend(str(tmp_path / "plugins"))
    bench.write("""
    def test_it(answer): assert answer == 42
    """)
    assert [outcome.outcome for outcome in bench.outcomes()] == ["failed"]
    loaded = bench.outcomes(options=with_plugins(["operators_own"]))
    assert [outcome.outcome for outcome in loaded] == ["passed"]
    missing = bench.outcomes(options=with_plugins(["no_such_plugin"]))
    assert missing[0].outcome == "failed"
    assert "no_such_plugin" in missing[0].message


def test_a_conftest_of_the_operators_is_read(bench: Bench) -> None:
    bench.write(
        """
    import pytest
    @pytest.fixture
    def answer(): return 42
    """,
        "conftest.py",
    )
    bench.write("""
    def test_it(answer): assert answer == 42
    """)
    assert [outcome.outcome for outcome in bench.outcomes()] == ["passed"]


def test_one_that_was_begun_collects_and_waits_for_its_context(bench: Bench, tmp_path: Path) -> None:
    collected, ran = tmp_path / "collected", tmp_path / "ran"
    bench.write(f"""
    from pathlib import Path
    Path({str(collected)!r}).touch()
    def test_it(app):
        Path({str(ran)!r}).touch()
        assert app.url.startswith("http")
    """)
    begun = begin(bench.tests, bench.work)
    assert begun is not None
    end = time.monotonic() + 60
    while not collected.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert collected.exists()
    assert process.wait(begun.running, timeout_s=0.5) is None
    assert not ran.exists()
    (outcome,) = run_suite(bench.tests, bench.context("quick"), bench.work, 60, begun=begun)
    assert (outcome.name, outcome.outcome) == ("test_it::test_it", "passed")
    assert ran.exists()
    assert not begun.scratch.exists()


def test_one_that_is_dropped_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    bench.write("def test_it(app): pass")
    begun = begin(bench.tests, bench.work)
    assert begun is not None
    begun.close()
    assert process.wait(begun.running, timeout_s=0) is not None
    assert list(bench.work.iterdir()) == []
    assert begin(tmp_path / "none", bench.work) is None
