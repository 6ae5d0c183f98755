"""The command line, as a user types it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from lxml import etree
from typer.testing import CliRunner

from ggop import ggop
from gtgateway.cli import cli, is_loopback, main
from gtgateway.data import packaged
from gtgateway.errors import ConfigurationError
from gtgateway.samples import FAULTS

AT = "2026-11-25T10:00"


@pytest.fixture
def run():
    runner = CliRunner()
    return lambda *arguments: runner.invoke(cli, list(map(str, arguments)))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "good.xml"
    file.write_bytes(ggop(discharged=date(2026, 11, 24), letter_id="BREV1"))
    return file


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    file = tmp_path / "bad.xml"
    file.write_bytes(ggop(discharged=date(2026, 11, 24), need="", consent="nej"))
    return file


def test_check_says_what_is_wrong_where_and_by_which_paragraph(run, bad: Path) -> None:
    done = run("check", bad, "--received-at", AT)
    assert done.exit_code == 1
    (line,) = [line for line in done.stdout.splitlines() if "GOP-CONTENT-05" in line]
    assert "error" in line
    assert "/Emessage/RehabilitationPlan/" in line
    assert "§ 2, stk. 2" in line
    assert "sample directory" in done.stderr


def test_check_of_an_accepted_plan_shows_who_gets_it_and_the_dates(run, good: Path) -> None:
    done = run("check", good, "--received-at", AT)
    assert done.exit_code == 0
    assert "ACCEPTED" in done.stdout
    assert "→ action" in done.stdout
    assert "1. december 2026" in done.stdout


def test_exit_codes_are_the_worst_of_the_files(run, good: Path, bad: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.xml"
    broken.write_bytes(b"<a")
    assert run("check", good, good, "--received-at", AT).exit_code == 0
    assert run("check", good, bad, "--received-at", AT).exit_code == 1
    assert run("check", good, bad, broken, "--received-at", AT).exit_code == 2


def test_check_json_is_one_array_in_the_order_of_the_files(run, good: Path, bad: Path) -> None:
    done = run("check", bad, good, "--json", "--received-at", AT)
    first, second = json.loads(done.stdout)
    assert (first["verdict"], second["verdict"]) == ("rejected", "accepted")
    assert second["message"]["letter_id"] == "BREV1"


def test_a_file_that_is_not_there_is_named(run, tmp_path: Path) -> None:
    done = run("check", tmp_path / "none.xml")
    assert done.exit_code == 2
    assert "none.xml" in done.stderr


@pytest.mark.parametrize("to", ["plan", "record", "ggop", "xdis91", "html"])
def test_convert_writes_the_format(run, good: Path, tmp_path: Path, to: str) -> None:
    target = tmp_path / "out"
    done = run("convert", good, "--to", to, "-o", target, "--received-at", AT)
    assert done.exit_code == 0
    made = target.read_bytes()
    if to in ("plan", "record"):
        assert json.loads(made)["plan_id"] == "BREV1"
    elif to == "html":
        assert made.startswith(b"<!doctype html>")
    else:
        assert etree.fromstring(made).tag.endswith("}Emessage")


def test_convert_with_trace_says_where_each_field_came_from(run, good: Path) -> None:
    done = run("convert", good, "--to", "plan", "--trace", "--received-at", AT)
    assert any(
        line.startswith("patient.identifier ") and "/Patient/CivilRegistrationNumber:" in line
        for line in done.stderr.splitlines()
    )


def test_convert_to_a_kl_report_lists_what_is_left_out(run, good: Path) -> None:
    done = run("convert", good, "--to", "kl-report", "--received-at", AT)
    assert done.exit_code == 0
    report = json.loads(done.stdout)
    assert report["meta"]["profile"] == ["http://fhir.kl.dk/rehab/StructureDefinition/klgateway-140-delivery-report"]
    assert "udeladt: ServiceRequest.occurrencePeriod.start (dagen tilbydes senere)" in done.stderr


def test_convert_of_a_refused_plan_to_a_record_fails_and_says_why(run, bad: Path) -> None:
    done = run("convert", bad, "--to", "record", "--received-at", AT)
    assert done.exit_code == 1
    assert "GOP-CONTENT-05" in done.stdout


def test_samples_are_lawful_and_reproducible(run, tmp_path: Path) -> None:
    for level in ("almen", "specialiseret", "rehabilitering"):
        for format in ("ggop", "xdis91"):
            for folder in ("a", "b"):
                where = tmp_path / folder / format
                done = run("sample", "--level", level, "--format", format, "--discharged", "2026-11-24",
                           "--count", 3, "-o", where)  # fmt: skip
                assert done.exit_code == 0
    first, second = (sorted((tmp_path / folder).rglob("*.xml")) for folder in ("a", "b"))
    assert len(first) == 18
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
    assert run("check", *first, "--received-at", AT).exit_code == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(run, tmp_path: Path, fault: str) -> None:
    run("sample", "--faults", fault, "--discharged", "2026-11-24", "-o", tmp_path)
    (file,) = tmp_path.glob("*.xml")
    done = run("check", file, "--json", "--received-at", AT)
    assert done.exit_code == 1
    errors = {finding["rule"] for finding in json.loads(done.stdout)[0]["findings"] if finding["severity"] == "error"}
    assert fault in errors


def test_catalogues(run) -> None:
    assert "GOP-ROUTE-04" in run("rules").stdout
    assert json.loads(run("rules", "GOP-ROUTE-04", "--json").stdout)[0]["id"] == "GOP-ROUTE-04"
    assert run("rules", "GOP-NONE-01").exit_code == 1
    assert "BEK-2027" in run("orders").stdout
    assert {order["id"] for order in json.loads(run("orders", "--json").stdout)} >= {"BEK-918-2018", "BEK-2027"}
    assert "TypeOfRehabilitationPlan" in run("mappings", "plan_from_medcom_xml").stdout
    assert run("mappings", "none").exit_code == 1


def test_the_directory_is_checked(run, tmp_path: Path) -> None:
    sample = run("directory", "check", packaged("samples", "directory")).stdout
    assert "0 end-points, no faults." in sample
    assert "ouh takes ggop, but has no end-point: it can only pull." in sample
    assert "frederiksberg-kommune" not in sample  # it pulls, and nothing else was meant
    faulty = tmp_path / "faulty.toml"
    faulty.write_text('organisations = [{ id = "a", kind = "nothing", name = "A" }]')
    fault = run("directory", "check", faulty).exception
    assert isinstance(fault, ConfigurationError)
    assert "kind" in str(fault)


def test_migrate_makes_the_archive(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GTGATEWAY_STORE", f"sqlite:///{tmp_path}/plans.db")
    assert run("migrate").exit_code == 0
    assert (tmp_path / "plans.db").exists()


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["serve"], "GTGATEWAY_DIRECTORY"),
        (["serve", "--workers", "2", "--dev"], "--workers above 1 needs"),
        (["serve", "--dev", "--host", "0.0.0.0"], "loopback"),
        (["deliver"], "belongs to one process"),
    ],
)
def test_serve_refuses_what_cannot_be_right(
    arguments: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gtgateway", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err


def test_an_unknown_setting_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GTGATEWAY_COLOUR", "red")
    monkeypatch.setattr("sys.argv", ["gtgateway", "orders"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "GTGATEWAY_COLOUR" in capsys.readouterr().err


def test_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.0.0.2", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "10.0.0.1", "example.org")))
