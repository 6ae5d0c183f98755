"""Systems, extensions and code lists of the GOP message, for reading and writing alike."""

from __future__ import annotations

from gtgateway.mappers.codes import codes
from gtgateway.model.plan import Level
from gtgateway.parsers.fhir import CANONICAL

_HL7, _TERMINOLOGY = "http://hl7.org/fhir/StructureDefinition", "http://terminology.hl7.org/CodeSystem"
_OWN, _OWN_CODES = f"{CANONICAL}/StructureDefinition", f"{CANONICAL}/CodeSystem"

# extensions
PRECONDITION_DATE = "http://fhir.kl.dk/rehab/StructureDefinition/PreconditionDate"
CONSENT_TO_LIAISING = "http://fhir.kl.dk/core/StructureDefinition/SubjectConsentToLiaising"
MUNICIPALITY_CODE = "http://hl7.dk/fhir/core/StructureDefinition/dk-core-municipalityCodes"
START, HANDED_OUT, FUNDING = f"{_OWN}/gop-start", f"{_OWN}/gop-handed-out", f"{_OWN}/gop-funding"
PHASE2_FROM, MUNICIPAL_HELP = f"{_OWN}/gop-phase2-from", f"{_OWN}/gop-municipal-help"
CAPACITY, PAYING_MUNICIPALITY = f"{_OWN}/gop-capacity", f"{_OWN}/gop-paying-municipality"
OCCUPATION, FINAL_RESULT = f"{_OWN}/gop-occupation", f"{_OWN}/gop-final-result-receiver"
ORIGINAL_TEXT = f"{_HL7}/originalText"
CONTACTPOINT_COMMENT = f"{_HL7}/contactpoint-comment"

# code systems
CARE_CODES = "http://fhir.kl.dk/term/CodeSystem/CareSocialCodes"
SECTIONS, OBSERVATION_CATEGORY = f"{_OWN_CODES}/gop-section", f"{_OWN_CODES}/gop-observation-category"
PLAN_TYPE, CONSENT_CATEGORY = f"{_OWN_CODES}/gop-plan-type", f"{_OWN_CODES}/gop-consent-category"
ICF_QUALIFIER = f"{_OWN_CODES}/icf-qualifier"
SKS, SKS_DIAGNOSES = "urn:oid:1.2.208.176.2.4", "urn:oid:1.2.208.176.2.4.12"
ICF, SNOMED = "http://hl7.org/fhir/sid/icf", "http://snomed.info/sct"
ACT_CODE, ROLE_CODE = f"{_TERMINOLOGY}/v3-ActCode", f"{_TERMINOLOGY}/v3-RoleCode"
PARTICIPATION, CONFIDENTIALITY = f"{_TERMINOLOGY}/v3-ParticipationType", f"{_TERMINOLOGY}/v3-Confidentiality"
CONSENT_SCOPE, DIAGNOSIS_ROLE = f"{_TERMINOLOGY}/consentscope", f"{_TERMINOLOGY}/diagnosis-role"
CONDITION_CLINICAL, CONDITION_VERIFICATION = (
    f"{_TERMINOLOGY}/condition-clinical",
    f"{_TERMINOLOGY}/condition-ver-status",
)
CONDITION_CATEGORY = f"{_TERMINOLOGY}/condition-category"

# codes
EGENTRAENING = "egentraening"
SERVICE = ("7fc66c15-0cb3-4c89-9e18-f3a01e6a6592", "Kommunal genoptræning efter sygehusophold")
SETTING = ("658141000005108", "genoptræning efter hospitalsophold")
LIAISING_AGREED = "e67035da-9179-466b-99ad-ea86835d38c9"
LIAISING_REFUSED = "54aeeba6-6aa2-4165-a5a8-bbd6f2f3b1eb"

# code lists
_CATEGORIES = codes("fhir_levels")
LEVELS = {code: Level(row["level"]) for code, row in _CATEGORIES.items() if row["level"]}
LEVEL_CATEGORIES = {level: (code, _CATEGORIES[code]["display"]) for code, level in LEVELS.items()}
SUGGESTIONS = {code: row["hospital_suggestion"] for code, row in _CATEGORIES.items() if row["hospital_suggestion"]}
SECTION_ROWS = codes("fhir_sections")
#: Sections with a field of their own.
SECTION_FIELDS = {
    code: row["field"]
    for code, row in SECTION_ROWS.items()
    if row["field"] not in ("function_extended", "journal_excerpts")
}
#: The three parts of the extended description: how each begins in MedCom's form, and its heading there.
EXTENDED = {
    "functioning-body": ("8a", "8a. Kroppens funktioner og anatomi"),
    "functioning-activity-participation": ("8b", "8b. Aktiviteter og Deltagelse"),
    "functioning-environment": ("8c", "8c. Omgivelsesfaktorer"),
}
UNDIVIDED = "functioning-activity-participation"  #: for an extended description that is not divided
JOURNAL_EXCERPT = "journal-excerpt"
#: Codes of v3-RoleCode and dk-core in lower case: MedCom's word for the relation, and who it makes a consenter.
RELATION_ROWS = codes("fhir_relations")
TELEPHONE_USES = {"mobile": "mobil", "home": "fastnet", "work": "arbejde"}

# words
GP_REFUSED = "Egen læge"  #: a refused receiver that the message does not name: the GP in general
DESELECTED = "Fravalgt"  #: no receiver of the final result is wanted
CARE_OF = "c/o"
LPR3 = "https://www.esundhed.dk/Registre/Landspatientregisteret"
