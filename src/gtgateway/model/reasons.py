"""Why a delivery is where it is, in words: the codes of `Delivery.reason` and of the sender's feed, declared once."""

from __future__ import annotations

from gtgateway.model.delivery import Trouble
from gtgateway.model.findings import Bilingual
from gtgateway.model.message import OriginalRef

CAPACITY = "capacity"
CAPACITY_OWN_REGION = "capacity_own_region"

REASONS: dict[str, Bilingual] = {
    # how the sender was answered
    "accepted": Bilingual("Meddelelsen er godkendt.", "The message was accepted."),
    "rejected": Bilingual("Meddelelsen er afvist; intet er sendt.", "The message was refused; nothing was sent."),
    "unreadable": Bilingual(
        "Meddelelsen kunne ikke læses; intet er sendt.", "The message could not be read; nothing was sent."
    ),
    # what no connection came to
    Trouble.NO_CONNECTION: Bilingual("Modtagerens system svarer ikke.", "The recipient's system does not answer."),
    Trouble.NAME: Bilingual("Modtagerens adresse findes ikke.", "The recipient's address does not exist."),
    Trouble.CERTIFICATE: Bilingual(
        "Der er en fejl i et certifikat hos modtageren eller hos os.",
        "A certificate of the recipient or of ours is at fault.",
    ),
    Trouble.FORBIDDEN_ADDRESS: Bilingual(
        "Modtagerens adresse er en, der ikke kaldes.", "The recipient's address is one that is not called."
    ),
    Trouble.NO_TOKEN: Bilingual(
        "Adgangen til modtagerens system blev afvist.", "Access to the recipient's system was refused."
    ),
    Trouble.CUT: Bilingual(
        "Forbindelsen blev afbrudt, efter at planen var sendt; det vides ikke, om den kom frem.",
        "The connection was cut after the plan was sent; whether it arrived is not known.",
    ),
    Trouble.TIMED_OUT: Bilingual(
        "Modtageren svarede ikke i tide; det vides ikke, om planen kom frem.",
        "The recipient did not answer in time; whether the plan arrived is not known.",
    ),
    Trouble.TOO_LARGE: Bilingual(
        "Modtagerens svar er for stort til at være en kvittering.", "The recipient's answer is too large for a receipt."
    ),
    # what a receipt said, or the answer without one
    "positive_receipt": Bilingual("Modtageren har kvitteret for planen.", "The recipient has sent its receipt."),
    "envelope_receipt": Bilingual(
        "Kuverten er kommet frem; modtagerens kvittering for planen ventes.",
        "The envelope was carried; the recipient's receipt for the plan is awaited.",
    ),
    "later": Bilingual(
        "Planen er taget imod; modtagerens kvittering ventes.",
        "The plan was taken; the recipient's receipt is awaited.",
    ),
    "taken": Bilingual(
        "Planen er taget imod; modtagerens format kender ingen kvittering.",
        "The plan was taken; the recipient's format knows no receipt.",
    ),
    "no_receipt": Bilingual(
        "Modtageren har ikke kvitteret for planen.", "The recipient has sent no receipt for the plan."
    ),
    "fatal-error": Bilingual("Modtageren har afvist planen.", "The recipient has refused the plan."),
    "transient-error": Bilingual(
        "Modtageren kan ikke tage imod lige nu.", "The recipient cannot take anything at the moment."
    ),
    "negative_receipt": Bilingual("Modtageren har afvist planen.", "The recipient has refused the plan."),
    "ikke_specificeret": Bilingual(
        "Modtageren har afvist planen; grunden står i kvitteringens tekst.",
        "The recipient has refused the plan; the text of its receipt says why.",
    ),
    "ukendt_lokationsnummer": Bilingual(
        "Modtageren kender ikke lokationsnummeret.", "The recipient does not know the location number."
    ),
    "problem_med_modtagerID": Bilingual(
        "Modtageren kan ikke genkende sit eget nummer i planen.", "The recipient does not recognise its own number."
    ),
    "problem_med_version": Bilingual(
        "Modtageren tager ikke imod denne version af meddelelsen.",
        "The recipient does not take this version of the message.",
    ),
    "syntaksfejl": Bilingual(
        "Modtageren har fundet en fejl i meddelelsens opbygning.",
        "The recipient has found a fault in the structure of the message.",
    ),
    CAPACITY: Bilingual(
        "Det valgte sygehus kan ikke modtage patienten; patienten skal vælge et andet sygehus.",
        "The chosen hospital cannot receive the patient; the patient must choose another.",
    ),
    CAPACITY_OWN_REGION: Bilingual(
        "Det valgte sygehus ligger i patientens egen region, men kan ikke modtage patienten; kun patienter fra andre "
        "regioner kan afvises, fordi der ikke er plads. Patienten skal vælge et andet sygehus.",
        "The chosen hospital lies in the patient's own region but cannot receive the patient; only patients from "
        "elsewhere may be refused for lack of capacity. The patient must choose another hospital.",
    ),
    # what we or persons decided
    "gave_up": Bilingual(
        "Planen er forsøgt sendt, så længe det gav mening; en person skal sørge for den.",
        "The plan was tried for as long as that made sense; a person must see to it.",
    ),
    "body_gone": Bilingual(
        "Planen findes ikke længere hos os og kan ikke sendes.", "The plan is no longer kept here and cannot be sent."
    ),
    "cannot_render": Bilingual(
        "Planen kan ikke omsættes til det format, som modtageren tager imod; en person skal sørge for den.",
        "The plan cannot be rendered in the format that the recipient takes; a person must see to it.",
    ),
    "postponed": Bilingual("Planen sendes om lidt.", "The plan is sent in a little while."),
    "endpoint_changed": Bilingual(
        "Modtageren har fået en anden adresse; planen sendes om lidt.",
        "The recipient has another address now; the plan is sent in a little while.",
    ),
    "by_person": Bilingual("En person har opgivet leveringen.", "A person has given the delivery up."),
    "superseded": Bilingual("En senere version træder i stedet.", "A later version takes its place."),
    "never_sent": Bilingual(
        "Planen blev trukket tilbage, før den var sendt til modtageren.",
        "The plan was withdrawn before it was sent to the recipient.",
    ),
    "rerouted": Bilingual("Patienten har valgt et andet sygehus.", "The patient has chosen another hospital."),
}

_HTTP = Bilingual(
    "Modtagerens system svarede med HTTP {status}.", "The recipient's system answered with HTTP {status}."
)


def refusal_reason(receipt: OriginalRef) -> str:
    """The code that a negative receipt is kept by. One that nobody has declared may be anything, also a name."""
    if receipt.lacks_capacity:
        return CAPACITY
    return receipt.refuse_code if receipt.refuse_code in REASONS else "negative_receipt"


def words_of_reason(reason: str | None) -> Bilingual | None:
    """What a reason code means; None for no reason and for a code that nobody has declared."""
    if reason is None:
        return None
    kind, _, status = reason.partition("_")
    if kind == "http" and status.isdigit():
        return _HTTP.filled(status=status)
    return REASONS.get(reason)
