"""Dates in the hospital's own words: the free-text start deadline (§ 3) and the text about the end of the contact.

What is read is always shown with the words it was read from and how sure the reading is; only high confidence moves a
clock (GOP-DATE-04 warns of the rest). The words are data: `codes/deadline_phrases.toml`.

How a text is read: it is cut into tokens once (dates, spans of days, known phrases, other words), then each sentence is
walked. A date takes its meaning from the cue before it ("senest", "tidligst", "fra") and is left out when the sentence
is about something else (a check-up, an operation, the discharge). A date beside "opstart", or one that is all the text
says, is the deadline, since that is what the field is for; GOP-DATE-10 warns where it may have been meant as deferral.
"""

from __future__ import annotations

import re
import tomllib
from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from importlib.resources import files
from typing import Any, NamedTuple

from gtgateway.law.calendar import Calendar
from gtgateway.model.findings import quote
from gtgateway.model.plan import Confidence, UnderstoodDate

#: Longer texts are not deadlines; they are not read (confidence none).
TEXT_LIMIT = 10_000
#: A date without a year is trusted when the next such day is this near after the discharge.
NEAR_DAYS = 92
#: A deadline later than this after the discharge is doubtful (a slip in the year).
FAR_DAYS = 731
#: Words that may stand between a cue of the sentence and its date.
CUE_REACH = 6
#: "ikke" counts for a cue at most this many words later ("må ikke påbegyndes i kommunen før").
NEGATION_REACH = 4


@dataclass(frozen=True, slots=True)
class DeadlineReading:
    """What a deadline text says. `latest` and `earliest` only with high confidence.

    `confidence` is that of the surest part; what is doubtful beside it stands in `understood` and moves nothing.
    """

    latest: date | None = None
    earliest: date | None = None
    deferral_stated: bool = False
    understood: tuple[UnderstoodDate, ...] = ()
    confidence: Confidence = Confidence.NONE


@dataclass(frozen=True, slots=True)
class _Cue:
    """An entry of the phrase table, see there."""

    meaning: str
    in_sentence: bool
    shift: int
    negated: str | None
    alone: bool


class _Token(NamedTuple):
    kind: str
    start: int
    end: int
    match: re.Match[str]


# --- the token pattern, made once from the phrase table ---------------------------------------------------------------
_TABLE: dict[str, Any] = tomllib.loads(
    files("gtgateway.mappers").joinpath("codes/deadline_phrases.toml").read_text(encoding="utf-8")
)
_CUES = {
    f"cue{index}": _Cue(
        entry["meaning"],
        entry["reach"] == "sentence",
        entry.get("shift", 0),
        entry.get("negated"),
        entry.get("alone", False),
    )
    for index, entry in enumerate(_TABLE["cue"])
}
_UNITS = {word: unit for unit, words in _TABLE["units"].items() for word in words}
_MONTHS = {word: int(number) for number, words in _TABLE["months"].items() for word in words}
_WEEKDAYS: list[str] = _TABLE["weekdays"]["names"]
_NUMBERS: dict[str, int] = _TABLE["numbers"]
_WORKING_DAYS = Calendar(())


def _any(phrases: Iterable[str]) -> str:
    """A pattern that matches any of the phrases as whole words, the longest first."""

    def one(phrase: str) -> str:
        pattern = re.escape(phrase).replace(r"\ ", " ").replace(r"\*", r"\w*")
        return pattern if phrase.endswith(".") else pattern + r"(?!\w)"

    return "|".join(one(phrase) for phrase in sorted(phrases, key=len, reverse=True))


_YEAR = r"(?:\d{4}|\d{2})(?![.:/-]?\d)"
_MEASURE = r"(?! ?(?:%|°|kg|cm|mm|mg|g|ml|l|km|m|x|af|gange|grader|meter|liter|tim|uge|dag|måned)(?!\w)| ?time)"
_DATE = (
    rf"\d{{4}}[-./]\d{{1,2}}[-./]\d{{1,2}}(?!\d)"
    rf"|\d{{1,2}} ?[./-] ?\d{{1,2}} ?[./-] ?{_YEAR}"
    rf"|\d{{1,2}}\.? ?(?:{_any(_MONTHS)})(?:\.?,? ?'?{_YEAR})?"
    rf"|\d{{1,2}}(?: ?/ ?|\.)\d{{1,2}}(?![\d:/])(?!\.\d){_MEASURE}"
)
_FIRST = rf"{_DATE}|\d{{1,2}}\.?"
_UNTIL = r"(?: ?[-–—] ?| til og med | t\.?o\.?m\.? | til )"
_DAY_WORD = r"(?:d\. ?|den )?"
_NUMBER = r"\d{1,3}|" + "|".join(sorted(_NUMBERS, key=len, reverse=True))
_FRESH = r"(?<!\w)(?<!\d[.,/-])"  # not inside a longer number
_DIGITS = "0123456789"
_SHAPES = {
    "stop": (".!?;\n", r"[.!?;](?=\s|$)|\n"),
    "open": ("(", r"\("),
    "close": (")", r"\)"),
    "comma": (",", ","),
    "clock": ("k", r"kl(?:\. ?| )?\d{1,2}(?:[.:]\d{2})?(?!\d)"),
    "range": (
        _DIGITS + "im",
        rf"{_FRESH}(?:i?mellem {_DAY_WORD}(?P<low>{_FIRST}) og {_DAY_WORD}(?P<high>{_DATE})"
        rf"|(?P<first>{_FIRST}){_UNTIL}{_DAY_WORD}(?P<last>{_DATE}))",
    ),
    "amount": (
        _DIGITS + "".join(word[0] for word in _NUMBERS),
        rf"{_FRESH}(?P<count>{_NUMBER})(?: ?(?:-|–|til|eller) ?(?P<upto>{_NUMBER}))?[ -]?(?P<unit>{_any(_UNITS)})"
        r"(?! (?:om|i|pr\.?|per) (?:ugen|dagen|måneden|uge|dag)(?!\w)| ugentlig| daglig)",
    ),
    "date": (_DIGITS, rf"{_FRESH}(?:{_DATE})"),
    "week": ("u", r"uge(?:rne)? ?(?:nr\.? ?)?\d{1,2}(?: ?[-–/] ?\d{1,2})?(?!\w)"),
    "weekday": ("mtofls", rf"(?P<weekday_name>{'|'.join(_WEEKDAYS)})(?:en|s)?(?!\w)"),
    "month": ("jfmasond", rf"(?:{_any(word for word in _MONTHS if len(word) > 3)})(?: \d{{4}})?"),
}
_WORDS, _SUBJECT = _TABLE["words"], _TABLE["subject"]
#: Phrases by the kind of token they make; where two kinds fit, the first one wins.
_PHRASES: dict[str, list[str]] = {
    "vague": _WORDS["vague"],
    "unsure": _WORDS["unsure"],
    "from_discharge": _WORDS["from_discharge"],
    "from_other": _WORDS["from_other"],
    **{name: entry["phrases"] for name, entry in zip(_CUES, _TABLE["cue"], strict=True)},
    "denial": _WORDS["denial"],
    "negation": _WORDS["negation"],
    "start_word": _SUBJECT["start"],
    "discharge": _SUBJECT["discharge"],
    "other": _SUBJECT["other"],
    "reason": _WORDS["reason"],
    "quiet": _WORDS["quiet"],
    "abbreviation": _WORDS["abbreviations"],
}


def _beginning_with(letter: str) -> re.Pattern[str]:
    """The tokens that can begin with a letter, as named groups (one pattern for all letters takes twice the time)."""
    kinds = {kind: pattern for kind, (letters, pattern) in _SHAPES.items() if letter in letters}
    for kind, phrases in _PHRASES.items():
        if fitting := [phrase for phrase in phrases if phrase[0] in (letter, "*")]:
            kinds[kind] = _any(fitting)
    return re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in (kinds | {"word": r"\w+"}).items()))


_FIRST_LETTERS = {phrase[0] for phrases in _PHRASES.values() for phrase in phrases}
_TOKEN = {
    letter: _beginning_with(letter)
    for letter in _FIRST_LETTERS.union(*(letters for letters, _ in _SHAPES.values())) - {"*"}
}
_OTHER_TOKEN = _beginning_with("*")
_PARTS = re.compile(
    r"(?P<iso_year>\d{4})[-./](?P<iso_month>\d{1,2})[-./](?P<iso_day>\d{1,2})"
    r"|(?P<day>\d{1,2})[ ./-]*(?P<month>\d{1,2}|[^\W\d]+)?(?:[ .,/'-]+(?P<year>\d{4}|\d{2}))?"
)


def read_deadline(text: str, discharged_on: date | None) -> DeadlineReading:
    """Read a text like "Opstart tidligst 28.03.2027 (sårheling)" or "inden 5 hverdage". Never raises.

    Spans of days count from the discharge date unless the text names another day; of a range the first day is the
    deferral and the last the deadline. Without a discharge date spans and dates without a year stay without a day.
    """
    if len(text) > TEXT_LIMIT:
        return DeadlineReading(understood=(UnderstoodDate("latest", None, quote(text[:200]), Confidence.NONE),))
    reader = _DeadlineReader(*_prepared(text), discharged_on)
    understood = _settled(reader.read())
    sure = [entry for entry in understood if entry.confidence is Confidence.HIGH]
    if sure:
        confidence = Confidence.HIGH
    else:
        confidence = Confidence.DOUBTFUL if understood else Confidence.NONE
    return DeadlineReading(
        latest=next((entry.day for entry in sure if entry.meaning == "latest"), None),
        earliest=next((entry.day for entry in sure if entry.meaning == "earliest"), None),
        deferral_stated=reader.deferral_stated or any(entry.meaning == "earliest" for entry in sure),
        understood=understood,
        confidence=confidence,
    )


def read_discharge(text: str) -> UnderstoodDate | None:
    """The day in a text about the end of the contact ("Forventes udskrevet d. 20. december 2027 kl. 10").

    None when it names no day. Several days, a day without a year, one that does not exist or one that is only
    approximate are doubtful and without a day. Never raises.
    """
    if len(text) > TEXT_LIMIT:
        return None
    spoken, lowered = _prepared(text)
    found: list[tuple[str, date | None]] = []
    elsewhere = approximate = False
    for token in _tokens(lowered):
        match token.kind:
            case "stop":
                elsewhere = False
            case "discharge":
                elsewhere = False
            case "other" | "start_word" | "from_other":
                elsewhere = True
            case "unsure":
                approximate = approximate or not token.match.group().startswith("forvent")
            case "range" if not elsewhere:
                found.append((spoken[token.start : token.end], None))
            case "date" if not elsewhere:
                found.append((spoken[token.start : token.end], _day(token.match.group(), None)[0]))
    if not found:
        return None
    words = quote(" … ".join(dict.fromkeys(words for words, _ in found)))
    days = {day for _, day in found}
    day = days.pop() if len(days) == 1 else None
    if day is None or approximate:
        return UnderstoodDate("discharge", None, words, Confidence.DOUBTFUL)
    return UnderstoodDate("discharge", day, words, Confidence.HIGH)


def _prepared(text: str) -> tuple[str, str]:
    """The text with its white space collapsed (a colon joins its line with the next), as written and in lower case."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    spoken = "\n".join(line for line in lines if line).replace(":\n", ": ")
    lowered = spoken.lower()
    return spoken, lowered if len(lowered) == len(spoken) else spoken


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        match = _TOKEN.get(text[position], _OTHER_TOKEN).match(text, position)
        if match is None:
            position += 1
            continue
        position = match.end()
        yield _Token(match.lastgroup or "", match.start(), position, match)


def _calendar_day(year: int, month: int, day: int) -> date | None:
    """That date, or None when there is none or it is centuries away."""
    try:
        return date(year, month, day) if 1900 < year < 2200 else None
    except ValueError:
        return None


def _day(words: str, discharged_on: date | None, like: str = "") -> tuple[date | None, bool]:
    """The date that words such as "14/3-27" name, and whether it is sure.

    `like` is the last day of a range, which lends the first its month and year.
    """
    parts, lender = _PARTS.match(words), _PARTS.match(like)
    if parts is None:
        return None, False
    if parts["iso_year"]:
        return _calendar_day(int(parts["iso_year"]), int(parts["iso_month"]), int(parts["iso_day"])), True
    month_words = parts["month"] or (lender and (lender["month"] or lender["iso_month"])) or ""
    year_words = parts["year"] or (lender and (lender["year"] or lender["iso_year"]))
    month = int(month_words) if month_words.isdigit() else _MONTHS.get(month_words, 0)
    day = int(parts["day"])
    if year_words:
        year = int(year_words)
        return _calendar_day(year + 2000 if year < 100 else year, month, day), True
    if discharged_on is None:
        return None, False
    this_year = _calendar_day(discharged_on.year, month, day)
    if this_year is None or this_year < discharged_on:
        this_year = _calendar_day(discharged_on.year + 1, month, day)
    return this_year, this_year is not None and (this_year - discharged_on).days <= NEAR_DAYS


def _later(day: date, count: int, unit: str) -> date | None:
    """`count` units after `day`; None past the end of the calendar. Part of a day counts as none."""
    try:
        match unit:
            case "working_days":
                for _ in range(count):
                    day += timedelta(days=1)
                    while not _WORKING_DAYS.is_working_day(day):
                        day += timedelta(days=1)
                return day
            case "months":
                year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
                return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
            case _:
                return day + timedelta(days={"days": count, "weeks": 7 * count, "hours": count // 24}[unit])
    except (OverflowError, ValueError):
        return None


def _settled(entries: Sequence[UnderstoodDate]) -> tuple[UnderstoodDate, ...]:
    """Each reading once; two different sure days of one meaning contradict each other, so both are doubtful."""
    distinct = {(entry.meaning, entry.day, entry.confidence): entry for entry in reversed(entries)}
    kept = [entry for entry in entries if distinct[entry.meaning, entry.day, entry.confidence] is entry]
    sure = {meaning: set[date]() for meaning in ("latest", "earliest")}
    for entry in kept:
        if entry.confidence is Confidence.HIGH and entry.day:
            sure[entry.meaning].add(entry.day)
    return tuple(
        replace(entry, confidence=Confidence.DOUBTFUL) if len(sure[entry.meaning]) > 1 else entry for entry in kept
    )


@dataclass(slots=True)
class _Role:
    """A cue met in a sentence, until a date answers it."""

    cue: _Cue
    meaning: str
    shift: int
    token: _Token
    elsewhere: bool  #: said while the sentence was about something else
    under: _Role | None = None  #: the cue just before it: "tidligst" in "tidligst fra"
    words_since: int = 0
    answered: bool = False


class _DeadlineReader:
    """Walks the tokens of one text. `read` gives what was understood, in the order of the text."""

    def __init__(self, spoken: str, lowered: str, discharged_on: date | None) -> None:
        self._spoken = spoken
        self._tokens = list(_tokens(lowered))
        self._discharged_on = discharged_on
        #: nothing but dates, cues and small words: then a bare date is what the field is for
        self._bare = not any(token.kind in ("word", "other", "discharge") for token in self._tokens)
        self._entries: list[UnderstoodDate] = []
        self._unanswered: list[UnderstoodDate] = []
        self.deferral_stated = False
        self._begin_sentence()

    def _begin_sentence(self) -> None:
        self._elsewhere = False  # the sentence is about something else than the start of training
        self._started = False  # the start of training has been named
        self._unsure = False
        self._roles: list[_Role] = []
        self._negation: _Token | None = None
        self._words_since_negation = 0
        self._event: _Token | None = None  # "efter operation": a date that follows at once is the operation's
        self._weekday: _Token | None = None
        self._outside: list[bool] = []  # what the text around an open parenthesis is about

    def read(self) -> list[UnderstoodDate]:
        index = 0
        while index < len(self._tokens):
            token = self._tokens[index]
            index = self._take(index, token)
        self._end_sentence(len(self._spoken))
        known = {entry.meaning for entry in self._entries if entry.day}
        return self._entries + [entry for entry in self._unanswered if entry.meaning not in known]

    def _take(self, index: int, token: _Token) -> int:
        """Handle the token at `index`; the index of the next one to handle."""
        kind = token.kind
        match kind:
            case "stop":
                self._end_sentence(token.start)
                self._begin_sentence()
            case "open":
                self._outside.append(self._elsewhere)
            case "close":
                self._elsewhere = self._outside.pop() if self._outside else self._elsewhere
            case "comma":
                self._unsure = False
                self._negation = None
            case "unsure":
                self._unsure = True
            case "negation":
                self._negation, self._words_since_negation = token, 0
            case "start_word":
                self._started, self._elsewhere = True, False
                for role in self._roles:
                    role.elsewhere = False
                self._count_word()
            case "other" | "discharge":
                self._elsewhere = True
                self._count_word()
            case "from_other" | "from_discharge":
                self._count_word()
                self._event = token
            case "denial":
                for role in self._roles:
                    role.answered = True
            case "word" | "abbreviation":
                self._count_word()
            case "weekday":
                self._weekday = token
                if not self._date_follows(index + 1):
                    self._note_vague(token)
            case "week" | "vague" | "month":
                self._note_vague(token)
            case "date" | "range":
                self._take_date(index, token)
            case "amount":
                return self._take_amount(index, token)
            case _ if kind in _CUES:
                self._take_cue(token)
        return index + 1

    def _count_word(self) -> None:
        self._event = None
        self._words_since_negation += 1
        for role in self._roles:
            role.words_since += 1

    # --- cues ---------------------------------------------------------------------------------------------------------
    def _take_cue(self, token: _Token) -> None:
        self._event = None
        cue = _CUES[token.kind]
        if self._negation and self._words_since_negation <= NEGATION_REACH:
            if cue.negated is None:
                return
            cue = _Cue(cue.negated, True, 0, None, cue.negated == "earliest")
            token = token._replace(start=self._negation.start)
        meaning, shift = cue.meaning, cue.shift
        before = self._role()
        under = before if before and before.cue.in_sentence and before.words_since == 0 else None
        if under and not cue.in_sentence and under.meaning != meaning:
            meaning, shift = under.meaning, 0
        self._roles.append(_Role(cue, meaning, shift, token, self._elsewhere, under))

    def _role(self) -> _Role | None:
        """The cue that a date at this place answers."""
        for role in reversed(self._roles):
            if role.cue.in_sentence or role.words_since == 0:
                return role
        return None

    def _answer(self, role: _Role | None) -> None:
        if role:
            for other in self._roles:
                other.answered = other.answered or other.meaning == role.meaning
            if role.cue.meaning == "earliest" and role.cue.alone:
                self.deferral_stated = True

    def _end_sentence(self, end: int) -> None:
        for role in self._roles:
            if role.cue.alone and not role.answered and not role.elsewhere:
                words = quote(self._spoken[role.token.start : end])
                self._unanswered.append(UnderstoodDate(role.meaning, None, words, Confidence.DOUBTFUL))
                self.deferral_stated = self.deferral_stated or role.meaning == "earliest"

    def _add(self, meaning: str, day: date | None, role: _Role | None, last: _Token, *, sure: bool) -> None:
        """Note a reading with the words from its cue to its date."""
        near = role is not None and role.words_since <= CUE_REACH
        ahead = (day - self._discharged_on).days if day and self._discharged_on else 0
        # far ahead is a slip in the year; a day before the discharge that no cue claims is some other date
        sure = sure and day is not None and (near or role is None) and ahead <= FAR_DAYS and (near or ahead >= 0)
        start = (role.under or role).token.start if role and near else last.start
        words = quote(self._spoken[start : last.end])
        self._entries.append(UnderstoodDate(meaning, day, words, Confidence.HIGH if sure else Confidence.DOUBTFUL))

    def _note_vague(self, token: _Token) -> None:
        """A time that names no day: "uge 12", "mandag", "i marts"."""
        role = self._role()
        if self._elsewhere or not (role or self._started or self._bare):
            return
        self._answer(role)
        self._add(role.meaning if role else "latest", None, role, token, sure=False)

    # --- dates --------------------------------------------------------------------------------------------------------
    def _date_follows(self, index: int) -> bool:
        """A date comes next, with nothing but small words between."""
        for token in self._tokens[index:]:
            if token.kind not in ("quiet", "clock", "weekday", "open"):
                return token.kind in ("date", "range")
        return False

    def _rest_of_phrase(self, index: int) -> Iterator[_Token]:
        """The tokens after a date as far as they say something about it."""
        for token in self._tokens[index + 1 :]:
            if token.kind in ("stop", "comma", "reason", "date", "range", "amount", "open", "start_word", *_CUES):
                return
            yield token

    def _take_date(self, index: int, token: _Token) -> None:
        role, event, weekday = self._role(), self._event, self._weekday
        self._event = self._weekday = None
        if self._elsewhere or event:
            # "tidligst efter kontrol 14/3" leaves its cue unanswered; "kontrol senest 14/3" does not
            for each in self._roles:
                each.answered = each.answered or each.elsewhere
            return
        following = {token.kind for token in self._rest_of_phrase(index)}
        if not self._started and following & {"other", "discharge"}:
            if role:
                self._answer(role)
                self._add(role.meaning, _day(token.match.group(), self._discharged_on)[0], role, token, sure=False)
            return
        if not (role or self._started or self._bare):
            return
        self._answer(role)
        sure = not self._unsure and "unsure" not in following
        if token.kind == "range":
            self._add_range(token, role, sure=sure)
            return
        day, near = _day(token.match.group(), self._discharged_on)
        if day and weekday and weekday.match["weekday_name"] != _WEEKDAYS[day.weekday()]:
            sure = False
        if day and role:
            day += timedelta(days=role.shift)
        self._add(role.meaning if role else "latest", day, role, token, sure=sure and near)

    def _add_range(self, token: _Token, role: _Role | None, *, sure: bool) -> None:
        low = token.match["low"] or token.match["first"]
        high = token.match["high"] or token.match["last"]
        first, first_near = _day(low, self._discharged_on, like=high)
        last, last_near = _day(high, self._discharged_on)
        self._add_span(first, last, role, token, sure=sure and first_near and last_near)

    def _add_span(
        self, first: date | None, last: date | None, role: _Role | None, token: _Token, *, sure: bool
    ) -> None:
        """First and last day of a range: deferral and deadline, unless "senest" or "tidligst" asks for one only."""
        sure = sure and first is not None and last is not None and first <= last
        asked = role.meaning if role and (role.cue.in_sentence or role.under) else None
        if asked != "latest":
            self._add("earliest", first, role, token, sure=sure)
        if asked != "earliest":
            self._add("latest", last, role, token, sure=sure)

    # --- spans of days ------------------------------------------------------------------------------------------------
    def _take_amount(self, index: int, token: _Token) -> int:
        """A span ("6-8 uger") with what it counts from; the index after both."""
        named, base, end = self._base(index + 1)
        role = self._role()
        asks = role is not None or named or self._bare or self._started
        if self._elsewhere or not asks:
            for each in self._roles:
                each.answered = each.answered or each.elsewhere
            return end
        last_token = self._tokens[end - 1]
        whole = token._replace(end=max(token.end, last_token.end))
        unit = _UNITS[token.match["unit"]]
        counts = [self._number(word) for word in (token.match["count"], token.match["upto"]) if word]
        days = [base and _later(base, count, unit) for count in counts]
        hedged = self._unsure or any(each.kind == "unsure" for each in self._rest_of_phrase(end - 1))
        sure = not hedged and bool(role or named)
        self._answer(role)
        if base is None:
            self._elsewhere = True  # a date further on in the sentence is that other day
        if len(days) == 2:
            self._add_span(days[0], days[1], role, whole, sure=sure)
            return end
        meaning = role.meaning if role else "latest"
        if role is None and self._negation:  # "ikke opstart de første 6 uger"
            meaning, sure, self.deferral_stated = "earliest", False, True
        if role and meaning == "earliest" and not role.cue.alone and not role.under:
            # "om 3 dage" may be meant as a deadline: a deferral inside the seven days is not read out of it
            sure = sure and base is not None and days[0] is not None and (days[0] - base).days > 7
        self._add(meaning, days[0], role, whole, sure=sure)
        return end

    @staticmethod
    def _number(word: str) -> int:
        return int(word) if word.isdigit() else _NUMBERS[word]

    def _base(self, index: int) -> tuple[bool, date | None, int]:
        """What a span counts from: whether it is named, the day, and the index after its words.

        Unnamed it is the discharge date; named without a readable day ("efter operationen") it is None.
        """
        if index >= len(self._tokens):
            return False, self._discharged_on, index
        token = self._tokens[index]
        after = token.kind in _CUES and token.match.group() in ("efter", "fra")
        if not after and token.kind not in ("from_discharge", "from_other"):
            return False, self._discharged_on, index
        next_index = index + 1
        if self._date_follows(next_index):
            while self._tokens[next_index].kind not in ("date", "range"):
                next_index += 1
            return True, _day(self._tokens[next_index].match.group(), self._discharged_on)[0], next_index + 1
        return True, self._discharged_on if token.kind == "from_discharge" else None, next_index
