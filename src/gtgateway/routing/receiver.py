"""Is the stated receiver an organisation that exists, under its own number? (MedCom RefuseCode LOK and MID)"""

from __future__ import annotations

from datetime import date

from gtgateway.model import faults
from gtgateway.model.findings import Finding
from gtgateway.model.message import Trace
from gtgateway.model.plan import RehabilitationPlan
from gtgateway.routing.directory import Directory


def check_receiver(plan: RehabilitationPlan, directory: Directory, day: date, trace: Trace) -> tuple[Finding, ...]:
    """Unknown location number, or an identifier that belongs to another organisation. At most one finding.

    An organisation that the directory knows but the order does not name is GOP-ROUTE-08, not this.
    """
    receiver = plan.receiver
    if receiver is None or receiver.gln is None:
        return ()  # the core has said so already
    if not directory.knows_gln(receiver.gln):
        return (faults.MSG_RECEIVER_UNKNOWN.at("receiver.gln", *trace.locate("receiver.gln"), gln=receiver.gln),)
    if directory.identifier_conflict(receiver, day):
        stated = ", ".join(identifier.value for identifier in receiver.identifiers)
        place = trace.locate("receiver.identifiers")
        return (faults.MSG_RECEIVER_ID.at("receiver.identifiers", *place, identifier=stated, gln=receiver.gln),)
    return ()
