"""Technical faults, declared once: what can be wrong with bytes, envelopes, structure and values.

Legal rules are declared in `validators/rules`. An id is the contract with vendors: `GOP-<TOPIC>-<NN>`, never reused.
Topics here: XML (bytes), VANS (network envelope), MSG (identity of the message), SCHEMA (structure), MAP (values),
FHIR (JSON, base structure and profiles).
"""

from __future__ import annotations

from gtgateway.model.findings import Bilingual, Fault, Layer, Severity

_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFORMATION


def _fault(
    rule: str, severity: Severity, layer: Layer, da: str, en: str, basis: str | None = None, refuse: str = "syntaksfejl"
) -> Fault:
    return Fault(rule, severity, layer, Bilingual(da, en), basis, refuse)


# --- XML: bytes -------------------------------------------------------------------------------------------------------
XML_NOT_WELL_FORMED = _fault(
    "GOP-XML-01",
    _E,
    Layer.ENVELOPE,
    "Dokumentet er ikke velformet XML ({reason}); ret det og send igen.",
    "The document is not well-formed XML ({reason}); correct it and send again.",
    "XML 1.0",
)
XML_DOCTYPE = _fault(
    "GOP-XML-02",
    _E,
    Layer.ENVELOPE,
    "Dokumentet indeholder en DTD eller entiteter, som ikke modtages; fjern dem.",
    "The document holds a DTD or entities, which are not accepted; remove them.",
    "MedCom XML",
)
XML_TOO_LARGE = _fault(
    "GOP-XML-03",
    _E,
    Layer.ENVELOPE,
    "Dokumentet er for stort: {what}; grænsen er {limit}.",
    "The document is too large: {what}; the limit is {limit}.",
)
XML_ENCODING = _fault(
    "GOP-XML-04",
    _E,
    Layer.ENVELOPE,
    "Teksten kan ikke læses i det angivne tegnsæt {encoding}; angiv det rigtige tegnsæt i XML-erklæringen.",
    "The text cannot be read in the declared encoding {encoding}; declare the right one.",
    "XML 1.0",
)
XML_MOJIBAKE = _fault(
    "GOP-XML-05",
    _W,
    Layer.ENVELOPE,
    "Teksten ser ud til at være skrevet i UTF-8, men er angivet som {encoding}; kontrollér danske bogstaver.",
    "The text seems to be UTF-8 but is declared as {encoding}; check the Danish letters.",
)
XML_NOT_XML = _fault(
    "GOP-XML-06",
    _E,
    Layer.ENVELOPE,
    "Indholdet er hverken MedCom XML, VANSEnvelope eller FHIR; send en genoptræningsplan i et af disse formater.",
    "The content is neither MedCom XML, VANSEnvelope nor FHIR; send a rehabilitation plan in one of these formats.",
)
XML_XINCLUDE = _fault(
    "GOP-XML-07",
    _E,
    Layer.ENVELOPE,
    "Dokumentet henter indhold udefra (XInclude), som ikke modtages; fjern det.",
    "The document includes outside content (XInclude), which is not accepted; remove it.",
)

# --- VANS: network envelope -------------------------------------------------------------------------------------------
VANS_FIELD_MISSING = _fault(
    "GOP-VANS-01",
    _E,
    Layer.ENVELOPE,
    "VANS-kuverten mangler {field}; udfyld feltet.",
    "The VANS envelope lacks {field}; fill it in.",
    "VANSEnvelope 1.0.4",
)
VANS_BASE64 = _fault(
    "GOP-VANS-02",
    _E,
    Layer.ENVELOPE,
    "Indholdet i VANS-kuverten er ikke gyldig base64; dan kuverten igen.",
    "The content of the VANS envelope is not valid base64; make the envelope anew.",
    "VANSEnvelope 1.0.4",
)
VANS_SIZE = _fault(
    "GOP-VANS-03",
    _E,
    Layer.ENVELOPE,
    "VANS-kuvertens SizeInBytes er {stated}, men indholdet fylder {actual} byte; ret kuverten.",
    "The VANS envelope states SizeInBytes {stated}, but the content is {actual} bytes; correct the envelope.",
    "VANSEnvelope 1.0.4",
)
VANS_NAME = _fault(
    "GOP-VANS-04",
    _W,
    Layer.ENVELOPE,
    "VANS-kuverten siger {stated}, men indholdet er {actual}; indholdet er lagt til grund.",
    "The VANS envelope says {stated}, but the content is {actual}; the content decided.",
    "VANSEnvelope 1.0.4",
)
VANS_ID_REUSED = _fault(
    "GOP-VANS-05",
    _E,
    Layer.ENVELOPE,
    "Kuvertens id {envelope_id} er brugt før til en anden meddelelse; brug et nyt id.",
    "The envelope id {envelope_id} was used before for another message; use a new id.",
    "MedCom: Reliable Messaging VANSEnvelope",
)
VANS_PARTIES = _fault(
    "GOP-VANS-06",
    _W,
    Layer.ENVELOPE,
    "VANS-kuvertens parter er ikke brevets parter; brevet er lagt til grund.",
    "The parties of the VANS envelope are not those of the letter; the letter decided.",
    "VANSEnvelope 1.0.4",
)
VANS_NO_MESSAGE = _fault(
    "GOP-VANS-07",
    _E,
    Layer.ENVELOPE,
    "VANS-kuverten indeholder hverken en meddelelse eller en kvittering.",
    "The VANS envelope holds neither a message nor a receipt.",
    "VANSEnvelope 1.0.4",
)

# --- MSG: identity of the message -------------------------------------------------------------------------------------
MSG_UNKNOWN_ROOT = _fault(
    "GOP-MSG-01",
    _E,
    Layer.ENVELOPE,
    "Meddelelsen {name} kendes ikke; kun GGOP100, klinisk e-mail (XD9134L) med en plan og kvitteringer modtages.",
    "The message {name} is not known; only GGOP100, clinical e-mail (XD9134L) with a plan and receipts are accepted.",
    "MedCom GGOP",
    "problem_med_version",
)
MSG_VERSION = _fault(
    "GOP-MSG-02",
    _E,
    Layer.ENVELOPE,
    "Kun {expected} kan modtages; meddelelsen er {stated}.",
    "Only {expected} can be received; the message is {stated}.",
    "MedCom GGOP",
    "problem_med_version",
)
MSG_FIELD_MISSING = _fault(
    "GOP-MSG-03",
    _E,
    Layer.ENVELOPE,
    "{field} mangler; udfyld feltet.",
    "{field} is missing; fill it in.",
    "MedCom GGOP",
)
MSG_RECEIVER_UNKNOWN = _fault(
    "GOP-MSG-04",
    _E,
    Layer.ROUTING,
    "Modtagerens lokationsnummer {gln} kendes ikke; kontrollér det.",
    "The receiver's location number {gln} is not known; check it.",
    "MedCom kvittering XCTL02",
    "ukendt_lokationsnummer",
)
MSG_RECEIVER_ID = _fault(
    "GOP-MSG-05",
    _E,
    Layer.ROUTING,
    "Modtagerens id {identifier} hører ikke til lokationsnummer {gln}; ret det ene eller det andet.",
    "The receiver's id {identifier} does not belong to location number {gln}; correct one of them.",
    "MedCom kvittering XCTL02",
    "problem_med_modtagerID",
)
MSG_CHANGED_CONTENT = _fault(
    "GOP-MSG-06",
    _E,
    Layer.ENVELOPE,
    "Brev {letter_id} er allerede modtaget og godkendt med et andet indhold; send ændringen med nye id'er.",
    "Letter {letter_id} was already received and accepted with other content; send the change with new ids.",
    "MedCom: Governance for Reliable Messaging",
    "ikke_specificeret",
)
MSG_CHANGED_AFTER_REFUSAL = _fault(
    "GOP-MSG-07",
    _W,
    Layer.ENVELOPE,
    "Brev {letter_id} blev tidligere afvist og er nu sendt med andet indhold; nyt indhold skal have et nyt id.",
    "Letter {letter_id} was refused before and now has other content; new content needs a new id.",
    "MedCom: Governance for Reliable Messaging",
)
MSG_OTHER_LETTER_REFUSED = _fault(
    "GOP-MSG-08",
    _E,
    Layer.ENVELOPE,
    "Ikke behandlet: en anden plan i samme kuvert er afvist.",
    "Not processed: another plan in the same envelope was refused.",
    "MedCom Emessage",
    "ikke_specificeret",
)
MSG_STATISTICAL_CODE = _fault(
    "GOP-MSG-09",
    _W,
    Layer.ENVELOPE,
    "StatisticalCode {stated} passer ikke til plantypen {level}; plantypen er lagt til grund.",
    "StatisticalCode {stated} does not fit the plan type {level}; the plan type decided.",
    "MedCom GGOP",
)
MSG_GLN_CHECK_DIGIT = _fault(
    "GOP-MSG-10",
    _W,
    Layer.ENVELOPE,
    "Lokationsnummer {gln} har ikke et gyldigt kontrolciffer; kontrollér det.",
    "Location number {gln} has no valid check digit; check it.",
    "GS1 GLN",
)
MSG_NO_LETTER = _fault(
    "GOP-MSG-11",
    _E,
    Layer.ENVELOPE,
    "Meddelelsen indeholder ingen genoptræningsplan.",
    "The message holds no rehabilitation plan.",
    "MedCom GGOP",
)
MSG_TOO_LONG = _fault(
    "GOP-MSG-12",
    _E,
    Layer.ENVELOPE,
    "{field} er længere end {limit} tegn og kan ikke kvitteres; forkort det.",
    "{field} is longer than {limit} characters and cannot be acknowledged; shorten it.",
    "MedCom kvittering",
)
MSG_LETTER_REPEATED = _fault(
    "GOP-MSG-13",
    _E,
    Layer.ENVELOPE,
    "Brev-id {letter_id} står flere gange i samme kuvert; giv hvert brev sit eget id.",
    "Letter id {letter_id} occurs more than once in one envelope; give each letter its own id.",
    "MedCom Emessage",
)
MSG_PARTIES_DIFFER = _fault(
    "GOP-MSG-14",
    _E,
    Layer.ENVELOPE,
    "Brevene i kuverten har ikke samme afsender og modtager; send dem i hver sin kuvert.",
    "The letters in the envelope do not have the same sender and receiver; send them in an envelope each.",
    "MedCom kvittering",
)
MSG_SEVERAL_RECEIPTS = _fault(
    "GOP-MSG-15",
    _E,
    Layer.ENVELOPE,
    "Kuverten indeholder flere kvitteringer; send dem i hver sin kuvert.",
    "The envelope holds several receipts; send them in an envelope each.",
    "MedCom kvittering",
)
MSG_DISCHARGE_NOT_USED = _fault(
    "GOP-MSG-16",
    _W,
    Layer.ENVELOPE,
    "Udskrivningsdatoen er ikke rettet i plan {plan_id}, som da ville være i strid med {rules}; send en rettet plan.",
    "The discharge date of plan {plan_id} was not changed: the plan would then break {rules}; send a corrected plan.",
    "MedCom HospitalNotification",
)

# --- SHADOW: judged also by an order that is not yet in force ---------------------------------------------------------
SHADOW = _fault(
    "GOP-SHADOW-01",
    _I,
    Layer.LAW,
    "Fra {day} ({order}) er dette {severity} efter {rule}:",
    "From {day} ({order}) this is {severity} by {rule}:",
)

# --- SCHEMA: structure ------------------------------------------------------------------------------------------------
SCHEMA_ADVICE = _fault(
    "GOP-SCHEMA-01",
    _W,
    Layer.STRUCTURE,
    "Afviger fra skemaet: {reason}.",
    "Differs from the schema: {reason}.",
    "MedCom municipality 1.0.4 (rekonstrueret skema)",
)
SCHEMA_STRICT = _fault(
    "GOP-SCHEMA-02",
    _E,
    Layer.STRUCTURE,
    "Overholder ikke skemaet: {reason}; ret dokumentet.",
    "Breaks the schema: {reason}; correct the document.",
    "MedCom municipality 1.0.4",
)
SCHEMA_ORDER = _fault(
    "GOP-SCHEMA-03",
    _W,
    Layer.STRUCTURE,
    "{element} står ikke på sin plads i rækkefølgen; indholdet er læst.",
    "{element} is out of order; its content was read.",
    "MedCom GGOP",
)
SCHEMA_NAMESPACE = _fault(
    "GOP-SCHEMA-04",
    _W,
    Layer.STRUCTURE,
    "{element} står i et forkert navnerum; indholdet er læst efter navnet alene.",
    "{element} is in the wrong namespace; its content was read by name alone.",
    "MedCom municipality 1.0.0/1.0.4",
)
SCHEMA_UNKNOWN_ELEMENT = _fault(
    "GOP-SCHEMA-05",
    _W,
    Layer.STRUCTURE,
    "{element} kendes ikke i en genoptræningsplan; teksten er bevaret i posten.",
    "{element} is not known in a rehabilitation plan; its text is kept in the record.",
    "MedCom GGOP",
)
SCHEMA_REPEATED = _fault(
    "GOP-SCHEMA-06",
    _W,
    Layer.STRUCTURE,
    "{element} står mere end én gang; det første er lagt til grund, resten er bevaret i posten.",
    "{element} occurs more than once; the first one decided, the rest is kept in the record.",
    "MedCom GGOP",
)

# --- MAP: values ------------------------------------------------------------------------------------------------------
MAP_DATE = _fault(
    "GOP-MAP-01",
    _W,
    Layer.MAPPING,
    "Datoen {value} kan ikke læses; skriv den som åååå-mm-dd.",
    "The date {value} cannot be read; write it as yyyy-mm-dd.",
    "xs:date",
)
MAP_TIME = _fault(
    "GOP-MAP-02",
    _W,
    Layer.MAPPING,
    "Klokkeslættet {value} kan ikke læses; skriv det som tt:mm.",
    "The time {value} cannot be read; write it as hh:mm.",
    "MedCom TimeType",
)
MAP_UNKNOWN_CODE = _fault(
    "GOP-MAP-03",
    _W,
    Layer.MAPPING,
    "Koden {value} kendes ikke for {field}; den er vist, som den står.",
    "The code {value} is not known for {field}; it is shown as stated.",
    "MedCom GGOP",
)
MAP_SKS_FORM = _fault(
    "GOP-MAP-04",
    _W,
    Layer.MAPPING,
    "Diagnosekoden {value} har ikke SKS-form (D og uden punktum); den er vist, som den står.",
    "The diagnosis code {value} is not in SKS form (leading D, no dot); it is shown as stated.",
    "SKS",
)
MAP_LITERAL_MARKUP = _fault(
    "GOP-MAP-05",
    _W,
    Layer.MAPPING,
    "{element} indeholder formatering skrevet som tekst ({value}); den er vist som tekst.",
    "{element} holds markup written as text ({value}); it is shown as text.",
    "MedCom formateret tekst",
)
MAP_END_BEFORE_START = _fault(
    "GOP-MAP-06",
    _W,
    Layer.MAPPING,
    "Kontakten slutter ({end}), før den begynder ({start}); kontrollér datoerne.",
    "The contact ends ({end}) before it starts ({start}); check the dates.",
    "MedCom GGOP",
)
MAP_RECONSTRUCTED = _fault(
    "GOP-MAP-07",
    _I,
    Layer.MAPPING,
    "Planen er genskabt ud fra en klinisk e-mail; afsnittene er fundet på deres overskrifter.",
    "The plan was reconstructed from a clinical e-mail; sections were found by their headings.",
    "MedCom XDIS91",
)
MAP_DUPLICATE_CODE = _fault(
    "GOP-MAP-08",
    _I,
    Layer.MAPPING,
    "Koden {value} står flere gange; den er vist én gang.",
    "The code {value} occurs more than once; it is shown once.",
    "MedCom GGOP",
)

# --- FHIR 51 and on: the rules of a MedCom FHIR message (profiles and base structure: below 51) -----------------------
FHIR_HEADER_FIRST = _fault(
    "GOP-FHIR-51",
    _E,
    Layer.STRUCTURE,
    "MessageHeader skal være den første og eneste af sin slags i meddelelsen.",
    "MessageHeader must be the first entry of the message and the only one of its kind.",
    "MedCom FHIR messaging",
)
FHIR_FOCUS = _fault(
    "GOP-FHIR-52",
    _E,
    Layer.STRUCTURE,
    "MessageHeader.focus skal pege på {expected} i meddelelsen.",
    "MessageHeader.focus must point to {expected} in the message.",
    "MedCom FHIR messaging",
)
FHIR_PARTY = _fault(
    "GOP-FHIR-53",
    _E,
    Layer.STRUCTURE,
    "{role} skal være en Organization i meddelelsen med både SOR-kode og lokationsnummer (GLN).",
    "{role} must be an Organization in the message with both a SOR code and a location number (GLN).",
    "MedCom FHIR messaging",
)
FHIR_ONE_PATIENT = _fault(
    "GOP-FHIR-54",
    _E,
    Layer.STRUCTURE,
    "Meddelelsen skal indeholde netop én Patient; den indeholder {count}.",
    "The message must hold exactly one Patient; it holds {count}.",
    "MedCom FHIR messaging",
)
FHIR_PROVENANCE = _fault(
    "GOP-FHIR-55",
    _E,
    Layer.STRUCTURE,
    "Meddelelsen skal have netop én Provenance, der peger på dens MessageHeader; den har {count}.",
    "The message must have exactly one Provenance that points to its MessageHeader; it has {count}.",
    "MedCom FHIR messaging",
)
FHIR_PROVENANCE_CHAIN = _fault(
    "GOP-FHIR-56",
    _E,
    Layer.STRUCTURE,
    "Provenance {activity} skal nævne den tidligere meddelelse i entity med rollen {role}.",
    "Provenance {activity} must name the earlier message in entity with the role {role}.",
    "MedCom FHIR messaging",
)
FHIR_HEADER_NARRATIVE = _fault(
    "GOP-FHIR-57",
    _E,
    Layer.STRUCTURE,
    "MessageHeader skal have en læsbar tekst (text).",
    "MessageHeader must have a narrative (text).",
    "MedCom FHIR messaging",
)
FHIR_NARRATIVE = _fault(
    "GOP-FHIR-58",
    _W,
    Layer.STRUCTURE,
    "{resource} har ingen læsbar tekst (text med status generated eller extensions, uden indlejrede filer).",
    "{resource} has no narrative (text with status generated or extensions, without embedded files).",
    "MedCom FHIR governance",
)
FHIR_UUID = _fault(
    "GOP-FHIR-59",
    _W,
    Layer.STRUCTURE,
    "{element} er ikke et UUID; id'er skal være globalt unikke.",
    "{element} is not a UUID; ids must be globally unique.",
    "MedCom FHIR messaging",
)
FHIR_TIME_ZONE = _fault(
    "GOP-FHIR-60",
    _E,
    Layer.STRUCTURE,
    "{element} mangler tidszone; skriv tidspunktet med +01:00 eller +02:00.",
    "{element} has no time zone; write the time with +01:00 or +02:00.",
    "MedCom FHIR messaging",
)
FHIR_DISCHARGE = _fault(
    "GOP-FHIR-61",
    _E,
    Layer.STRUCTURE,
    "Udskrivningsdatoen {stated} er ikke den danske dato, hvor den afsluttede kontakt sluttede ({ended}).",
    "The discharge date {stated} is not the Danish date on which the finished contact ended ({ended}).",
    "GOP FHIR-profil",
)
FHIR_UNRESOLVED = _fault(
    "GOP-FHIR-62",
    _W,
    Layer.MAPPING,
    "{element} henviser til noget, der ikke er i meddelelsen; det er ikke læst.",
    "{element} refers to something that is not in the message; it was not read.",
    "MedCom FHIR messaging",
)
FHIR_ACKNOWLEDGEMENT = _fault(
    "GOP-FHIR-63",
    _E,
    Layer.STRUCTURE,
    "Kvitteringen modsiger sig selv: {reason}.",
    "The acknowledgement contradicts itself: {reason}.",
    "MedCom Acknowledgement",
)

# --- FHIR: JSON, base structure and profiles --------------------------------------------------------------------------
FHIR_JSON = _fault(
    "GOP-FHIR-01",
    _E,
    Layer.ENVELOPE,
    "Indholdet er ikke læsbar JSON ({reason}); ret det og send igen.",
    "The content is not readable JSON ({reason}); correct it and send again.",
    "RFC 8259",
)
FHIR_KEY_REPEATED = _fault(
    "GOP-FHIR-02",
    _E,
    Layer.ENVELOPE,
    "Egenskaben {key} står to gange i samme objekt; skriv den én gang.",
    "The property {key} occurs twice in one object; write it once.",
    "FHIR R4: JSON",
)
FHIR_TOO_LARGE = _fault(
    "GOP-FHIR-03",
    _E,
    Layer.ENVELOPE,
    "Dokumentet er for stort: {what}; grænsen er {limit}.",
    "The document is too large: {what}; the limit is {limit}.",
)
FHIR_RESOURCE_TYPE = _fault(
    "GOP-FHIR-04",
    _E,
    Layer.STRUCTURE,
    "resourceType mangler eller er ikke en ressource i FHIR R4; angiv ressourcens type.",
    "resourceType is missing or is no resource of FHIR R4; state the type of the resource.",
    "FHIR R4",
)
FHIR_UNKNOWN_PROPERTY = _fault(
    "GOP-FHIR-05",
    _E,
    Layer.STRUCTURE,
    "{element} kendes ikke her; fjern det, eller ret navnet.",
    "{element} is not known here; remove it or correct its name.",
    "FHIR R4",
)
FHIR_MISSING = _fault(
    "GOP-FHIR-06",
    _E,
    Layer.STRUCTURE,
    "{element} mangler: der skal være mindst {least}, her er {count}.",
    "{element} is missing: at least {least} must be there, here are {count}.",
    "FHIR R4",
)
FHIR_TOO_MANY = _fault(
    "GOP-FHIR-07",
    _E,
    Layer.STRUCTURE,
    "{element} står for mange gange: der må højst være {most}, her er {count}; fjern resten.",
    "{element} occurs too often: at most {most} may be there, here are {count}; remove the rest.",
    "FHIR R4",
)
FHIR_JSON_TYPE = _fault(
    "GOP-FHIR-08",
    _E,
    Layer.STRUCTURE,
    "{element} har en forkert form i JSON; den skal være {wanted}.",
    "{element} has the wrong form in JSON; it must be {wanted}.",
    "FHIR R4: JSON",
)
FHIR_FORMAT = _fault(
    "GOP-FHIR-09",
    _E,
    Layer.STRUCTURE,
    "{element} er ikke en gyldig værdi af typen {type}; ret den.",
    "{element} is no valid value of the type {type}; correct it.",
    "FHIR R4: Data Types",
)
FHIR_CHOICE = _fault(
    "GOP-FHIR-10",
    _E,
    Layer.STRUCTURE,
    "{element} står med flere typer ({keys}); behold én.",
    "{element} occurs with several types ({keys}); keep one.",
    "FHIR R4",
)
FHIR_FIXED = _fault(
    "GOP-FHIR-11",
    _E,
    Layer.STRUCTURE,
    "{element} skal være {wanted}; ret værdien.",
    "{element} must be {wanted}; correct the value.",
    "FHIR R4: ElementDefinition",
)
FHIR_CODE = _fault(
    "GOP-FHIR-12",
    _E,
    Layer.STRUCTURE,
    "Koden {code} i {element} er ikke i værdisættet {value_set}; brug en kode derfra.",
    "The code {code} in {element} is not in the value set {value_set}; use a code from it.",
    "FHIR R4: Terminology",
)
FHIR_SLICE_MISSING = _fault(
    "GOP-FHIR-13",
    _E,
    Layer.STRUCTURE,
    "{element} mangler: der skal være mindst {least}, her er {count}.",
    "{element} is missing: at least {least} must be there, here are {count}.",
    "FHIR R4: Profiling",
)
FHIR_SLICE_TOO_MANY = _fault(
    "GOP-FHIR-14",
    _E,
    Layer.STRUCTURE,
    "{element} står for mange gange: der må højst være {most}, her er {count}; fjern resten.",
    "{element} occurs too often: at most {most} may be there, here are {count}; remove the rest.",
    "FHIR R4: Profiling",
)
FHIR_NO_SLICE = _fault(
    "GOP-FHIR-15",
    _E,
    Layer.STRUCTURE,
    "{element} passer ikke til nogen af de tilladte ({slices}); ret eller fjern det.",
    "{element} fits none of those allowed ({slices}); correct or remove it.",
    "FHIR R4: Profiling",
)
FHIR_INVARIANT = _fault(
    "GOP-FHIR-16",
    _E,
    Layer.STRUCTURE,
    "{element} overholder ikke reglen {key}:",
    "{element} breaks the rule {key}:",
    "FHIR R4: Invariants",
)
FHIR_INVARIANT_WARNING = _fault(
    "GOP-FHIR-17",
    _W,
    Layer.STRUCTURE,
    "{element} følger ikke anbefalingen {key}:",
    "{element} does not follow the recommendation {key}:",
    "FHIR R4: Invariants",
)
FHIR_REFERENCE = _fault(
    "GOP-FHIR-18",
    _E,
    Layer.STRUCTURE,
    "{element} henviser til en ressource, som ikke er i meddelelsen; send den med, eller ret henvisningen.",
    "{element} refers to a resource that is not in the message; include it or correct the reference.",
    "FHIR R4: References",
)
FHIR_TARGET = _fault(
    "GOP-FHIR-19",
    _E,
    Layer.STRUCTURE,
    "{element} henviser til en ressource af en forkert art; den skal være {wanted}.",
    "{element} refers to a resource of the wrong kind; it must be {wanted}.",
    "FHIR R4: References",
)
FHIR_NONCONFORMANT = _fault(
    "GOP-FHIR-20",
    _E,
    Layer.STRUCTURE,
    "{element} følger ikke profilen {profile}; ret ressourcen eller dens meta.profile.",
    "{element} does not conform to the profile {profile}; correct the resource or its meta.profile.",
    "FHIR R4: Profiling",
)
FHIR_NOT_EVALUATED = _fault(
    "GOP-FHIR-21",
    _I,
    Layer.STRUCTURE,
    "{element} kunne ikke kontrolleres her: {what}.",
    "{element} could not be checked here: {what}.",
)
FHIR_UNKNOWN_PROFILE = _fault(
    "GOP-FHIR-22",
    _I,
    Layer.STRUCTURE,
    "Profilen {profile} er ikke indlæst; der er kun kontrolleret efter det, som er.",
    "The profile {profile} is not loaded; only what is loaded was checked.",
)
FHIR_CODE_UNKNOWN = _fault(
    "GOP-FHIR-23",
    _I,
    Layer.STRUCTURE,
    "Om koden i {element} er i værdisættet {value_set}, kan ikke afgøres; kodesystemet er ikke indlæst.",
    "Whether the code in {element} is in the value set {value_set} cannot be told; its code system is not loaded.",
)
FHIR_UNKNOWN_EXTENSION = _fault(
    "GOP-FHIR-24",
    _I,
    Layer.STRUCTURE,
    "Udvidelsen {url} kendes ikke og er ikke kontrolleret.",
    "The extension {url} is not known and was not checked.",
)
FHIR_MORE = _fault(
    "GOP-FHIR-25",
    _I,
    Layer.STRUCTURE,
    "Der er flere fejl end de {limit}, som er vist; ret dem, og kontrollér igen.",
    "There are more faults than the {limit} shown; correct them and check again.",
)
FHIR_EXTERNAL_ERROR = _fault(
    "GOP-FHIR-26",
    _E,
    Layer.EXTERNAL,
    "Den eksterne validator melder fejl: {text}",
    "The external validator reports an error: {text}",
    "FHIR R4: $validate",
)
FHIR_EXTERNAL_WARNING = _fault(
    "GOP-FHIR-27",
    _W,
    Layer.EXTERNAL,
    "Den eksterne validator advarer: {text}",
    "The external validator warns: {text}",
    "FHIR R4: $validate",
)
FHIR_EXTERNAL_INFORMATION = _fault(
    "GOP-FHIR-28",
    _I,
    Layer.EXTERNAL,
    "Den eksterne validator oplyser: {text}",
    "The external validator says: {text}",
    "FHIR R4: $validate",
)

#: Every technical fault, by id.
FAULTS: dict[str, Fault] = {value.rule: value for value in list(globals().values()) if isinstance(value, Fault)}
