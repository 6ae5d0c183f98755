"""A small builder of GGOP messages for tests: lawful unless told otherwise, with official test persons only.

ggop()                                     a lawful almen plan, discharged 2026-11-06
ggop(level="specialiseret", copies=[Role(…)])
ggop(sections={"ICD10Diagnoses": None})    without one section; text replaces the whole section
emessage(letter(letter_id="A"), letter(letter_id="B"))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from xml.sax.saxutils import escape

NS100 = "urn:oio:medcom:municipality:1.0.0"
NS104 = "urn:oio:medcom:municipality:1.0.4"

SENDER_GLN = "5790001354145"
RECEIVER_GLN = "5790000121441"
CPR = "2512489996"
DISCHARGED = date(2026, 11, 6)


@dataclass(frozen=True)
class Role:
    """An organisation in a role. `kind` is the IdentifierCode."""

    gln: str
    number: str
    kind: str = "kommunenummer"
    name: str | None = None
    department: str | None = None

    def xml(self) -> str:
        return (
            f"<m:EANIdentifier>{escape(self.gln)}</m:EANIdentifier><m:Identifier>{escape(self.number)}</m:Identifier>"
            f"<IdentifierCode>{escape(self.kind)}</IdentifierCode>"
            + (f"<m:OrganisationName>{escape(self.name)}</m:OrganisationName>" if self.name else "")
            + (f"<m:DepartmentName>{escape(self.department)}</m:DepartmentName>" if self.department else "")
        )


def letter(
    *,
    letter_id: str = "BRV20261106001",
    version: str = "GGOP100",
    type_code: str = "GGOP",
    discharged: date | None = DISCHARGED,
    written: date | None = None,
    level: str | None = "almen",
    statistical: str | None = None,
    sender_gln: str = SENDER_GLN,
    sender_name: str = "Odense Universitetshospital",
    receiver: tuple[str, str] = (RECEIVER_GLN, "461"),
    receiver_kind: str = "kommunenummer",
    receiver_name: str = "Odense Kommune",
    gp: Role | None = None,
    copies: Sequence[Role] = (),
    cpr: str | None = CPR,
    replacement: str | None = None,
    district: tuple[str, str] = ("5000", "Odense C"),
    consent: str | None = "ja",
    deadline: str | None = None,
    end_text: str | None = None,
    ability: str | None = "Går 50 meter med albuestok og klarer trapper med støtte af gelænder.",
    need: str | None = "Nedsat styrke og gangdistance efter hofteoperation; balance og gang skal genvindes.",
    region: str = "Region Syddanmark",
    municipality: str = "Odense Kommune",
    sections: Mapping[str, str | None] | None = None,
    more: str = "",
) -> str:
    """One `RehabilitationPlan`, as text. Texts are escaped; None leaves an element out.

    `sections` replaces (XML text; prefix `m` is 1.0.0) or drops (None) whole sections by the name of their element;
    `more` is XML put after the last section. `end_text` takes the place of the discharge date.
    """
    written = written or discharged or DISCHARGED
    statistical = statistical or {"specialiseret": "GGOP2", "rehabilitering": "GGOP3"}.get(level or "", "GGOP1")

    def text(name: str, value: str | None) -> str:
        return "" if value is None else f"<{name}>{escape(value)}</{name}>"

    if end_text is not None:
        end = text("ExpectedEndText", end_text)
    else:
        end = f"<ExpectedEnd><Date>{discharged}</Date><Time>13:00</Time></ExpectedEnd>" if discharged else ""
    start = (discharged or written) - timedelta(days=4)
    parts = {
        "Letter": f"<Letter><Identifier>{escape(letter_id)}</Identifier><VersionCode>{version}</VersionCode>"
        f"<StatisticalCode>{statistical}</StatisticalCode>"
        f"<Authorisation><m:Date>{written}</m:Date><m:Time>10:58</m:Time></Authorisation>"
        f"<TypeCode>{type_code}</TypeCode></Letter>",
        "Sender": "<Sender>"
        + Role(sender_gln, "4202360", "sygehusafdelingsnummer", sender_name, "Ortopædkirurgisk Afdeling").xml()
        + "<m:TelephoneSubscriberIdentifier>+4512345678</m:TelephoneSubscriberIdentifier>"
        "<SignedBy><PersonGivenName>Ane</PersonGivenName><PersonSurnameName>Prøve</PersonSurnameName>"
        "<PersonTitle>Fysioterapeut</PersonTitle></SignedBy></Sender>",
        "Receiver": f"<Receiver>{Role(*receiver, receiver_kind, receiver_name).xml()}</Receiver>",
        "GPCCReceiver": "<GPCCReceiver>"
        + (f"<CCReceiver>{gp.xml()}</CCReceiver>" if gp else "<Deselected/>")
        + "</GPCCReceiver>",
        "CCReceiver": "".join(f"<CCReceiver>{copy.xml()}</CCReceiver>" for copy in copies),
        "Patient": "<Patient>"
        + (
            text("m:AlternativeIdentifier", replacement)
            if replacement is not None
            else text("m:CivilRegistrationNumber", cpr)
        )
        + "<m:PersonSurnameName>Berggren</m:PersonSurnameName><m:PersonGivenName>Nancy Ann</m:PersonGivenName>"
        "<m:StreetName>Testparken 48, 2. tv</m:StreetName>"
        f"<m:DistrictName>{escape(district[1])}</m:DistrictName>"
        f"<m:PostCodeIdentifier>{escape(district[0])}</m:PostCodeIdentifier>"
        "<TelephoneSubscriber><m:TelephoneSubscriberIdentifier>+4587654321</m:TelephoneSubscriberIdentifier>"
        "<TelephoneSubscriberCode>mobil</TelephoneSubscriberCode></TelephoneSubscriber></Patient>",
        "Relatives": "",
        "TypeOfRehabilitationPlan": text("TypeOfRehabilitationPlan", level),
        "InformationForPatientAndRelatives": text(
            "InformationForPatientAndRelatives", "Kommunen ringer og aftaler den første tid."
        ),
        "ConsentInformed": text("ConsentInformed", consent),
        "PracticalInformation": text("PracticalInformation", "Kan selv transportere sig. Ingen tolk."),
        "PatientSafetyAspects": text("PatientSafetyAspects", "Faldrisiko de første uger."),
        "RehabilitationDeadline": text("RehabilitationDeadline", deadline),
        "CurrentHospitalContact": "<CurrentHospitalContact>"
        f"<Start><Date>{start}</Date><Time>08:15</Time></Start>{end}</CurrentHospitalContact>",
        "HospitalAmbulatoryControl": "",
        "PatientHealthSummary": text("m:PatientHealthSummary", "Hoftealloplastik højre side uden komplikationer."),
        "AbilityAtDischargeSummary": text("AbilityAtDischargeSummary", ability),
        "AbilityAtDischargeExtended": "<AbilityAtDischargeExtended>"
        "<m:Bold>8a. Kroppens funktioner og anatomi</m:Bold><m:Break/>Nedsat kraft i højre hofte.<m:Break/>"
        "<m:Bold>8b. Aktiviteter og deltagelse</m:Bold><m:Break/>Går med stok, handler ikke selv ind.<m:Break/>"
        "<m:Bold>8c. Omgivelsesfaktorer</m:Bold><m:Break/>Bor på anden sal uden elevator."
        "</AbilityAtDischargeExtended>",
        "RehabilitationNeedAndPotential": text("RehabilitationNeedAndPotential", need),
        "ICD10Diagnoses": "<ICD10Diagnoses><ICD10Diagnose><PrimaryDiagnosis><Code>DM169</Code>"
        "<TypeCode>ICD10kode</TypeCode><Text>Hofteledsartrose UNS</Text></PrimaryDiagnosis></ICD10Diagnose>"
        "</ICD10Diagnoses>",
        "ICFClassifications": "",
        "JournalExcerpt": "",
        "ContactCounty": f"<ContactCounty><m:OrganisationName>{escape(region)}</m:OrganisationName>"
        "<m:TelephoneSubscriberIdentifier>+4511111111</m:TelephoneSubscriberIdentifier></ContactCounty>",
        "ContactMunicipality": "<ContactMunicipality>"
        f"<m:OrganisationName>{escape(municipality)}</m:OrganisationName>"
        "<m:DepartmentName>Genoptræning</m:DepartmentName>"
        "<m:TelephoneSubscriberIdentifier>+4522222222</m:TelephoneSubscriberIdentifier></ContactMunicipality>",
        "HealthCareTeam": "",
        "FinalResult": "<FinalResult><Deselected/></FinalResult>",
        "Reference": "",
    }
    if unknown := set(sections or ()) - set(parts):
        raise KeyError(f"no section called {sorted(unknown)}")
    parts |= {name: section or "" for name, section in (sections or {}).items()}
    return f"<RehabilitationPlan>\n{chr(10).join(filter(None, parts.values()))}\n{more}</RehabilitationPlan>"


def emessage(
    *letters: str,
    envelope_id: str = "KUV20261106001",
    sent: date = DISCHARGED,
    wants_positive: bool = True,
    encoding: str = "UTF-8",
    declared: str | None = None,
    bom: bool = False,
) -> bytes:
    """Letters in one Emessage. `declared` says another encoding in the XML declaration than the bytes have."""
    acknowledgement = "pluspositivkvitt" if wants_positive else "minuspositivkvitt"
    document = (
        f'<?xml version="1.0" encoding="{declared or encoding}"?>\n<Emessage xmlns="{NS104}" xmlns:m="{NS100}">\n'
        f"<m:Envelope><m:Sent><m:Date>{sent}</m:Date><m:Time>11:05</m:Time></m:Sent>"
        f"<m:Identifier>{escape(envelope_id)}</m:Identifier>"
        f"<m:AcknowledgementCode>{acknowledgement}</m:AcknowledgementCode></m:Envelope>\n"
        + "\n".join(letters)
        + "\n</Emessage>\n"
    )
    return (b"\xef\xbb\xbf" if bom else b"") + document.encode(encoding, "xmlcharrefreplace")


def ggop(
    *,
    envelope_id: str = "KUV20261106001",
    sent: date | None = None,
    wants_positive: bool = True,
    encoding: str = "UTF-8",
    declared: str | None = None,
    bom: bool = False,
    **changes: object,
) -> bytes:
    """A GGOP message with one letter; `changes` are those of `letter`."""
    discharged = changes.get("discharged")
    return emessage(
        letter(**changes),  # type: ignore[arg-type]
        envelope_id=envelope_id,
        sent=sent or (discharged if isinstance(discharged, date) else DISCHARGED),
        wants_positive=wants_positive,
        encoding=encoding,
        declared=declared,
        bom=bom,
    )
