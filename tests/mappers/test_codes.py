"""Code lists: what the CSV files say, and that their codes can be compared with casefold."""

from __future__ import annotations

from importlib.resources import files

import pytest

from gtgateway.mappers.codes import codes
from gtgateway.model.plan import Level, PlanType

FOLDER = files("gtgateway").joinpath("mappers", "codes")
LISTS = sorted(entry.name.removesuffix(".csv") for entry in FOLDER.iterdir() if entry.name.endswith(".csv"))


def test_the_lists() -> None:
    of_fhir = ["fhir_levels", "fhir_relations", "fhir_sections"]
    assert (
        sorted(["consent", "diagnosis_systems", "icf_systems", "levels", "relations", "telephone_kinds", *of_fhir])
        == LISTS
    )


@pytest.mark.parametrize("name", LISTS)
def test_codes_are_in_lower_case_and_rows_complete(name: str) -> None:
    rows = codes(name)
    assert rows
    for code, row in rows.items():
        assert code == code.casefold().strip()
        assert None not in row.values()


def test_levels_are_levels_of_the_model() -> None:
    for row in codes("levels").values():
        assert PlanType(row["plan_type"])
        assert (row["level"] == "") == (row["plan_type"] == PlanType.EGENTRAENING)
        assert not row["level"] or Level(row["level"])
    assert codes("levels")["specialiseret"]["level"] == Level.SPECIALISERET
    assert codes("levels")["basalt"]["hospital_suggestion"] == "basal"
