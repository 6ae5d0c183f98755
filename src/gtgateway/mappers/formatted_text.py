"""Formatted text of MedCom XML (medcom FormattedText) to plain text and safe HTML, and back.

| MedCom XML | HTML | plain |
|---|---|---|
| Bold, Italic, Underline | strong, em, u | the text |
| FixedFont | `<span class="fixed">` | the text |
| Center, Right | `<div class="center">`, `<div class="right">` | the text on its own line |
| Break | `<br>` | newline |
| Space | `&nbsp;` | blank |

White space in the file means nothing: a run is one blank, and none at the beginning or end of a line. All text is
escaped and no other tag is ever written, so the HTML is safe whatever the text says. What `from_medcom` and
`plain_text` make survives `to_medcom` and `from_medcom` unchanged.
"""

from __future__ import annotations

import re
from html import escape, unescape

from lxml import etree

from gtgateway.model.plan import FormattedText

_HTML_OF = {
    "Bold": ("<strong>", "</strong>"),
    "Italic": ("<em>", "</em>"),
    "Underline": ("<u>", "</u>"),
    "FixedFont": ('<span class="fixed">', "</span>"),
    "Center": ('<div class="center">', "</div>"),
    "Right": ('<div class="right">', "</div>"),
}
_BLOCKS = frozenset(("Center", "Right"))
_ELEMENT_OF = {opening: name for name, (opening, _) in _HTML_OF.items()}
_CLOSINGS = frozenset(closing for _, closing in _HTML_OF.values())
FORMATTING = frozenset((*_HTML_OF, "Break", "Space"))

_XML_SPACE = re.compile(r"[ \t\r\n]+")
_MARKUP = re.compile("(" + "|".join(map(re.escape, ("<br>", "&nbsp;", *_ELEMENT_OF, *sorted(_CLOSINGS)))) + ")")


def collapse(text: str | None) -> str:
    """`text` with runs of XML white space as one blank and none at the ends. Other Unicode spaces stay."""
    if not text:
        return ""
    text = text.strip(" \t\r\n")
    return _XML_SPACE.sub(" ", text) if "\n" in text or "  " in text or "\t" in text or "\r" in text else text


class _Writer:
    """Writes plain text and HTML side by side and drops the blanks that begin or end a line."""

    def __init__(self) -> None:
        self.plain: list[str] = []
        self.html: list[str] = []
        self.line_start = True
        self.block_ended = False
        #: where in `plain` and `html` a blank was written that goes again if the line ends after it
        self.blank: tuple[int, int] | None = None

    def text(self, text: str | None) -> None:
        if not text:
            return
        body = _XML_SPACE.sub(" ", text)
        words = body.strip(" ")
        if body[0] == " ":
            self._blank()
        if words:
            self._visible(words, escape(words, quote=False))
            if body[-1] == " ":
                self._blank()

    def space(self) -> None:
        self._visible(" ", "&nbsp;")

    def line_break(self) -> None:
        self._end_line()
        if self.block_ended:
            self.plain.append("\n")
            self.block_ended = False
        self.plain.append("\n")
        self.html.append("<br>")

    def open(self, name: str) -> None:
        if name in _BLOCKS:
            self.block_ended = self.block_ended or not self.line_start
            self._end_line()
        self.html.append(_HTML_OF[name][0])

    def close(self, name: str) -> None:
        if name in _BLOCKS:
            self.block_ended = self.block_ended or not self.line_start
            self._end_line()
        self.html.append(_HTML_OF[name][1])

    def written(self) -> FormattedText:
        self._end_line()
        return FormattedText("".join(self.plain), "".join(self.html))

    def _blank(self) -> None:
        if not self.line_start and self.blank is None:
            self.blank = (len(self.plain), len(self.html))
            self.plain.append(" ")
            self.html.append(" ")

    def _visible(self, plain: str, html: str) -> None:
        if self.block_ended:
            self.plain.append("\n")
        self.plain.append(plain)
        self.html.append(html)
        self.line_start, self.block_ended, self.blank = False, False, None

    def _end_line(self) -> None:
        if self.blank is not None:
            self.plain[self.blank[0]] = self.html[self.blank[1]] = ""
        self.line_start, self.blank = True, None


def from_medcom(element: etree._Element, strange: list[etree._Element] | None = None) -> FormattedText:
    """The formatted text in `element`. Tags are known by local name, in any namespace.

    The text of elements that are no formatting is kept without their tag; they are appended to `strange`.
    """
    if len(element) == 0:
        text = collapse(element.text)
        return FormattedText(text, escape(text, quote=False))
    writer = _Writer()
    _write_content(element, writer, strange)
    return writer.written()


def _write_content(element: etree._Element, writer: _Writer, strange: list[etree._Element] | None) -> None:
    writer.text(element.text)
    for child in element:
        tag = child.tag
        if isinstance(tag, str):  # a comment or processing instruction says nothing; only what follows it does
            name = tag.rpartition("}")[2]
            if name in _HTML_OF:
                writer.open(name)
                _write_content(child, writer, strange)
                writer.close(name)
            else:
                if name == "Break":
                    writer.line_break()
                elif name == "Space":
                    writer.space()
                elif strange is not None:
                    strange.append(child)
                _write_content(child, writer, strange)
        writer.text(child.tail)


def plain_text(text: str) -> FormattedText:
    """Unformatted text: newlines become Break, and blanks that white space rules would drop become Space."""
    writer = _Writer()
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ").split("\n")):
        if number:
            writer.line_break()
        words = line.strip(" ")
        lead = len(line) - len(line.lstrip(" "))
        for _ in range(lead):
            writer.space()
        for part in re.split(r"(?<= )( +)", words):
            if not part.strip(" "):
                for _ in part:
                    writer.space()
            else:
                writer.text(part)
        for _ in range(len(line) - lead - len(words)):
            writer.space()
    return writer.written()


def to_medcom(text: FormattedText, parent: etree._Element, ns: str) -> None:
    """Append `text` to the empty element `parent` as MedCom formatted text, its tags in namespace `ns`."""
    open_elements = [parent]
    for part in _MARKUP.split(text.html):
        top = open_elements[-1]
        if part == "<br>":
            etree.SubElement(top, f"{{{ns}}}Break")
        elif part == "&nbsp;":
            etree.SubElement(top, f"{{{ns}}}Space")
        elif part in _ELEMENT_OF:
            open_elements.append(etree.SubElement(top, f"{{{ns}}}{_ELEMENT_OF[part]}"))
        elif part in _CLOSINGS:
            if len(open_elements) > 1:
                open_elements.pop()
        elif part:
            words = unescape(part)
            if len(top):
                top[-1].tail = (top[-1].tail or "") + words
            else:
                top.text = (top.text or "") + words
