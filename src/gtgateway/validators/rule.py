"""What a rule is. Each is declared once, in a topic module of `rules/`; `registry.RULES` is the visible list of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from gtgateway.law.governing import Governing
from gtgateway.law.orders import Order, Parameters
from gtgateway.model.deadlines import Deadlines
from gtgateway.model.findings import Bilingual, Layer, Severity
from gtgateway.model.message import Action, Format
from gtgateway.model.outcome import Known
from gtgateway.model.plan import Level, PlanType, RehabilitationPlan, danish_day
from gtgateway.model.route import Route
from gtgateway.validators.case_facts import CaseFacts

ERROR, WARNING, INFORMATION = Severity.ERROR, Severity.WARNING, Severity.INFORMATION

#: Ids of the orders, as in `law/orders.toml`.
BEK_1266, BEK_1088, BEK_918, BEK_2027 = "BEK-1266-2006", "BEK-1088-2014", "BEK-918-2018", "BEK-2027"
#: How the order of 2018 is cited where the number of its paragraph has not been read.
ORDER_OF_2018 = "BEK nr. 918 af 22/06/2018"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decides where the law leaves room (settings)."""

    xml_without_discharge: str = "estimate"  #: or `refuse` (GOP-DATE-01)
    egentraening: str = "accept"  #: or `refuse` (GOP-ROUTE-12)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a rule may look at."""

    plan: RehabilitationPlan
    governing: Governing
    received_at: datetime
    format: Format
    route: Route
    deadlines: Deadlines
    known: Known
    letter_id: str
    policy: Policy
    action: Action = Action.NEW

    @property
    def received_on(self) -> date:
        """Local date of receipt (Europe/Copenhagen)."""
        return danish_day(self.received_at)

    @property
    def only_egentraening(self) -> bool:
        return self.plan.plan_type is PlanType.EGENTRAENING

    @property
    def parameters(self) -> Parameters:
        """The numbers of the governing order."""
        return self.governing.order.parameters

    def has_level(self, level: Level) -> bool:
        """True when the plan is for training of this level, in either phase."""
        return not self.only_egentraening and level in (self.plan.level, self.plan.next_level)


class Hit:
    """A place where a rule does not hold: the condition of it, the plan path (None: the rule's own), placeholders."""

    __slots__ = ("condition", "path", "values")

    def __init__(self, condition: str = "", path: str | None = None, **values: object) -> None:
        self.condition = condition
        self.path = path
        self.values = values


@dataclass(frozen=True, slots=True)
class Condition:
    """One way of not holding, with a text that is true in that case.

    A severity of None: not judged in a plan of that format, or not in a case.
    """

    name: str
    text: Bilingual
    fhir: Severity | None
    xml: Severity | None
    case: Severity | None = None

    def severity(self, format: Format) -> Severity | None:
        return self.fhir if format is Format.FHIR else self.xml


Check = Callable[[Facts], Iterable[Hit]]
#: A check of a case: of an event before it is added, or of the case as it stands on a day.
Guard = Callable[[CaseFacts], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A fact that should hold for a plan under the orders that `basis` names.

    `check` judges a plan, `guard` a case. Neither: a promise of the design, or judged elsewhere; `help` says where.
    """

    id: str  #: GOP-<TOPIC>-<NN>: the contract with vendors, never reused
    path: str  #: in the plan
    basis: Mapping[str, str]  #: order id -> the paragraph or guidance, in Danish
    conditions: tuple[Condition, ...]
    help: Bilingual
    check: Check | None = None
    layer: Layer = Layer.LAW
    guard: Guard | None = None

    def condition(self, name: str) -> Condition:
        return next(condition for condition in self.conditions if condition.name == name)

    def basis_under(self, order: Order) -> str | None:
        """The paragraph under an order (which may have the rules of another); None: not in force there."""
        rules = order.rules
        if rules is None:
            return self.basis.get(order.id)
        if self.id in rules.without:
            return None
        return rules.basis.get(self.id) or self.basis.get(rules.like)

    @property
    def fhir_only(self) -> bool:
        """MedCom XML has no field for what this rule is about."""
        return any(each.fhir for each in self.conditions) and all(each.xml is None for each in self.conditions)


def always(
    da: str, en: str, fhir: Severity | None, xml: Severity | None, case: Severity | None = None
) -> tuple[Condition, ...]:
    """The only condition of a rule that has one."""
    return (Condition("", Bilingual(da, en), fhir, xml, case),)


def of_case(da: str, en: str, severity: Severity, name: str = "") -> Condition:
    """A condition that is judged in cases only."""
    return Condition(name, Bilingual(da, en), None, None, severity)


def live(of_2018: str, of_2027: str | None = None) -> dict[str, str]:
    """In force under both live orders; the paragraph is the same unless the second is given."""
    return {BEK_918: of_2018, BEK_2027: of_2027 or of_2018}


def every_order(basis: str) -> dict[str, str]:
    """In force under every order that the gateway knows."""
    return dict.fromkeys((BEK_1266, BEK_1088, BEK_918, BEK_2027), basis)


def guidance(section: str) -> str:
    """A section of the guidance of 2009: older than the orders, so never the sole ground for an error."""
    return f"Vejledning om træning i kommuner og regioner (2009), afsnit {section}"


def danish_date(day: date) -> str:
    """14.03.2027"""
    return f"{day:%d.%m.%Y}"
