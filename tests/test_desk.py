"""`gtgateway messages`, as an operator types it, against a real gateway."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import httpx
import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from ggop import ggop
from gtgateway.cli import cli, main
from gtgateway.desk import DeskError, table
from gtgateway.logs import configure_logs
from gtgateway.model.plan import COPENHAGEN

CPR = "2512489996"
SENDER = {"Authorization": "Bearer dev:5790001354145"}
BY_ANNE = ("--who", "Anne", "--why", "ringet")

Run = Callable[..., Result]


@pytest.fixture
def run(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """`gtgateway messages …` at the test's gateway."""
    monkeypatch.setenv("GTGATEWAY_TOKEN", "dev:operator")
    server = str(client.base_url)

    def messages(*arguments: object, typed: str | None = None) -> Result:
        return CliRunner().invoke(cli, ["messages", *map(str, arguments), "--server", server], input=typed)

    configure_logs(readable=False)  # to standard error: what is on standard output is the command's
    yield messages
    structlog.reset_defaults()


@pytest.fixture
def message_id(client: httpx.Client) -> str:
    """A plan for a municipality that pulls."""
    yesterday = datetime.now(COPENHAGEN).date() - timedelta(days=1)
    answer = client.post("/messages", content=ggop(discharged=yesterday, cpr=CPR), headers=SENDER)
    return answer.headers["Location"].removeprefix("/messages/")


def deliveries_of(run: Run, message_id: str) -> list[str]:
    found = json.loads(run("show", message_id, "--json").stdout)
    return [str(each["delivery_id"]) for each in found["deliveries"]]


def test_a_list_for_people_is_a_table_without_colours_when_piped(run: Run, message_id: str) -> None:
    done = run("list")
    assert done.exit_code == 0
    heads, line = done.stdout.splitlines()
    assert heads.split() == ["MESSAGE", "RECEIVED", "SENDER", "FORMAT", "VERDICT", "DELIVERIES"]
    assert line.startswith(message_id)
    assert "accepted" in line
    assert line.index("accepted") == heads.index("VERDICT")
    assert "\x1b" not in done.stdout


def test_what_is_asked_for_is_what_is_searched(run: Run, message_id: str) -> None:
    for asked in (
        ("--id", message_id),
        ("--sender", "5790001354145", "--verdict", "accepted"),
        ("--recipient", "kommunekode:0461", "--state", "pending"),
        ("--from", "2026-01-01T00:00"),
    ):
        found = json.loads(run("list", *asked, "--json").stdout)
        assert [each["message_id"] for each in found["messages"]] == [message_id]
    for asked in (("--state", "refused"), ("--rule", "GOP-ROUTE-04"), ("--until", "2026-01-01T00:00")):
        assert json.loads(run("list", *asked, "--json").stdout)["messages"] == []


def test_a_patients_number_comes_by_standard_input_only(run: Run, message_id: str) -> None:
    done = run("list", "--patient", typed=f"{CPR}\n")
    assert message_id in done.stdout
    assert CPR not in done.output
    assert message_id not in run("list", "--patient", typed="2911829996\n").stdout
    assert run("list", "--patient", CPR).exit_code == 2  # no argument takes it


def test_show_has_deliveries_and_path(run: Run, message_id: str) -> None:
    lines = run("show", message_id).stdout.splitlines()
    assert any(line.startswith("DELIVERY") for line in lines)
    (received,) = (line for line in lines if " received " in line)
    assert "client=dev:5790001354145" in received
    assert any("to_deliver" in line and "odense-kommune" in line for line in lines)


def test_given_up_found_among_the_dead_letters_and_tried_again(run: Run, message_id: str) -> None:
    ids = deliveries_of(run, message_id)
    assert run("dead-letters").stdout.splitlines()[1:] == []
    done = run("abandon", *ids, *BY_ANNE)
    assert (done.exit_code, done.stdout) == (0, f"Done: {', '.join(ids)}\n")
    dead = run("dead-letters", "--reason", "by_person").stdout.splitlines()
    assert [line.split()[0] for line in dead[1:]] == ids[::-1]
    assert all(line.endswith(message_id) for line in dead[1:])
    again = run("retry", "--reason", "by_person", "--expected", len(ids), *BY_ANNE, "--json")
    assert json.loads(again.stdout) == {"done": list(map(int, ids)), "not_done": []}
    assert "why=ringet" in run("show", message_id).stdout
    none = run("resend", ids[0], *BY_ANNE)
    assert (none.exit_code, none.stdout) == (1, f"Not done: {ids[0]}\n")


def test_what_the_gateway_refuses_is_one_sentence(run: Run, message_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def sentence(*arguments: object) -> str:
        error = run(*arguments).exception
        assert isinstance(error, DeskError)
        return str(error)

    assert sentence("abandon", "--expected", 9, *BY_ANNE).endswith("number of deliveries: 1; nothing was done. (409)")
    assert sentence("list", "--state", "gone", "--verdict", "x").endswith("The call is wrong: state, verdict. (400)")
    assert sentence("show", "../../records").endswith("There is no such object. (404)")
    monkeypatch.setenv("GTGATEWAY_TOKEN", "dev:5790001354145")
    assert sentence("list").endswith("(403)")
    monkeypatch.delenv("GTGATEWAY_TOKEN")
    assert "GTGATEWAY_TOKEN" in sentence("list")


@pytest.mark.parametrize("asked", [(), ("1", "--expected", "1"), ("1", "--state", "refused"), ("--state", "refused")])
def test_ids_or_a_filter_with_its_count(run: Run, asked: tuple[str, ...]) -> None:
    done = run("retry", *asked, *BY_ANNE)
    assert done.exit_code == 2
    assert "--expected" in done.stderr


def test_who_and_why_are_required(run: Run) -> None:
    assert run("retry", "1", "--who", "Anne").exit_code == 2
    assert run("retry", "1", "--why", "ringet").exit_code == 2


def test_no_gateway_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GTGATEWAY_TOKEN", "secret-token")
    monkeypatch.setattr("sys.argv", ["gtgateway", "messages", "list", "--server", "http://127.0.0.1:9"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "http://127.0.0.1:9" in said
    assert "secret-token" not in said


def test_columns_are_as_wide_as_their_widest_cell_and_states_have_colours() -> None:
    heads, first, second = table(("A", "STATE"), [("long-id", "refused"), (None, "sent")])
    assert heads == "A        STATE"
    assert first == "long-id  \x1b[31mrefused\x1b[0m"
    assert second == "—        sent"
