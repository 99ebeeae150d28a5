"""XMP (ISO 16684-1): descriptions are read from a packet, and written into it by replacing their bytes alone.

Nothing is parsed and written anew, so that what other programs keep in a packet stays as they wrote it: their
edits, histories, prefixes and even their white space.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from cutline.metadata.errors import MetadataError

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
_XML = "http://www.w3.org/XML/1998/namespace"
DESCRIPTION, WRITER = (_DC, "description"), (_PHOTOSHOP, "CaptionWriter")
SIDECAR_ENDING = (_PHOTOSHOP, "SidecarForExtension")
# Where programs keep what a person wrote about a photo, beside its description.
OTHER_TEXTS = (
    (_DC, "title"),
    ("http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/", "AltTextAccessibility"),
    ("http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/", "ExtDescrAccessibility"),
    (_PHOTOSHOP, "Headline"),
    ("http://ns.adobe.com/tiff/1.0/", "ImageDescription"),
    ("http://ns.adobe.com/exif/1.0/", "UserComment"),
    ("http://ns.acdsee.com/iptc/1.0/", "caption"),
    ("http://ns.acdsee.com/iptc/1.0/", "notes"),  # darktable's, too
)
_ITEM = "http://ns.google.com/photos/1.0/container/item/"
_SEMANTIC, _LENGTH = (_ITEM, "Semantic"), (_ITEM, "Length")
_DEFAULT_LANGUAGE = "x-default"
_MAX_DEPTH = 200
_MAX_STATEMENTS = 20  # of one property
MAX_BYTES = 32 * 2**20

_NEW = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/">\n <rdf:RDF xmlns:rdf="{_RDF}">\n'
    '  <rdf:Description rdf:about="">\n  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n'
)
_END = '<?xpacket end="w"?>'
_PADDING = (" " * 99 + "\n") * 20
_PADDED_END = re.compile(rb"\s*(<\?xpacket end=)")
_DECLARED = re.compile(r"^(\ufeff?<\?xml[^>]*?)\s+encoding\s*=\s*(\"[^\"]*\"|'[^']*')")
# Of a damaged packet: RDF, or what has it, and what no XML may have.
_RDF_STARTS = re.compile(r"<(?:\w+:)?(?:xmpmeta|RDF)\b")
_RDF_ENDS = re.compile(r"</(?:\w+:)?(?:xmpmeta|RDF)\s*>")
_CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_ATTRIBUTE = re.compile(rb"\s+([^\s=]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_TAG = re.compile(rb"<(?:[^\"'>]++|\"[^\"]*+\"|'[^']*+')*+>")
_NUMBER = re.compile(rb"(?<![0-9])[0-9]{1,15}(?=[\"'\s]*\Z)")
_TAG_NAME = re.compile(rb"<([^\s/>]+)")

Name = tuple[str, str]  # of a namespace and in it


@dataclass(slots=True, kw_only=True, eq=False)  # compared by identity
class _Element:
    """Where an element stands: its first byte, the end of its start tag, its end tag, the byte behind it."""

    name: Name
    start: int
    inside: int
    is_empty: bool  # <a/>
    language: str = ""
    inside_end: int = 0
    end: int = 0
    text: list[str] = field(default_factory=list)
    items: list[_Element] = field(default_factory=list)
    lists: list[_Element] = field(default_factory=list)
    attributes: Mapping[Name, str] = field(default_factory=dict)


class Packet:
    """A packet of XMP. Raises MetadataError for what is none, or has a document type."""

    def __init__(self, data: bytes) -> None:
        self._data = _as_utf8(data)
        self._open: list[_Element] = []
        self._rdf: _Element | None = None
        self._nodes: list[_Element] = []  # the rdf:Description elements of the photo
        self._properties: list[_Element] = []
        self._files: list[_Element] = []  # that stand one behind the other in the photo's (GContainer)
        self._parse()
        if self._rdf is None:
            raise MetadataError("its XMP is no XMP")

    @classmethod
    def to_read(cls, data: bytes) -> Packet:
        """A packet as far as it can be read, for its texts; what is wrong around or in them is left out."""
        try:
            return cls(data)
        except MetadataError:
            if len(data) > MAX_BYTES:
                raise
        text = _CONTROL.sub("", data.decode(_wide_encoding(data) or "utf-8", "replace"))
        start = _RDF_STARTS.search(text)
        ends = [each.end() for each in _RDF_ENDS.finditer(text)]
        if start is None or not ends:
            raise MetadataError("its XMP is no XMP")
        return cls(text[start.start() : ends[-1]].encode())

    @classmethod
    def new(cls, *, padding: str = _PADDING) -> Packet:
        """A packet that says nothing, by default with some room for changes in place."""
        return cls((_NEW + padding + _END).encode())

    def __bytes__(self) -> bytes:
        """The packet in UTF-8."""
        return self._data

    def text(self, name: Name) -> str:
        """A property's text; of several languages the default's, else the first."""
        for node in self._nodes:
            if name in node.attributes:
                return node.attributes[name].strip()
        for each in self._properties:
            if each.name == name:
                chosen = [item for item in each.items if item.language == _DEFAULT_LANGUAGE] or each.items
                return "".join((chosen[0] if chosen else each).text).strip()
        return ""

    def texts(self, name: Name) -> list[str]:
        """A property's texts in all languages."""
        found = [node.attributes[name] for node in self._nodes if name in node.attributes]
        for each in self._properties:
            if each.name == name:
                found += ["".join(part.text) for part in (each.items or [each])]
        return [text for text in map(str.strip, found) if text]

    def described(self, text: str, writer: str) -> Packet:
        """The packet with the text as its description, and who wrote it. Other languages stay."""
        changed = self._with_description(text)._with_plain(WRITER, "photoshop", writer)
        if (changed.text(DESCRIPTION), changed.text(WRITER)) != (text.strip(), writer):
            raise MetadataError("its XMP takes no description")
        return changed

    def about_ending(self, ending: str) -> Packet:
        """The packet with the ending of the file that it is about, as Adobe notes it."""
        return self._with_plain(SIDECAR_ENDING, "photoshop", ending)

    def fitted(self, most: int) -> Packet:
        """The packet, without its padding where it is longer. Raises MetadataError if it stays too long."""
        if len(self._data) <= most:
            return self
        shorter = _PADDED_END.sub(rb"\n\1", self._data).rstrip()
        if len(shorter) > most:
            raise MetadataError(f"its XMP would have {len(shorter):,} bytes, more than the file can hold")
        return Packet(shorter)

    def padded(self, size: int) -> bytes:
        """The packet with white space up to a size, which is at least its own."""
        missing = size - len(self._data)
        match = re.search(rb"<\?xpacket end=", self._data)
        at = match.start() if match else len(self._data)
        return self._data[:at] + b" " * missing + self._data[at:]

    def primary_length(self) -> tuple[int, int] | None:
        """Where the packet states how long the photo is without the files behind it (GContainer); or None."""
        for each in self._files:
            parts = {part.name: part for part in each.items}
            stated = {name: "".join(part.text) for name, part in parts.items()} | dict(each.attributes)
            if (
                stated.get(_SEMANTIC, "").strip() != "Primary"
                or not stated.get(_LENGTH, "").strip().isdecimal()
            ):
                continue
            if _LENGTH in parts:
                place = (parts[_LENGTH].inside, parts[_LENGTH].inside_end)
            else:
                place = self._attribute(each, _LENGTH)
            number = _NUMBER.search(self._data, *place)
            return number.span() if number else None
        return None

    # Changing

    def _with_description(self, text: str) -> Packet:
        content = html.escape(text, quote=False)
        for each in self._properties:
            if each.name != DESCRIPTION:
                continue
            for item in each.items:
                if item.language == _DEFAULT_LANGUAGE and not item.is_empty:
                    return self._spliced(item.inside, item.inside_end, content)
            if each.lists and not each.lists[0].is_empty:
                first = f'<rdf:li xmlns:rdf="{_RDF}" xml:lang="{_DEFAULT_LANGUAGE}">{content}</rdf:li>'
                return self._without_empty_default(each)._inserted_into_list(first)
            break
        alternatives = (
            f'<dc:description xmlns:dc="{_DC}" xmlns:rdf="{_RDF}"><rdf:Alt>'
            f'<rdf:li xml:lang="{_DEFAULT_LANGUAGE}">{content}</rdf:li></rdf:Alt></dc:description>'
        )
        return self._without(DESCRIPTION)._inserted(alternatives)

    def _without_empty_default(self, property_: _Element) -> Packet:
        for item in property_.items:
            if item.language == _DEFAULT_LANGUAGE:
                return self._spliced(item.start, item.end, "")
        return self

    def _inserted_into_list(self, item: str) -> Packet:
        place = next(each.lists[0].inside for each in self._properties if each.name == DESCRIPTION)
        return self._spliced(place, place, item)

    def _with_plain(self, name: Name, prefix: str, value: str) -> Packet:
        tag, content = f"{prefix}:{name[1]}", html.escape(value, quote=False)
        element = f'<{tag} xmlns:{prefix}="{name[0]}">{content}</{tag}>'
        return self._without(name)._inserted(element)

    def _without(self, name: Name) -> Packet:
        """Without a property, wherever it is stated."""
        packet = self
        for _ in range(_MAX_STATEMENTS):
            if (place := packet._place_of(name)) is None:
                return packet
            packet = packet._spliced(*place, "")
        raise MetadataError("its XMP states a property again and again")

    def _place_of(self, name: Name) -> tuple[int, int] | None:
        """Where a property stands, with the space before it."""
        for each in self._properties:
            if each.name == name:
                return each.start - len(_space_before(self._data, each.start)), each.end
        for node in self._nodes:
            if name in node.attributes:
                return self._attribute(node, name)
        return None

    def _attribute(self, node: _Element, name: Name) -> tuple[int, int]:
        """Where an attribute of a start tag stands: the one with this local name and value."""
        parser_names = self._names_in(node)
        for match in _ATTRIBUTE.finditer(self._data, node.start, node.inside):
            if parser_names.get(match[1].decode()) == name:
                return match.span()
        raise MetadataError("its XMP states a property in an unknown way")

    def _names_in(self, node: _Element) -> dict[str, Name]:
        return {prefixed: name for name, prefixed in self._prefixed.get(node.start, {}).items()}

    def _inserted(self, element: str) -> Packet:
        """With a property in the first rdf:Description."""
        if not self._nodes:
            assert self._rdf is not None
            node = f'<rdf:Description xmlns:rdf="{_RDF}" rdf:about="">{element}</rdf:Description>'
            return self._put_inside(self._rdf, node)
        return self._put_inside(self._nodes[0], f"\n   {element}")

    def _put_inside(self, parent: _Element, content: str) -> Packet:
        if not parent.is_empty:
            return self._spliced(parent.inside, parent.inside, content)
        tag = self._data[parent.start : parent.inside]
        name = _TAG_NAME.match(tag)
        assert name is not None
        opened = tag[: tag.rindex(b"/")].rstrip().decode() + ">"
        return self._spliced(parent.start, parent.inside, f"{opened}{content}</{name[1].decode()}>")

    def _spliced(self, start: int, end: int, text: str) -> Packet:
        return Packet(self._data[:start] + text.encode() + self._data[end:])

    # Reading

    def _parse(self) -> None:
        self._prefixed: dict[int, dict[Name, str]] = {}
        parser = expat.ParserCreate("utf-8", namespace_separator=" ")
        parser.namespace_prefixes = True
        parser.buffer_text = True
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = _refuse_document_type
        self._parser: Any = parser
        try:
            parser.Parse(self._data, True)
        except expat.ExpatError as error:
            raise MetadataError(f"its XMP is damaged ({error})") from error
        finally:
            del self._parser, parser

    def _start(self, qualified: str, attributes: list[str]) -> None:
        if len(self._open) > _MAX_DEPTH:
            raise MetadataError("its XMP is nested too deeply")
        start = self._parser.CurrentByteIndex
        inside = _tag_end(self._data, start)
        pairs = dict(zip(attributes[::2], attributes[1::2], strict=True))
        named = {_name(each)[0]: value for each, value in pairs.items()}
        element = _Element(
            name=_name(qualified)[0],
            start=start,
            inside=inside,
            is_empty=self._data[inside - 2 : inside] == b"/>",
            language=named.get((_XML, "lang"), ""),
            attributes=named,
        )
        self._place(element, pairs)
        self._open.append(element)

    def _place(self, element: _Element, pairs: Mapping[str, str]) -> None:
        """Note an element where it means something: RDF, its descriptions, their properties, their items."""
        if element.name == (_RDF, "RDF") and self._rdf is None:
            self._rdf = element
        if not self._open:
            return
        parent = self._open[-1]
        if any(name[0] == _ITEM for name in (element.name, *element.attributes)):
            self._note_file(element, parent, pairs)
        if element.name == (_RDF, "Description") and parent is self._rdf:
            self._nodes.append(element)
            self._prefixed[element.start] = {_name(each)[0]: _name(each)[1] for each in pairs}
        elif parent in self._nodes[-1:]:
            self._properties.append(element)
        elif self._properties and parent is self._properties[-1] and element.name[0] == _RDF:
            parent.lists.append(element)
        elif self._properties and parent in self._properties[-1].lists and element.name == (_RDF, "li"):
            self._properties[-1].items.append(element)

    def _note_file(self, element: _Element, parent: _Element, pairs: Mapping[str, str]) -> None:
        """Note what says something about a file in the photo's, in attributes or in an element of its own."""
        if element.name[0] == _ITEM:
            parent.items.append(element)
            element = parent
        else:
            self._prefixed[element.start] = {_name(each)[0]: _name(each)[1] for each in pairs}
        if element not in self._files[-1:]:
            self._files.append(element)

    def _end(self, _: str) -> None:
        element = self._open.pop()
        if self._open and element.name in ((_RDF, "value"), (_RDF, "Description")):
            self._open[-1].text += element.text  # a text with qualifiers
        if element.is_empty:
            element.inside_end, element.end = element.inside, element.inside
        else:
            element.inside_end = self._parser.CurrentByteIndex
            element.end = _tag_end(self._data, element.inside_end)

    def _characters(self, text: str) -> None:
        if self._open:
            self._open[-1].text.append(text)


def _refuse_document_type(*_: object) -> None:
    raise MetadataError("its XMP has a document type")


def _name(qualified: str) -> tuple[Name, str]:
    """From expat's "namespace local prefix": the name, and as it is written in the file."""
    parts = qualified.split(" ")
    if len(parts) == 1:
        return ("", parts[0]), parts[0]
    written = f"{parts[2]}:{parts[1]}" if len(parts) > 2 else parts[1]
    return (parts[0], parts[1]), written


def _tag_end(data: bytes, at: int) -> int:
    """The byte behind a tag that begins at a place; a > in quotes ends none."""
    tag = _TAG.match(data, at)
    return tag.end() if tag else len(data)


def _space_before(data: bytes, at: int) -> bytes:
    before = data[max(0, at - 200) : at]
    return before[len(before.rstrip()) :]


def _as_utf8(data: bytes) -> bytes:
    """A packet in UTF-8, whatever encoding its first bytes or its declaration tell."""
    if len(data) > MAX_BYTES:
        raise MetadataError("its XMP is too long")
    wide = _wide_encoding(data)
    data = data if wide else data.rstrip(b"\0").lstrip()
    declared = re.match(rb"<\?xml[^>]*encoding\s*=\s*[\"']([\w.-]+)[\"']", data.removeprefix(b"\xef\xbb\xbf"))
    encoding = wide or (declared[1].decode("ascii") if declared else "utf-8")
    try:
        text = data.decode(encoding)
    except (LookupError, UnicodeDecodeError) as error:
        raise MetadataError("its XMP is in no readable encoding") from error
    return _DECLARED.sub(r'\1 encoding="UTF-8"', text.lstrip(), count=1).encode()


def _wide_encoding(data: bytes) -> str:
    """The kind of UTF-16 or UTF-32 that the first bytes tell, or ""."""
    if data[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "utf-32"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if data[:4] in (b"<\0\0\0", b"\0\0\0<"):
        return "utf-32-le" if data[:1] == b"<" else "utf-32-be"
    return {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}.get(data[:2], "")
