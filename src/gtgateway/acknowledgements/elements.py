"""Writing XML element by element, every element in the namespace of its parent."""

from __future__ import annotations

import re
from typing import cast

from lxml import etree

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def start(namespace: str, name: str) -> etree._Element:
    """The root of a document; `namespace` is its default one."""
    return etree.Element(f"{{{namespace}}}{name}", nsmap={None: namespace})  # type: ignore[dict-item]


def add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    """A new last child; see `xml_text` for its text."""
    element = etree.SubElement(parent, f"{parent.tag.partition('}')[0]}}}{name}")
    if text:
        element.text = xml_text(text)
    return element


def written(root: etree._Element, encoding: str) -> bytes:
    """The document in an encoding, which its XML declaration names; other characters become character references."""
    return cast(bytes, etree.tostring(root, encoding=encoding, xml_declaration=True))


def xml_text(text: str) -> str:
    """`text` with what XML cannot carry shown as the replacement character."""
    return text if text.isprintable() else _NOT_XML.sub("\ufffd", text)
