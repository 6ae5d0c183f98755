"""Free choice (§§ 7 and 8), as far as it concerns a plan as such; what happens in a case is judged by the office."""

from __future__ import annotations

from gtgateway.model.findings import Bilingual
from gtgateway.validators.rule import BEK_2027, Rule, live

RULES = (
    Rule(
        "GOP-CHOICE-03",
        "discharged_on",
        live("sundhedsloven § 140, stk. 4", "§ 7, stk. 3"),
        (),
        Bilingual(
            "Løfte: udskrivningsdagen tæller som dag nul i alle frister.",
            "A promise: the day of discharge counts as day zero in every deadline.",
        ),
    ),
    Rule(
        "GOP-CHOICE-12",
        "",
        {BEK_2027: "§ 7, stk. 5"},
        (),
        Bilingual(
            "Løfte: en privat leverandør må vælges i hele landet; intet geografisk filter.",
            "A promise: a private provider anywhere in the country may be chosen; there is no geographic filter.",
        ),
    ),
)
