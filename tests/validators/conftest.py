"""A lawful plan under each order, and a way to change it: what the cases of `samples/rules` are made of."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from gtgateway.cases import guards
from gtgateway.law.calendar import Calendar
from gtgateway.law.deadlines import compute_deadlines
from gtgateway.law.governing import govern
from gtgateway.law.orders import Orders
from gtgateway.mappers.plan_from_medcom_xml import understood_deadline
from gtgateway.model.case import Agreement, Case, CaseEvent
from gtgateway.model.delivery import Delivery
from gtgateway.model.identifiers import Cpr, ReplacementNumber
from gtgateway.model.message import Action, Format
from gtgateway.model.outcome import ActivePlan, Known, OrderBasis
from gtgateway.model.plan import (
    COPENHAGEN,
    Address,
    Coded,
    Consent,
    DiagnosisGroup,
    FormattedText,
    HospitalContact,
    Level,
    LocalMoment,
    Party,
    Patient,
    Professional,
    RehabilitationPlan,
)
from gtgateway.residence.evidence import find_residence
from gtgateway.routing.directory import Directory
from gtgateway.routing.route import route
from gtgateway.validators.case_facts import CaseFacts
from gtgateway.validators.rule import Facts, Policy

#: A day of discharge under each order: a Friday.
DISCHARGED = {
    "BEK-1266-2006": date(2013, 5, 17),
    "BEK-1088-2014": date(2016, 5, 20),
    "BEK-918-2018": date(2026, 11, 20),
    "BEK-2027": date(2027, 2, 5),
}
LETTER = "BRV1"


@cache
def _directory() -> Directory:
    return Directory.load()


@cache
def _orders() -> Orders:
    return Orders.load()


def _text(words: str) -> FormattedText:
    return FormattedText(words, words)


def _lawful_plan(discharged: date, format: Format) -> RehabilitationPlan:
    """No rule finds fault with it. FHIR has fields that MedCom XML lacks."""
    noon = datetime.combine(discharged, time(12), COPENHAGEN)
    plan = RehabilitationPlan(
        plan_id=LETTER,
        written_at=LocalMoment(discharged),
        sender=Party(gln="5790001354145", name="Odense Universitetshospital"),
        author=Professional("Ane", "Prøve", "Fysioterapeut"),
        receiver=Party(gln="5790000121441", name="Odense Kommune"),
        gp=Party(gln="5790999400015", name="Lægehuset Odense Midtby"),
        patient=Patient(Cpr("2512489996"), "Berggren", "Nancy Ann", Address(postcode="5000")),
        level=Level.ALMEN,
        level_stated="almen",
        consent=Consent(given=True, stated="ja"),
        patient_safety=_text("Faldrisiko de første uger."),
        hospital_contact=HospitalContact(expected_end=LocalMoment(discharged)),
        discharged_on=discharged,
        function_at_discharge=_text(
            "Nedsat styrke i højre ben. Går 50 m med albuestok. Var før indlæggelsen selvhjulpen og på arbejde."
        ),
        rehabilitation_need=_text("Nedsat styrke og gangdistance. Potentiale for selvstændig gang."),
        diagnoses=(DiagnosisGroup(Coded("DM169", "ICD10kode")),),
        contact_region=Party(department="Region Syddanmark", telephone="+4511111111"),
        contact_municipality=Party(department="Odense Kommune, Genoptræning", telephone="+4522222222"),
    )
    if format is not Format.FHIR:
        return plan
    return replace(
        plan,
        consent=Consent(given=True, send_agreed=True, given_by="patient"),
        patient=replace(plan.patient, address=Address(postcode="5000", kommunekode="0461")),
        rehabilitation_focus=_text("Gang og styrke i benet"),
        handed_out_at=noon,
        funding="public",
    )


# --- building values from TOML ----------------------------------------------------------------------------------------


def _build(kind: Any, value: Any, discharged: date) -> Any:
    """A value of a type from its TOML form: texts, enums, tables and lists; `D+3` is the third day after discharge."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        kind = next(each for each in get_args(kind) if each is not type(None))
        origin = get_origin(kind)
    if origin is tuple:
        inner = get_args(kind)[0]
        return tuple(_build(inner, each, discharged) for each in value)
    if kind is FormattedText:
        return _text(value)
    if kind is Cpr:
        return Cpr(value) if len(value) == 10 and value.isdigit() else ReplacementNumber(value)
    if kind is date:
        return _day(value, discharged)
    if kind is datetime:
        return datetime.combine(_day(value, discharged), time(12), COPENHAGEN)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _build(hints[name], each, discharged) for name, each in value.items()})
    return value


def _day(value: str | date, discharged: date) -> date:
    return value if isinstance(value, date) else discharged + timedelta(days=int(value.removeprefix("D") or 0))


def _with(target: Any, path: str, value: Any, discharged: date) -> Any:
    """A copy of a frozen value with the field at a dotted path set; `value` None clears it (to its default)."""
    name, _, rest = path.partition(".")
    if rest:
        inner = getattr(target, name)
        if inner is None:
            inner = _build(get_type_hints(type(target))[name], {}, discharged)
        return replace(target, **{name: _with(inner, rest, value, discharged)})
    if value is None:
        default = next(each.default for each in fields(target) if each.name == name)
        return replace(target, **{name: default})
    return replace(target, **{name: _build(get_type_hints(type(target))[name], value, discharged)})


FactsOf = Callable[..., Facts]


@pytest.fixture(scope="session")
def facts_of() -> FactsOf:
    """Facts about the lawful plan under an order in a format, changed as a case of `samples/rules` says."""

    def build(order_id: str, format: Format, case: Mapping[str, Any] | None = None) -> Facts:
        case = case or {}
        discharged = DISCHARGED[order_id]
        changes = dict.fromkeys(case.get("clear", ())) | dict(case.get("set", {}))

        def changed(root: str, target: Any) -> Any:
            for path, value in changes.items():
                if path.startswith(root + "."):
                    target = _with(target, path.removeprefix(root + "."), value, discharged)
            return target

        plan = changed("plan", _lawful_plan(discharged, format))
        plan = replace(plan, start_deadline=_understood(plan, format))
        received_on = _day(case.get("received", "D"), discharged)
        governing = govern(plan, received_on, _orders(), archive=True, order_id=order_id)
        if "basis" in case:
            governing = replace(governing, basis=OrderBasis(case["basis"]))
        residence = find_residence(
            plan, _directory(), governing.organisations_on, case.get("register"), _postcodes(case)
        )
        recipients = changed("route", route(plan, governing, _directory(), residence, received_on))
        active = tuple(_build(ActivePlan, each, discharged) for each in case.get("active_plans", ()))
        return Facts(
            plan=plan,
            governing=governing,
            received_at=datetime.combine(received_on, time(12), COPENHAGEN),
            format=format,
            route=recipients,
            deadlines=compute_deadlines(plan, governing, received_on, Calendar(), residence.municipality),
            known=Known(
                active_plans={LETTER: active},
                stored_plans={LETTER: case["stored_version"]} if "stored_version" in case else {},
                corrected_from=_corrected(case, discharged),
            ),
            letter_id=LETTER,
            policy=changed("policy", Policy()),
            action=Action(case.get("action", "new")),
        )

    return build


#: Told of every event and delivery, unless a case says otherwise.
_EVENT = {"id": "00000000-0000-4000-8000-000000000000", "by": "odense-kommune"}
_DELIVERY = {
    "record_id": "R1",
    "version": 1,
    "organisation_id": "odense-kommune",
    "organisation_name": "Odense Kommune",
    "roles": ["action"],
    "attempts": 1,
    "updated_at": "D",
}
CaseFactsOf = Callable[..., CaseFacts]


@pytest.fixture(scope="session")
def case_facts_of(facts_of: FactsOf) -> CaseFactsOf:
    """Facts about a case of the lawful plan with its history, and the event or the day that is looked at."""

    def build(order_id: str, case: Mapping[str, Any]) -> CaseFacts:
        facts, discharged = facts_of(order_id, Format.FHIR, case), DISCHARGED[order_id]
        residence = facts.route.residence
        history = tuple(_build(CaseEvent, _EVENT | each, discharged) for each in case.get("history", ()))
        about = Case("R1", facts.plan, facts.received_on, residence.municipality, residence.region, history)
        agreements = tuple(_build(Agreement, each, discharged) for each in case.get("agreements", ()))
        office = guards.Office(_orders(), replace(_directory(), agreements=agreements), Calendar())
        deliveries = tuple(_build(Delivery, _DELIVERY | each, discharged) for each in case.get("deliveries", ()))
        event = _build(CaseEvent, _EVENT | case["event"], discharged) if "event" in case else None
        day = event.on if event else _day(case["day"], discharged)
        found = guards.facts_of(about, event, day, office, deliveries)
        assert found.order.id == order_id
        return found

    return build


def _understood(plan: RehabilitationPlan, format: Format) -> Any:
    """MedCom XML states the deadline in words alone; a case that sets dates as well means them."""
    deadline = plan.start_deadline
    if format is Format.FHIR or deadline.text is None or deadline.latest or deadline.earliest:
        return deadline
    return understood_deadline(deadline, plan.discharged_on)


def _corrected(case: Mapping[str, Any], discharged: date) -> dict[str, date]:
    return {LETTER: _day(case["corrected_from"], discharged)} if "corrected_from" in case else {}


def _postcodes(case: Mapping[str, Any]) -> dict[str, frozenset[str]]:
    return {postcode: frozenset(codes) for postcode, codes in case.get("postcodes", {}).items()}
