"""FastAPI + fhir.resources + sqlite3: reads a GGOP plan (or a FHIR Bundle), builds FHIR resources, stores and answers.

It checks that the type and the ability are there, and nothing else. No duplicates, no routing, no deadlines.
"""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

from fastapi import FastAPI, Request, Response
from fhir.resources.R4B.bundle import Bundle

app = FastAPI()
database = sqlite3.connect(os.environ["BENCH_STORE"], check_same_thread=False)
database.execute("PRAGMA journal_mode=WAL")
database.execute("PRAGMA synchronous=FULL")
database.execute("CREATE TABLE IF NOT EXISTS plan (id TEXT PRIMARY KEY, received TEXT, body BLOB, bundle TEXT)")
database.commit()

RECEIPT = """<?xml version="1.0" encoding="ISO-8859-1"?>
<Emessage xmlns="http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/"><Envelope><Identifier>{id}</Identifier>
</Envelope><{kind}Receipt><OriginalEmessage><OriginalEnvelopeIdentifier>{original}</OriginalEnvelopeIdentifier>
</OriginalEmessage></{kind}Receipt></Emessage>"""


def text(plan: ElementTree.Element, name: str) -> str:
    element = plan.find(f".//{{*}}{name}")
    return " ".join(" ".join(element.itertext()).split()) if element is not None else ""


def bundle_from(plan: ElementTree.Element) -> dict[str, Any]:
    """A message Bundle with the resources that a plan needs."""
    now = datetime.now(UTC).isoformat()
    patient, request, encounter = (f"urn:uuid:{uuid4()}" for _ in range(3))
    number = text(plan, "CivilRegistrationNumber") or text(plan, "AlternativeIdentifier")
    observations = [
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": name},
            "subject": {"reference": patient},
            "valueString": text(plan, name) or "-",
        }
        for name in (
            "PatientHealthSummary",
            "AbilityAtDischargeSummary",
            "RehabilitationNeedAndPotential",
            "PatientSafetyAspects",
        )
    ]
    conditions = [
        {
            "resourceType": "Condition",
            "subject": {"reference": patient},
            "code": {"coding": [{"system": "urn:oid:1.2.208.176.2.4.12", "code": code.text}]},
        }
        for code in plan.iterfind(".//{*}ICD10Diagnoses//{*}Code")
    ]
    resources: list[tuple[str, dict[str, Any]]] = [
        (
            f"urn:uuid:{uuid4()}",
            {
                "resourceType": "MessageHeader",
                "eventCoding": {"system": "urn:example:events", "code": "rehabilitation-plan"},
                "source": {"endpoint": "urn:example:source"},
                "focus": [{"reference": request}],
            },
        ),
        (
            patient,
            {
                "resourceType": "Patient",
                "identifier": [{"system": "urn:oid:1.2.208.176.1.2", "value": number}],
                "name": [{"family": text(plan, "PersonSurnameName") or "-"}],
            },
        ),
        (
            request,
            {
                "resourceType": "ServiceRequest",
                "status": "active",
                "intent": "order",
                "subject": {"reference": patient},
                "encounter": {"reference": encounter},
                "authoredOn": now,
                "category": [{"text": text(plan, "TypeOfRehabilitationPlan")}],
            },
        ),
        (
            encounter,
            {
                "resourceType": "Encounter",
                "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
                "subject": {"reference": patient},
            },
        ),
        *((f"urn:uuid:{uuid4()}", each) for each in (*observations, *conditions)),
    ]
    return {
        "resourceType": "Bundle",
        "type": "message",
        "timestamp": now,
        "entry": [{"fullUrl": url, "resource": resource} for url, resource in resources],
    }


@app.post("/messages")
async def receive(request: Request) -> Response:
    body = await request.body()
    if body[:1] == b"{":
        bundle, original = Bundle.model_validate_json(body), "-"
        good = True
    else:
        plan = ElementTree.fromstring(body)
        original = text(plan, "Identifier")
        bundle = Bundle.model_validate(bundle_from(plan))
        good = bool(text(plan, "TypeOfRehabilitationPlan") and text(plan, "AbilityAtDischargeSummary"))
    if good:
        database.execute(
            "INSERT INTO plan VALUES (?, ?, ?, ?)",
            (str(uuid4()), datetime.now(UTC).isoformat(), body, bundle.model_dump_json()),
        )
        database.commit()
    receipt = RECEIPT.format(id=uuid4().hex[:14], original=original, kind="Positive" if good else "Negative")
    return Response(receipt, 201 if good else 422, media_type="application/xml")
