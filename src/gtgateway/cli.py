"""The command line. Every command works on the same objects as the gateway.

What only the server needs is imported where the server starts: `check` and `convert` answer sooner without it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, NoReturn
from urllib.parse import quote

import orjson
import typer

from gtgateway import catalogue, samples
from gtgateway.bootstrap import gateway_from, store_from, tools_from
from gtgateway.convert import Target, converted, kl_report
from gtgateway.desk import DeskError, delivery_lines, desk_at, message_lines, path_lines
from gtgateway.errors import ConfigurationError
from gtgateway.law.orders import Orders
from gtgateway.logs import configure_logs
from gtgateway.mappers.assessment_from_outcome import assessments
from gtgateway.mappers.json_from_model import to_data
from gtgateway.model.findings import Severity
from gtgateway.model.outcome import Outcome, Verdict
from gtgateway.model.plan import COPENHAGEN, Level
from gtgateway.pipeline import Regard, assess
from gtgateway.routing.directory import Directory
from gtgateway.routing.endpoints import is_loopback
from gtgateway.settings import Settings, load_settings

cli = typer.Typer(
    name="gtgateway",
    help="A gateway for Danish rehabilitation plans (genoptræningsplaner).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
directory_cli = typer.Typer(help="The organisation directory.", no_args_is_help=True)
cli.add_typer(directory_cli, name="directory")
messages_cli = typer.Typer(
    help="Search, trace and dead letters of a running gateway; the token is in GTGATEWAY_TOKEN.", no_args_is_help=True
)
cli.add_typer(messages_cli, name="messages")


def main() -> None:
    """Run a command; a configuration fault is one sentence and exit code 2."""
    try:
        cli()
    except (ConfigurationError, DeskError) as error:
        fail(str(error))


def fail(sentence: str, code: int = 2) -> NoReturn:
    typer.echo(sentence, err=True)
    raise SystemExit(code)


def settings_with_samples(**overrides: str) -> Settings:
    """Settings for commands that need no directory of their own; says so when the sample one is used."""
    settings = load_settings(None, **overrides)
    if settings.directory is None:
        typer.echo("Using the packaged sample directory (GTGATEWAY_DIRECTORY is not set).", err=True)
    return settings


# --- run --------------------------------------------------------------------------------------------------------------


@cli.command()
def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes; more than one needs PostgreSQL.")] = 1,
    dev: Annotated[bool, typer.Option("--dev", help="Sample directory and dev:<GLN> tokens; loopback only.")] = False,
) -> None:
    """The gateway."""
    import uvicorn

    from gtgateway.app import create_app

    settings = settings_with_samples() if dev else load_settings()
    if workers > 1 and settings.store.startswith("sqlite"):
        fail("The embedded store belongs to one process: --workers above 1 needs GTGATEWAY_STORE=postgresql://….")
    if workers > 1 and dev:
        fail("Development mode is one process: --dev without --workers.")
    if dev and not is_loopback(host):
        fail(f"Development mode answers on loopback only, not on {host}.")
    configure_logs(readable=dev)
    app = create_app(gateway_from(settings, development=dev))
    if dev:
        typer.secho("DEVELOPMENT MODE: anyone on this machine may act for any organisation.", fg="red", err=True)
    typer.echo(f"gtgateway on http://{host}:{port}", err=True)
    uvicorn.run(
        app if workers == 1 else "gtgateway.worker:app_from_environment",
        factory=workers > 1,
        workers=workers,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
    )


@cli.command()
def deliver() -> None:
    """A delivery worker of its own, beside `serve` with GTGATEWAY_DELIVER=false."""
    import asyncio

    from gtgateway.worker import deliver_until_stopped

    settings = load_settings()
    if settings.store.startswith("sqlite"):
        fail("The embedded store belongs to one process: a separate deliver needs GTGATEWAY_STORE=postgresql://….")
    configure_logs(readable=False)
    asyncio.run(deliver_until_stopped(gateway_from(settings, serving=False)))


@cli.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End when every step is done.")] = False,
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
) -> None:
    """Watch real plans travel from a hospital to a municipality."""
    from gtgateway.demo import run_demo

    raise SystemExit(run_demo(settings_with_samples, once=once, port=port))


@cli.command()
def migrate() -> None:
    """Bring the archive of GTGATEWAY_STORE to the newest schema."""
    import asyncio

    store = store_from(load_settings())

    async def open_and_close() -> None:
        await store.open()
        await store.close()

    asyncio.run(open_and_close())
    typer.echo("The archive has the newest schema.")


# --- messages ---------------------------------------------------------------------------------------------------------

ReceivedAt = Annotated[
    str | None, typer.Option("--received-at", help="Fixes the time of receipt, so that a result can be reproduced.")
]
Archive = Annotated[bool, typer.Option("--archive", help="Judge plans of earlier orders by their own order.")]


@cli.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Message files.")],
    json: Annotated[bool, typer.Option("--json", help="One JSON array, one object per letter.")] = False,
    received_at: ReceivedAt = None,
    order: Annotated[
        str | None, typer.Option(help="Judge by this order as if it were in force, e.g. BEK-2027.")
    ] = None,
    archive: Archive = False,
) -> None:
    """The full assessment of message files; nothing is stored.

    Exit 0 all accepted, 1 some rejected, 2 some unreadable.
    """
    tools = tools_from(settings_with_samples())
    at = instant(received_at)
    regard = Regard.ARCHIVE if archive else Regard.LIVE
    outcomes = [(file, assess(content(file), tools, at, regard=regard, order_id=order)) for file in files]
    if json:
        everything = [each for _, outcome in outcomes for each in assessments(outcome)]
        print_json(everything)
    else:
        for file, outcome in outcomes:
            show(file, outcome)
    verdicts = {outcome.verdict for _, outcome in outcomes}
    raise SystemExit(2 if Verdict.UNREADABLE in verdicts else 1 if Verdict.REJECTED in verdicts else 0)


_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFORMATION: "blue"}


def show(file: Path, outcome: Outcome) -> None:
    """A message for people: the verdict, then one line per finding, then what follows."""
    colour = "green" if outcome.verdict is Verdict.ACCEPTED else "red"
    name = outcome.reading.format_name or "?"
    typer.echo(f"{file}: {typer.style(outcome.verdict.upper(), fg=colour, bold=True)} ({name})")
    for letter in outcome.letters:
        order = f", {letter.order_id} ({letter.order_basis})" if letter.order_id else ""
        typer.echo(f"  brev {letter.letter.head.letter_id}: {letter.verdict}{order}")
    for finding in outcome.all_findings:
        place = finding.source_path or finding.path
        line = f":{finding.line}" if finding.line else ""
        basis = f" ({finding.basis})" if finding.basis else ""
        severity = typer.style(f"{finding.severity:<11}", fg=_COLOURS[finding.severity])
        typer.echo(f"  {finding.rule:<15} {severity} {place}{line}  {finding.text.da}{basis}")
    for letter in outcome.letters:
        if letter.route and letter.verdict is Verdict.ACCEPTED:
            for entry in letter.route.entries:
                sent = "" if entry.deliver else ", sendes ikke"
                typer.echo(f"  → {entry.role:<11} {entry.organisation.name} ({entry.basis}{sent})")
        if letter.deadlines and letter.verdict is Verdict.ACCEPTED:
            typer.echo(f"  ⏱ {letter.deadlines.explanation.da}")


@cli.command()
def convert(
    file: Annotated[Path, typer.Argument(help="A message file.")],
    to: Annotated[Target, typer.Option(help="The format to make.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to write; standard output if not given.")
    ] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Show, per field, the source path it came from.")] = False,
    received_at: ReceivedAt = None,
    archive: Archive = False,
) -> None:
    """A message in another format (its first plan); nothing is stored. Exit 1 when it cannot be made."""
    at = instant(received_at)
    tools = tools_from(settings_with_samples())
    outcome = assess(content(file), tools, at, regard=Regard.ARCHIVE if archive else Regard.LIVE)
    made = converted(outcome, to, tools.directory)
    if made is None:
        show(file, outcome)
        fail(f"{file} cannot be converted to {to}.", 2 if outcome.verdict is Verdict.UNREADABLE else 1)
    if output:
        output.write_bytes(made)
    else:
        typer.echo(made, nl=False)
    letter = outcome.letters[0]
    if to is Target.KL_REPORT and letter.letter.plan and letter.record:
        for each in kl_report(letter.letter.plan, letter.record, "", at, tools.directory).left_out:
            typer.echo(f"udeladt: {each.element} ({each.reason.da})", err=True)
    if trace:
        for row in outcome.letters[0].letter.trace.rows:
            typer.echo(f"{row.target:<48} {row.source_path}:{row.line}", err=True)


@cli.command()
def sample(
    level: Level = Level.ALMEN,
    discharged: Annotated[str | None, typer.Option(help="Day of discharge, yyyy-mm-dd; today if not given.")] = None,
    format: Annotated[Target, typer.Option(help="ggop, xdis91, fhir or fhir-xml.")] = Target.GGOP,
    seed: int = 0,
    count: Annotated[int, typer.Option(min=1)] = 1,
    faults: Annotated[str | None, typer.Option(help="Plant the fault that this rule finds.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A folder: one file each.")] = None,
) -> None:
    """Valid synthetic plans with official test persons; the same arguments give the same plans."""
    if faults is not None and faults not in samples.FAULTS:
        fail(f"Faults that can be planted: {', '.join(samples.FAULTS)}.")
    day = date.fromisoformat(discharged) if discharged else datetime.now(COPENHAGEN).date()
    if output is None and count > 1:
        fail("Several samples need a folder: -o DIR.")
    for number in range(count):
        body = samples.sample_message(level, day, format, number=number, seed=seed, fault=faults)
        if output is None:
            typer.echo(body, nl=False)
        else:
            output.mkdir(parents=True, exist_ok=True)
            (output / f"{level}-{day}-{seed}-{number:04d}.{'json' if format is Target.FHIR else 'xml'}").write_bytes(
                body
            )


def content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"{file}: {error.strerror}.")


def instant(text: str | None) -> datetime:
    """A point in time; without zone it is Danish time; none is now."""
    if text is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text} is not a time; write for example 2026-11-25T10:30.")
    return found if found.tzinfo else found.replace(tzinfo=COPENHAGEN)


# --- catalogues -------------------------------------------------------------------------------------------------------

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable.")]


@cli.command()
def rules(
    rule: Annotated[str | None, typer.Argument(help="One rule, e.g. GOP-ROUTE-04.")] = None, json: AsJson = False
) -> None:
    """The rule catalogue."""
    found = [
        each for each in catalogue.rules(Orders.load(load_settings().orders)) if rule is None or each["id"] == rule
    ]
    if not found:
        fail(f"There is no rule {rule}.", 1)
    if json:
        print_json(found)
        return
    for each in found:
        typer.echo(catalogue.rule_lines(each, full=rule is not None))


@cli.command()
def orders(json: AsJson = False) -> None:
    """The orders: from when to when each is in force, and who receives what."""
    found = catalogue.orders(Orders.load(load_settings().orders))
    if json:
        print_json(found)
        return
    for each in found:
        typer.echo(catalogue.order_lines(each))


@cli.command()
def mappings(
    name: Annotated[str | None, typer.Argument(help="One mapping, e.g. plan_from_medcom_xml.")] = None,
    json: AsJson = False,
) -> None:
    """The mapping tables: which element becomes which field."""
    found = {key: rows for key, rows in catalogue.mappings().items() if name in (None, key)}
    if not found:
        fail(f"There is no mapping {name}; there are: {', '.join(catalogue.mappings())}.", 1)
    if json:
        print_json(found)
        return
    for key, rows in found.items():
        typer.echo(key)
        for row in rows:
            typer.echo(f"  {row['target'] or '—':<46} {row['source']}  {row['note'] or ''}".rstrip())


@directory_cli.command("check")
def directory_check(file: Annotated[Path, typer.Argument(help="A directory file or folder.")]) -> None:
    """Every fault of a directory, or what it holds, and who can only pull. Exit 2 when it cannot be used."""
    found = Directory.load(file)
    typer.echo(f"{file}: {len(found.all)} organisations, {len(found.endpoints)} end-points, no faults.")
    for each in found.unreachable:
        typer.echo(f"  {each.id} takes {each.receives}, but has no end-point: it can only pull.")


# --- operation --------------------------------------------------------------------------------------------------------

Server = Annotated[str, typer.Option(help="Address of the running gateway.")]
Recipient = Annotated[str | None, typer.Option(help="Organisation by id, GLN or kommunekode:0461.")]
SenderGln = Annotated[str | None, typer.Option("--sender", help="GLN of the sender.")]
State = Annotated[str | None, typer.Option(help="State of a delivery.")]
Reason = Annotated[str | None, typer.Option(help="Reason code of a delivery, e.g. http_400.")]
Limit = Annotated[int, typer.Option(min=1, max=500)]
LOCAL = "http://127.0.0.1:8000"


@messages_cli.command("list")
def messages_list(
    id: Annotated[str | None, typer.Option(help="Of a message, envelope, letter, record, or of one of ours.")] = None,
    sender: SenderGln = None,
    patient: Annotated[bool, typer.Option("--patient", help="Ask for a CPR number, or read it from a pipe.")] = False,
    recipient: Recipient = None,
    state: State = None,
    verdict: Annotated[str | None, typer.Option(help="accepted or rejected.")] = None,
    rule: Annotated[str | None, typer.Option(help="That something was found by, e.g. GOP-ROUTE-04.")] = None,
    received_from: Annotated[str | None, typer.Option("--from", help="Time; without zone it is Danish.")] = None,
    received_until: Annotated[str | None, typer.Option("--until", help="Time; exclusive.")] = None,
    before: Annotated[str | None, typer.Option(help="Last message of the page before.")] = None,
    limit: Limit = 50,
    server: Server = LOCAL,
    json: AsJson = False,
) -> None:
    """Messages for which everything given holds, newest first."""
    with desk_at(server) as desk:
        found = desk.post(
            "/messages/search",
            message_id=id,
            sender_gln=sender,
            patient=citizens_number() if patient else None,
            recipient=recipient,
            state=state,
            verdict=verdict,
            rule=rule,
            received_from=instant(received_from).isoformat() if received_from else None,
            received_until=instant(received_until).isoformat() if received_until else None,
            before=before,
            limit=limit,
        )
    if json:
        print_json(found)
        return
    print_lines(message_lines(found["messages"]))
    if found["next"]:
        typer.echo(f"There may be more: --before {found['next']}", err=True)


@messages_cli.command("show")
def messages_show(
    message: Annotated[str, typer.Argument(help="Id of the message, as `list` shows it.")],
    server: Server = LOCAL,
    json: AsJson = False,
) -> None:
    """One message: its deliveries, and its whole path through the gateway."""
    place = f"/messages/{quote(message, safe='')}"
    with desk_at(server) as desk:
        found, path = desk.get(place), desk.get(f"{place}/timeline")
    if json:
        print_json({**found, "timeline": path["timeline"]})
        return
    print_lines(message_lines([{**found, "deliveries": {}}]))
    rules = sorted({f"{each['rule']} ({each['severity']})" for one in found["letters"] for each in one["findings"]})
    typer.echo(f"\nRules: {', '.join(rules) or '—'}\n")
    print_lines(delivery_lines(found["deliveries"]))
    typer.echo()
    print_lines(path_lines(path["timeline"]))


@messages_cli.command("dead-letters")
def messages_dead_letters(
    recipient: Recipient = None,
    sender: SenderGln = None,
    state: State = None,
    reason: Reason = None,
    before: Annotated[int | None, typer.Option(help="Last delivery of the page before.")] = None,
    limit: Limit = 50,
    server: Server = LOCAL,
    json: AsJson = False,
) -> None:
    """Deliveries that were refused or abandoned, newest first."""
    asked = {"recipient": recipient, "sender_gln": sender, "state": state, "reason": reason}
    with desk_at(server) as desk:
        found = desk.get("/dead-letters", **asked, before=before, limit=limit)
    if json:
        print_json(found)
        return
    print_lines(delivery_lines(found["deliveries"], of=True))
    if found["next"]:
        typer.echo(f"There may be more: --before {found['next']}", err=True)


Deliveries = Annotated[list[int] | None, typer.Argument(help="Ids of deliveries; without them a filter.")]
Who = Annotated[str, typer.Option(help="The person who does it.")]
Reasoned = Annotated[str, typer.Option("--why", help="Kept in the message's path; no citizen's number.")]
Expected = Annotated[int | None, typer.Option(help="With a filter: how many deliveries it matches.")]


def intervention(what: str, does: str) -> None:
    """Add a command that does something about deliveries."""

    @messages_cli.command(what, help=f"{does} Exit 1 when some could not be.")
    def intervene(
        who: Who,
        why: Reasoned,
        deliveries: Deliveries = None,
        recipient: Recipient = None,
        sender: SenderGln = None,
        state: State = None,
        reason: Reason = None,
        expected: Expected = None,
        server: Server = LOCAL,
        json: AsJson = False,
    ) -> None:
        asked = {"recipient": recipient, "sender_gln": sender, "state": state, "reason": reason}
        stated = {name: value for name, value in asked.items() if value is not None}
        if bool(deliveries) == (expected is not None) or (deliveries and stated):
            fail("Name deliveries by their ids, or with --expected how many the filter matches.")
        which = {"deliveries": deliveries} if deliveries else {"filter": stated, "expected": expected}
        with desk_at(server) as desk:
            answer = desk.post(f"/deliveries/{what}", **which, who=who, why=why)
        if json:
            print_json(answer)
        else:
            for name, ids in (("Done", answer["done"]), ("Not done", answer["not_done"])):
                if ids:
                    typer.echo(f"{name}: {', '.join(map(str, ids))}")
        raise SystemExit(1 if answer["not_done"] else 0)


intervention("retry", "Try dead letters again: the same message, unchanged.")
intervention("resend", "Send as a new message, also what was sent or delivered.")
intervention("abandon", "Give deliveries up that are not settled; their sender is told.")


def citizens_number() -> str:
    """Typed unseen, or the first line of standard input: as an argument it would stand in the list of processes."""
    if sys.stdin.isatty():
        number: str = typer.prompt("CPR", hide_input=True)
        return number
    return sys.stdin.readline().strip()


def print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def print_json(value: object) -> None:
    typer.echo(orjson.dumps(to_data(value), option=orjson.OPT_INDENT_2).decode())
