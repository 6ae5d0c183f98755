"""Writing XML element by element."""

from __future__ import annotations

from lxml import etree

from gtgateway.acknowledgements.elements import add, start, written, xml_text


def test_children_are_in_the_namespace_of_their_parent() -> None:
    root = start("urn:a", "Root")
    add(add(root, "Child"), "Leaf", "æ")
    assert written(root, "UTF-8") == (
        "<?xml version='1.0' encoding='UTF-8'?>\n<Root xmlns=\"urn:a\"><Child><Leaf>æ</Leaf></Child></Root>".encode()
    )


def test_other_characters_become_references() -> None:
    root = start("urn:a", "Root")
    add(root, "Leaf", "å – 😀")
    body = written(root, "ISO-8859-1")
    assert b"\xe5 &#8211; &#128512;" in body
    assert etree.fromstring(body)[0].text == "å – 😀"


def test_what_xml_cannot_carry_is_replaced() -> None:
    assert xml_text("a\x00b\x1fc\ud800d\ufffee\tf\ng") == "a\ufffdb\ufffdc\ufffdd\ufffde\tf\ng"
    root = start("urn:a", "Root")
    assert add(root, "Leaf", "\x0b").text == "\ufffd"
    assert add(root, "Empty").text is None
