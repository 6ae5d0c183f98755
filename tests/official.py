"""Messages as the official definitions have them: MedCom's XML schemas and FHIR packages, beside the checkout."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from lxml import etree

from gtgateway.model.findings import Severity
from gtgateway.parsers.envelope import ParsedMessage
from gtgateway.parsers.medcom_xml import NS_XDIS91, namespace_of
from gtgateway.validators.structure.profile import Profiles


class Official:
    """Examines every first message of its kind and then every so many; for GGOP there is only MedCom's draft schema."""

    def __init__(self, shared: Path, every: int = 1) -> None:
        data = shared / "data"
        official = data / "xsd-official"
        self._vans = _schema(official / "vans-envelope-1.0.4" / "VANSEnvelope.xsd")
        self._letters = {  # by namespace: a withdrawal is a clinical e-mail without a plan
            NS_XDIS91: _schema(official / "2006" / "07" / "01" / "EMessage.xsd"),
            "urn:oio:medcom:municipality:1.0.4": _schema(data / "xsd-draft" / "municipality-1.0.4.xsd"),
        }
        self._profiles = Profiles.load([data / "fhir" / "packages"])
        self._every = every
        self._came: Counter[str] = Counter()
        self.examined: Counter[str] = Counter()  #: by kind

    def __call__(self, body: bytes, message: ParsedMessage) -> list[str]:
        """The faults of a message: where, and which rule."""
        action = message.letters[0].action if message.letters else "nothing"
        kind = f"{message.format or 'mail'} {action}{' in an envelope' if message.vans else ''}"
        self._came[kind] += 1
        if (self._came[kind] - 1) % self._every:
            return []
        self.examined[kind] += 1
        found = _breaks(self._vans, etree.fromstring(body)) if message.vans is not None else []
        if message.document is not None:
            checked = self._profiles.check(message.document)
            return found + [f"{each.rule} {each.source_path}" for each in checked if each.severity is Severity.ERROR]
        schema = self._letters.get(namespace_of(message.root)) if message.root is not None else None
        if schema is None:
            return [*found, "a message of no kind that a recipient takes"]
        return found + _breaks(schema, message.root)


def _schema(file: Path) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(file))


def _breaks(schema: etree.XMLSchema, root: etree._Element) -> list[str]:
    schema.validate(root)
    return [f"{each.type_name} {each.path}" for each in schema.error_log]
