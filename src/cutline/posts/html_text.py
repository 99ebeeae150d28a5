"""The text of HTML, and the pictures in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

_BREAKS = frozenset({"br", "p", "div", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "tr"})
_SILENT = frozenset({"script", "style", "template"})


@dataclass(slots=True, kw_only=True)
class Picture:
    """A picture: its address, its alternative text, and the caption of the figure that it stands in."""

    src: str
    alt: str = ""
    caption: str = ""


def text_of(html: str) -> str:
    """What a reader of HTML sees, paragraphs on lines of their own."""
    parser = _Reader()
    parser.feed(html)
    parser.close()
    return "\n".join(filter(None, (" ".join(line.split()) for line in "".join(parser.text).split("\n"))))


def pictures_in(html: str) -> Iterator[Picture]:
    """The pictures of a page, each with the caption of its figure."""
    parser = _Reader()
    parser.feed(html)
    parser.close()
    yield from parser.pictures


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.pictures: list[Picture] = []
        self._silent = 0
        self._figure: list[Picture] | None = None
        self._caption: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BREAKS:
            self.text.append("\n")
        elif tag in _SILENT:
            self._silent += 1
        elif tag == "img":
            self._add_picture({name: value or "" for name, value in attrs})
        elif tag == "figure":
            self._figure = []
        elif tag == "figcaption":
            self._caption = []

    def handle_endtag(self, tag: str) -> None:
        if tag in _BREAKS:
            self.text.append("\n")
        elif tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag == "figcaption" and self._caption is not None:
            for picture in self._figure or ():
                picture.caption = " ".join("".join(self._caption).split())
            self._caption = None
        elif tag == "figure":
            self._figure = None

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        self.text.append(data)
        if self._caption is not None:
            self._caption.append(data)

    def _add_picture(self, attributes: dict[str, str]) -> None:
        picture = Picture(src=attributes.get("src", ""), alt=attributes.get("alt", "").strip())
        self.pictures.append(picture)
        if self._figure is not None:
            self._figure.append(picture)
