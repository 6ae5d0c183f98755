"""The orders (bekendtgørelser) as data: who receives what in which role, who owns which clock, how many days.

`orders.toml` beside this file holds them with dates and sources, `parameters.toml` the numbers that rules compare with.
Everything is checked once, when it is loaded.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from gtgateway.errors import ConfigurationError
from gtgateway.model.plan import Level, PlanType, RehabilitationPlan
from gtgateway.model.route import Role

_STRICT = ConfigDict(extra="forbid")

Kind = Literal["municipality", "region", "gp", "hospital", "provider"]
AuthorityKind = Literal["municipality", "region"]
#: How sure a source is: V the text was read, S public pages support it, I inferred. S and I say what to confirm.
Mark = Literal["V", "S", "I"]


class Situation(StrEnum):
    """What may change who receives a plan; `orders.toml` explains them."""

    STANDARD = "standard"
    RECEIVED_AFTER_CHANGE = "received_after_change"
    DELEGATED = "delegated"
    PRIVATE_PROVIDER = "private_provider"
    PUBLIC_INSTITUTION = "public_institution"


@dataclass(frozen=True)
class RecipientRow:
    """One recipient of one course. `deliver` False: named by the law but sent nothing."""

    __pydantic_config__ = _STRICT

    course: (
        str  #: almen, specialiseret, rehabilitering, egentraening, or two levels in phase order: `specialiseret>almen`
    )
    kind: Kind
    roles: tuple[Role, ...]
    basis: str
    source: str
    situations: tuple[Situation, ...] = (Situation.STANDARD,)
    phase: Annotated[int, Field(ge=1, le=2)] | None = None  #: of a combined plan
    deliver: bool = True
    verified: Mark = "V"
    confirm: str = ""  #: what is still to be confirmed against the issued text, in Danish


@dataclass(frozen=True)
class ClockBasis:
    """The paragraph behind each step of a deadline, in Danish, as people are shown it."""

    __pydantic_config__ = _STRICT

    day_zero: str
    notify: str
    start: str
    deferral: str
    hospital_deadline: str
    free_choice: str


@dataclass(frozen=True)
class Clocks:
    """Days are calendar days; day zero is the day counted from. A level without an owner has no clock."""

    __pydantic_config__ = _STRICT

    counted_from: Literal["discharge"]
    owners: Mapping[Level, AuthorityKind]
    basis: ClockBasis
    source: str
    notify_days: int = 0
    start_days: int = 0
    deferral_moves: tuple[Literal["notice", "start"], ...] = ()
    verified: Mark = "V"
    confirm: str = ""


@dataclass(frozen=True)
class Choice:
    """Free choice of a provider. A private start after the public offer is never accepted."""

    __pydantic_config__ = _STRICT

    private_start_when_equal: Literal["accepted", "warning"]
    provider_lists: Mapping[AuthorityKind, str]  #: who keeps the list of private providers, by authority
    source: str
    verified: Mark = "V"
    confirm: str = ""


@dataclass(frozen=True)
class AuthorityChange:
    """From `since` another authority is responsible for these levels, whichever order judges the plan."""

    __pydantic_config__ = _STRICT

    levels: frozenset[Level]
    since: date
    kind: AuthorityKind
    source: str
    verified: Mark = "V"
    confirm: str = ""


@dataclass(frozen=True)
class Parameter:
    """A number that rules compare with, valid as long as its order is in force."""

    __pydantic_config__ = _STRICT

    value: Annotated[int, Field(ge=0)]
    unit: str
    rules: tuple[str, ...]
    source: str
    verified: Mark = "V"
    confirm: str = ""


@dataclass(frozen=True)
class Parameters:
    """Every parameter by name: those of `parameters.toml`, unless the order has its own."""

    __pydantic_config__ = _STRICT

    age_of_consent: Parameter
    age_of_majority: Parameter
    ability_letters: Parameter
    same_course_days: Parameter
    ahead_warns_days: Parameter
    ahead_refuses_days: Parameter
    past_warns_days: Parameter
    past_refuses_days: Parameter
    in_time_days: Parameter
    late_alert_days: Parameter
    reply_working_days: Parameter
    forward_working_days: Parameter


@dataclass(frozen=True)
class RuleSet:
    """The rules of an order that was added as data: those of another one, where it says nothing else."""

    __pydantic_config__ = _STRICT

    like: str  #: id of the order whose rules these are
    basis: Mapping[str, str] = field(default_factory=dict)  #: rule id -> its paragraph here; may add a rule
    without: frozenset[str] = frozenset()  #: ids of the rules that do not hold here


@dataclass(frozen=True, eq=False)
class Order:
    """One order. `in_force_from` and `in_force_until` are both inclusive; None = still in force."""

    __pydantic_config__ = _STRICT

    id: str  #: a handle that stays, `BEK-918-2018`
    number: str  #: how people cite it
    title: str
    in_force_from: date
    live: bool  #: judges what is received; an order that is not live judges only with `--archive`
    source: str
    levels: Mapping[Level, str]  #: its own words for the levels
    recipients: tuple[RecipientRow, ...]
    clocks: Clocks
    parameters: Parameters
    in_force_until: date | None = None
    choice: Choice | None = None
    authority_changes: tuple[AuthorityChange, ...] = ()
    rules: RuleSet | None = None  #: None: the rules name this order themselves
    verified: Mark = "V"
    confirm: str = ""
    _by_course: dict[tuple[str, Situation], tuple[RecipientRow, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        for row in self.recipients:
            for situation in row.situations:
                key = row.course, situation
                self._by_course[key] = (*self._by_course.get(key, ()), row)

    def rows(self, course: str, situation: Situation = Situation.STANDARD) -> tuple[RecipientRow, ...]:
        """The recipients of a course in a situation, in the order of the law; none when the order does not know it."""
        return self._by_course.get((course, situation), ())

    def recipients_of(self, plan: RehabilitationPlan, received_on: date) -> tuple[RecipientRow, ...]:
        """The recipients of a plan as received; none for a plan without a level.

        Two levels that are no course of the order (GOP-COMBI-01) get the recipients of both, each in its phase.
        """
        if plan.plan_type is PlanType.EGENTRAENING:
            return self.rows(PlanType.EGENTRAENING)
        if plan.level is None:
            return ()
        levels = (plan.level, plan.next_level) if plan.next_level else (plan.level,)
        change = next((each for level in levels if (each := self.authority_change(level))), None)
        late = change is not None and received_on >= change.since
        situation = Situation.RECEIVED_AFTER_CHANGE if late else Situation.STANDARD
        if rows := self._rows_in(">".join(levels), situation):
            return rows
        return tuple(
            replace(row, phase=phase)
            for phase, level in enumerate(levels, 1)
            for row in self._rows_in(level, situation)
        )

    def authority_change(self, level: Level) -> AuthorityChange | None:
        """The change of authority that awaits plans of this level, if any."""
        return next((change for change in self.authority_changes if level in change.levels), None)

    def _rows_in(self, course: str, situation: Situation) -> tuple[RecipientRow, ...]:
        return self.rows(course, situation) or self.rows(course)


class Orders:
    """Every order that the gateway knows, oldest first, without gap or overlap."""

    def __init__(self, orders: tuple[Order, ...]) -> None:
        """Raises ConfigurationError that names every inconsistency at once."""
        self.all = tuple(sorted(orders, key=lambda order: order.in_force_from))
        if faults := _faults(self.all):
            raise ConfigurationError(" ".join(faults))
        self.all = tuple(replace(order, rules=self._rules_of(order)) if order.rules else order for order in self.all)

    @classmethod
    def load(cls, path: Path | None = None) -> Orders:
        """The orders of a TOML file (None: the packaged ones). Raises ConfigurationError that names every fault."""
        source = path or Path(__file__).with_name("orders.toml")
        try:
            data = tomllib.loads(source.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{source.name}: {error}") from None
        common = tomllib.loads(Path(__file__).with_name("parameters.toml").read_text("utf-8"))
        tables = [_with_rows(table) for table in data.get("order", [])]
        for table in tables:
            table["parameters"] = common | table.get("parameters", {})
        try:
            return cls(_ORDERS.validate_python(tables))
        except ValidationError as error:
            raise ConfigurationError(
                " ".join(
                    f"{tables[int(fault['loc'][0])].get('id', fault['loc'][0])}:"
                    f" {'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}."
                    for fault in error.errors()
                )
            ) from None

    def _rules_of(self, order: Order) -> RuleSet | None:
        """The rules of an order with everything that it has from orders like it, down to one that rules name."""
        rules = order.rules
        while rules and (below := self.by_id(rules.like).rules):
            # what is stated here wins over what is stated below
            without = rules.without | (below.without - rules.basis.keys())
            rules = RuleSet(below.like, {**below.basis, **rules.basis}, without)
        return rules

    def governing(self, day: date) -> Order | None:
        """The order in force on a day; None before the first."""
        return next((order for order in reversed(self.all) if order.in_force_from <= day), None)

    def earliest_live(self) -> Order:
        return next(order for order in self.all if order.live)

    def by_id(self, id: str) -> Order:
        """Raises ConfigurationError for an id that is none of ours."""
        for order in self.all:
            if order.id == id:
                return order
        raise ConfigurationError(f"Unknown order {id}; known: {', '.join(order.id for order in self.all)}.")


_ORDERS = TypeAdapter(tuple[Order, ...])


def _with_rows(table: dict[str, Any]) -> dict[str, Any]:
    """An order's table with its routing tables unfolded to one row per recipient; a recipient's own words win."""
    rows = [
        {**{name: value for name, value in group.items() if name != "recipients"}, **recipient}
        for group in table.get("routing", [])
        for recipient in group.get("recipients", [])
    ]
    return {**{name: value for name, value in table.items() if name != "routing"}, "recipients": rows}


def _faults(orders: tuple[Order, ...]) -> list[str]:
    """What does not hold together, a sentence each."""
    if not any(order.live for order in orders):
        return ["No order is live."]
    faults = []
    for order, following in zip(orders, (*orders[1:], None), strict=True):
        end = order.in_force_until
        if following is None:
            if end is not None:
                faults.append(f"{order.id} ends on {end} and nothing follows it.")
        elif end is None or end >= following.in_force_from:
            faults.append(f"{order.id} and {following.id} overlap on {following.in_force_from}.")
        elif end + timedelta(days=1) != following.in_force_from:
            faults.append(f"No order is in force from {end + timedelta(days=1)} until {following.in_force_from}.")
        if sum(order.id == other.id for other in orders) > 1:
            faults.append(f"The id {order.id} is used more than once.")
        earlier = {other.id for other in orders if other.in_force_from < order.in_force_from}
        if order.rules and order.rules.like not in earlier:
            faults.append(f"{order.id}: its rules are like those of {order.rules.like}, which is no earlier order.")
        faults += [
            f"{order.id}: {each.source} is not verified and does not say what to confirm."
            for each in (order, *order.recipients, order.clocks, order.choice, *order.authority_changes)
            if each and each.verified != "V" and not each.confirm
        ]
        known = {*Level, PlanType.EGENTRAENING}
        courses = {row.course: None for row in order.recipients}
        faults += [f"{order.id}: unknown course {each}." for each in courses if not set(each.split(">")) <= known]
        faults += [f"{order.id}: {course} has no recipients." for course in order.levels if not order.rows(course)]
        if order.clocks.owners and min(order.clocks.notify_days, order.clocks.start_days) < 1:
            faults.append(f"{order.id}: clocks with owners need notify_days and start_days.")
    return faults
