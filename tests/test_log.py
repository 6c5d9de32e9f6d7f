"""The log says what each step did, in ids and numbers; it names nobody."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import click
import pytest

from reconciler.cli import main as cli
from reconciler.cli.log_output import write_log_to_stderr
from reconciler.cli.main import run
from reconciler.log import JsonFormatter, TextFormatter, log_event, log_step
from tests.support.customers.project import Project
from tests.support.rosters.bundles import bundle

LOG = logging.getLogger("reconciler.test")
DAY = bundle(users=20)


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "reconciler")
    return caplog


def fields(record: logging.LogRecord) -> dict[str, Any]:
    return json.loads(JsonFormatter().format(record))


def test_step_is_one_line_with_results_and_seconds(logged: pytest.LogCaptureFixture) -> None:
    with log_step(LOG, "plan", customer="springfield", run=None) as results:
        results["people"] = 14
    (record,) = logged.records
    found = fields(record)
    assert found["seconds"] >= 0
    assert {**found, "time": "", "seconds": 0} == {
        "time": "",
        "level": "info",
        "event": "plan",
        "customer": "springfield",
        "people": 14,
        "seconds": 0,
    }
    assert " info plan customer=springfield people=14 seconds=" in TextFormatter().format(record)


def test_failing_step_names_the_type_but_not_text(logged: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="hunter2"), log_step(LOG, "fetch", customer="springfield"):
        raise ValueError("hunter2")
    assert fields(logged.records[0])["error"] == "ValueError"
    assert "hunter2" not in TextFormatter().format(logged.records[0])


@pytest.mark.parametrize(
    ("value", "text"),
    [("a b", '"a b"'), ('say "x"', '"say \\"x\\""'), ("x\ny", '"x\\ny"'), ("a=b", '"a=b"'), ("", '""'), (3, "3")],
)
def test_no_value_breaks_a_line_of_text(logged: pytest.LogCaptureFixture, value: object, text: str) -> None:
    log_event(LOG, "plan", value=value)
    assert TextFormatter().format(logged.records[0]).endswith(f"plan value={text}")


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_traceback_has_places_and_causes_without_texts(
    logged: pytest.LogCaptureFixture, formatter: logging.Formatter
) -> None:
    try:
        try:
            raise KeyError("Lisa Simpson")
        except KeyError as cause:
            raise ValueError("hunter2") from cause
    except ValueError as problem:
        LOG.error("unexpected-error", exc_info=problem)
    text = formatter.format(logged.records[0])
    assert "hunter2" not in text
    assert "Simpson" not in text
    assert text.index("builtins.KeyError") < text.index("builtins.ValueError")
    assert "test_log.py:" in text


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    def fail_with(problem: BaseException) -> None:
        @click.command()
        def command() -> None:
            raise problem

        monkeypatch.setattr(sys.modules[__name__], "failing_command", command, raising=False)
        monkeypatch.setitem(cli.COMMANDS, "failing", cli.LazyCommand(f"{__name__}:failing_command", ""))

    return fail_with


def test_unexpected_error_of_an_unattended_run_keeps_its_traceback(
    failing: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(ValueError("hunter2"))
    monkeypatch.setenv("RECONCILER_LOG", "json")
    assert run(["failing"]) == 1
    logged, *said = capsys.readouterr().err.splitlines()
    entry = json.loads(logged)
    assert entry["level"] == "error"
    assert any("test_log.py:" in line for line in entry["traceback"])
    assert "hunter2" not in logged
    assert said == ["error: unexpected ValueError; run again with --debug and report the output"]


def test_a_terminal_gets_no_log_unless_it_asks(
    failing: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(ValueError("x"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run(["failing"]) == 1
    assert "test_log.py:" not in capsys.readouterr().err
    assert run(["--log-level", "error", "failing"]) == 1
    assert "test_log.py:" in capsys.readouterr().err


def test_what_the_log_was_before_it_is_again(capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("reconciler")
    before = log.level, list(log.handlers)
    with write_log_to_stderr("info"):
        log_event(LOG, "plan", customer="springfield")
    log_event(LOG, "plan", customer="shelbyville")
    assert (log.level, list(log.handlers)) == before
    assert [line.split()[1:] for line in capsys.readouterr().err.splitlines()] == [
        ["info", "plan", "customer=springfield"]
    ]


def test_plan_and_apply_log_each_customer_and_no_person(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_LOG", "json")
    monkeypatch.setenv("RECONCILER_LOG_LEVEL", "debug")
    project.customer()
    project.customer("shelbyville", org=None)
    result = project.apply("springfield", "shelbyville", "--zip", DAY.zip(project.folder / "day.zip"))
    assert result.code == 64, "a bundle is of one customer"
    result = project.apply("springfield", "--zip", DAY.zip(project.folder / "day.zip"))
    assert result.code == 0
    entries = [json.loads(line) for line in result.err.splitlines() if line.startswith("{")]
    steps = {each["event"]: each for each in entries}
    assert steps["plan"]["customer"] == steps["apply"]["customer"] == "springfield"
    assert steps["plan"]["people"] == 20
    assert steps["apply"]["run"] == 1
    assert steps["apply"]["outcome"] == "applied"
    assert len(steps["apply"]["plan"]) >= 12
    log = "\n".join(line for line in result.err.splitlines() if line.startswith("{"))
    for person in DAY.tables["users"]:
        for value in (person["sourcedId"], person["familyName"], person["email"], person["username"]):
            assert value == "" or value not in log
