"""What the readers of data sets share: finding files, reading text and JSON, and saying what is wrong."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from cutline.errors import DataError
from cutline.file_names import same_name
from cutline.photo_search import EXTENSIONS
from cutline.text_files import as_latin_1, decode, is_text, text_lines
from cutline.training.examples import DataConfig, Example, ImageFile, Problem, Report, canonical_split

IMAGE_SUFFIXES = EXTENSIONS
TEXT_SUFFIXES = (".txt", ".caption", ".cap", ".text")  # of captions in files of their own


def example_of(
    config: DataConfig,
    key: str,
    image: ImageFile | None,
    captions: Iterable[str],
    split: str,
    *,
    image_id: object = "",
    repeats: int = 1,
) -> Example:
    """One example of the data set that the settings name. Halves of characters in captions are dropped."""
    return Example(
        key=key,
        image=image,
        captions=tuple(each.encode("utf-8", "ignore").decode() for each in captions),
        split=split,
        source=config.name,
        image_id="" if image_id is None else str(image_id),
        repeats=repeats,
    )


def collect(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Captions by photo, in order of first appearance; of two spellings of a name the first stays."""
    captions: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for name, caption in pairs:
        captions.setdefault(first.setdefault(same_name(name), name), []).append(caption)
    return captions


def json_object(raw: bytes, where: str, report: Report) -> dict[str, Any]:
    """The object in a JSON file; an empty one where there is none, which is reported if it is no JSON."""
    try:
        found = json.loads(decoded(raw, where, report))
    except (ValueError, RecursionError) as error:
        complain(report, "malformed", f"not JSON ({error})", where)
        return {}
    return found if isinstance(found, dict) else {}


def caption_lines(text: str) -> list[str]:
    """The captions in a text file: a line each."""
    return [line.strip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def is_all_of(text: str, captions: Sequence[str]) -> bool:
    """Whether a text file holds one of these captions, or all of them, and nothing else.

    img2dataset writes a caption as text and as JSON; the text has as many lines as the caption, then.
    """
    return as_compared(text) in map(as_compared, (*captions, " ".join(captions)))


def without_known(texts: Iterable[str], known: Iterable[str]) -> list[str]:
    """The texts that are not among others already."""
    seen = set(map(as_compared, known))
    return [text for text in texts if as_compared(text) not in seen]


def as_compared(text: str) -> str:
    """What two spellings of one caption have in common: composed accents, and single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def complain(
    report: Report,
    code: str,
    message: str,
    where: str,
    *,
    severity: Literal["error", "warning", "note"] = "error",
) -> None:
    """Report what is wrong inside the files: by default an error."""
    report(Problem(code=code, severity=severity, message=message, where=where))


def expect(condition: bool, path: Path, what_is_wrong: str) -> None:
    """Raise DataError about a whole file unless the condition holds."""
    if not condition:
        raise DataError(f"{path} cannot be used: {what_is_wrong}.", hint="Is it the right kind of data set?")


def split_of(name: object, where: str, report: Report) -> str:
    """A split's name as we know it; an unknown one is reported."""
    if not name:
        return ""
    split = canonical_split(str(name))
    if split is None:
        complain(report, "unknown_split", f"the split {name!r} is not train, dev (val) or test", where)
    return split or ""


def find(root: Path, pattern: str) -> Path | None:
    """The first file that matches, in the folder or one below."""
    return next((path for depth in (pattern, f"*/{pattern}") for path in sorted(root.glob(depth))), None)


def read_lines(path: Path, report: Report) -> Iterator[str]:
    """The lines of a text file, in UTF-8, UTF-16 or UTF-32; what is none of these is reported."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(text_lines(file), 1):
                if is_text(line):
                    yield line.replace("\0", "")
                else:
                    _complain_of_encoding(f"{path}, line {number}", report)
                    yield as_latin_1(line)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error


def decoded(raw: bytes, where: str, report: Report) -> str:
    """A whole text; what is not text is reported, and read as Latin-1 so that the report can continue."""
    try:
        return decode(raw)
    except UnicodeDecodeError:
        _complain_of_encoding(where, report)
        return raw.decode("latin-1")


def _complain_of_encoding(where: str, report: Report) -> None:
    complain(report, "wrong_encoding", "not UTF-8; save the file as UTF-8", where)


def read_json(path: Path) -> Any:
    """A JSON file's content. Raises DataError when it cannot be read, is not UTF-8, or is not JSON."""
    try:
        return json.loads(decode(path.read_bytes()))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start:,}).", hint="Save it as UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}.") from error
