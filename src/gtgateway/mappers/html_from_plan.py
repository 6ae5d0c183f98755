"""The whole plan as one page to read in a browser or print on A4: official Danish headings, no script, nothing fetched.

Everything is escaped by the template; only `FormattedText.html` is taken as it is, because our own mappers made it. The
title names no person, since titles end up in window lists and histories.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from gtgateway.mappers.codes import codes
from gtgateway.mappers.headings import FORMATTED_SECTIONS, HEADINGS
from gtgateway.mappers.json_from_model import to_data
from gtgateway.mappers.record_from_plan import FLAGS
from gtgateway.mappers.remainder import remainder
from gtgateway.model.identifiers import Cpr, ReplacementNumber
from gtgateway.model.plan import COPENHAGEN, FormattedText, Level, LocalMoment, PlanType, RehabilitationPlan
from gtgateway.model.record import MunicipalRecord

LEVELS = {
    Level.ALMEN: "Almen genoptræning",
    Level.SPECIALISERET: "Genoptræning på specialiseret niveau",
    Level.REHABILITERING: "Rehabilitering på specialiseret niveau",
}

#: Field of `Deadlines` -> what it is called, in the order shown.
_DEADLINES = {
    "notify_effective": "Borgeren skal have besked senest",
    "notify_by_operational": "Sidste arbejdsdag til besked",
    "earliest_start": "Træningen kan tidligst begynde",
    "start_by": "Træningen skal være begyndt senest",
    "start_by_operational": "Sidste arbejdsdag til start",
    "free_choice_from": "Frit valg af leverandør fra, hvis intet er tilbudt",
}
_ROLES = {
    "action": "Skal handle",
    "authority": "Myndighed",
    "copy": "Kopi",
    "information": "Til orientering",
}
_MEANINGS = {"latest": "senest", "earliest": "tidligst"}
_CONFIDENCES = {"high": "sikkert læst", "doubtful": "usikkert læst; flytter ingen frist", "none": "ikke læst"}
_IDENTIFIER_KINDS = {"gln": "Lokationsnummer", "sor": "SOR-kode", "shak": "SHAK-kode"}


def html_from_plan(plan: RehabilitationPlan, record: MunicipalRecord | Mapping[str, Any] | None = None) -> str:
    """A self-contained HTML page of the plan; with its record also deadlines, flags, recipients and findings.

    `record` may be the record itself or its JSON read back, as the archive keeps it.
    """
    data = to_data(record) if isinstance(record, MunicipalRecord) else record
    return _TEMPLATE.render(
        plan=plan,
        record=data,
        level=LEVELS[plan.level] if plan.level else plan.level_stated,
        egentraening=plan.plan_type is PlanType.EGENTRAENING,
        replacement_number=isinstance(plan.patient.identifier, ReplacementNumber),
        texts={field: text for field in FORMATTED_SECTIONS if (text := _section_text(plan, field))},
        remaining=remainder(plan),
    )


def _section_text(plan: RehabilitationPlan, field: str) -> FormattedText | None:
    text: FormattedText | None = plan.start_deadline.text if field == "start_deadline" else getattr(plan, field)
    return None if text is None or text.blank else text


# --- filters of the template ------------------------------------------------------------------------------------------
def _day(value: date | str | None) -> str:
    """dd.mm.yyyy; a date or its ISO form."""
    if not value:
        return ""
    return (date.fromisoformat(value[:10]) if isinstance(value, str) else value).strftime("%d.%m.%Y")


def _moment(value: LocalMoment | None) -> str:
    if value is None:
        return ""
    return _day(value.day) + (f" kl. {value.clock:%H.%M}" if value.clock else "")


def _instant(value: str) -> str:
    """An ISO instant in Danish time."""
    return datetime.fromisoformat(value).astimezone(COPENHAGEN).strftime("%d.%m.%Y kl. %H.%M")


def _number(value: Cpr) -> str:
    """A citizen's number as people read it: 251248-4916."""
    number = value.reveal()
    return f"{number[:6]}-{number[6:]}" if len(number) == 10 else number


def _formatted(value: FormattedText) -> Markup:
    return Markup(value.html)  # noqa: S704 -- made by our own mappers, which escape all text


def _meaning(code: str | None, name: str) -> str:
    """What a code of a code list means, or the code itself."""
    row = codes(name).get((code or "").casefold())
    return row["meaning"] if row else code or ""


def _is_web_address(value: str) -> bool:
    try:
        address = urlsplit(value)
    except ValueError:
        return False
    return address.scheme in ("http", "https") and bool(address.netloc)


_ENVIRONMENT = Environment(
    loader=PackageLoader("gtgateway.mappers"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(
    day=_day, moment=_moment, instant=_instant, number=_number, formatted=_formatted, meaning=_meaning
)
_ENVIRONMENT.tests["web_address"] = _is_web_address
_ENVIRONMENT.globals.update(
    HEADINGS=HEADINGS,
    FLAGS=FLAGS,
    DEADLINES=_DEADLINES,
    ROLES=_ROLES,
    LEVELS=LEVELS,
    MEANINGS=_MEANINGS,
    CONFIDENCES=_CONFIDENCES,
    IDENTIFIER_KINDS=_IDENTIFIER_KINDS,
)
_TEMPLATE = _ENVIRONMENT.get_template("plan.html")
