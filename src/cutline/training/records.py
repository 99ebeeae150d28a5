"""What one entry of a file of captions says: the photo, its captions and its split, whoever wrote the file.

Known are tables with a column of photos and columns of captions, and the JSON of `cutline caption`, of COCO's
results, of BLIP, LLaVA and Label Studio.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cutline.training.examples import Report
from cutline.training.photo_files import IMAGE_NAME
from cutline.training.reading import complain, without_known

# fmt: off
IMAGE_COLUMNS = (
    "image", "file_name", "filename", "file", "image_path", "path", "image_name", "img", "photo", "images",
    "image_file", "img_path", "filepath",
)
# fmt: on
_NUMBER_COLUMNS = ("image_id", "imgid", "img_id", "cocoid")
PHOTO_COLUMNS = (*IMAGE_COLUMNS, *_NUMBER_COLUMNS)
ADDRESS_COLUMNS = ("url", "image_url", "photo_url", "uri")  # of photos elsewhere, which trainings do not read
CAPTION_COLUMNS = ("caption", "captions", "caption_str", "text", "sentence", "sentences", "description")
_LESSER_COLUMNS = ("comment", "comments", "raw")  # captions where there are none of the above
_NUMBERED_CAPTION = re.compile(r"(?:caption|text|sentence|comment)s?[_ .-]?\d+")
_PYTHON_TEXT = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*\"""")
# As pandas writes lists, and NumPy's arrays, which have no commas. With double quotes alone it is JSON.
_PYTHON_LIST = re.compile(rf"\[\s*(?={_PYTHON_TEXT.pattern})(?:(?:{_PYTHON_TEXT.pattern})\s*(?:,\s*)?)+\]")
_TEXT_FIELDS = ("text", "caption", "raw")

_ANSWERERS = ("gpt", "chatgpt", "assistant", "model", "bot")
_IMAGE_TAG = re.compile(r"<img>(.+?)</img>", re.IGNORECASE)  # Qwen-VL
_PLACEHOLDER = re.compile(r"<(?:image|im_patch|im_start|im_end|video)>\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry. name: the photo, as the file calls it; number: its number there; "" if not said."""

    name: str = ""
    number: str = ""
    captions: Sequence[str] = ()
    split: object = ""

    @property
    def names_a_photo(self) -> bool:
        """Whether it says of which photo it speaks."""
        return bool(self.name or self.number)


def read_record(row: Mapping[str, Any], where: str, report: Report) -> Record | None:
    """What a row says; None for talk about no photo. What is not text is reported."""
    if isinstance(turns := row.get("conversations") or row.get("messages"), list):
        return _conversation(row, turns, where, report)
    if isinstance(data := row.get("data"), dict) and ("annotations" in row or "completions" in row):
        return _labelled(row, data, where, report)
    row = {str(name).strip().lower(): value for name, value in row.items()}
    if "annotation_id" in row and "id" in row:
        return _labelled_flat(row, where, report)
    return Record(
        name=_image_in(row, where, report),
        number=_number_in(row),
        captions=row_captions(row, where, report),
        split=row.get("split"),
    )


def names_photos(columns: Sequence[str]) -> bool:
    """Whether one of these columns names a photo."""
    return any(name in columns for name in (*PHOTO_COLUMNS, "annotation_id"))


def row_captions(row: Mapping[str, Any], where: str, report: Report) -> list[str]:
    """Every caption of a row: one text, a list of them, or several columns."""
    columns = [name for name in row if name in CAPTION_COLUMNS or _NUMBERED_CAPTION.fullmatch(name)]
    columns = columns or [name for name in row if name in _LESSER_COLUMNS]
    captions: list[str] = []
    for name in columns:
        texts = _texts_of([row[name]], where, report)
        # Some programs write one caption under two names; of caption_1 and caption_2, each is one of its own.
        captions += without_known(texts, captions) if name in CAPTION_COLUMNS else texts
    return captions


def _texts_of(values: Sequence[object], where: str, report: Report) -> list[str]:
    found = [each for value in values if value is not None for each in _flat(value)]
    if any(not isinstance(each, str) for each in found):
        complain(report, "malformed", "a caption is not a text", where)
    return [each for each in found if isinstance(each, str)]


def _flat(value: object) -> Iterator[object]:
    """The captions in a value: each of a list, and of an object, such as Karpathy's, its text."""
    if isinstance(value, list):
        for each in value:
            if each is not None:
                yield from _flat(each)
    elif isinstance(value, dict):
        yield from _flat(next((value[name] for name in _TEXT_FIELDS if name in value), None))
    else:
        yield value


def texts_in_cell(cell: str) -> str | list[str]:
    """The captions in a cell of a CSV file; some write a list there: JSON, {"text": list}, or Python's."""
    if not cell.startswith(("[", "{")):
        return cell
    if _PYTHON_LIST.fullmatch(cell):
        return [ast.literal_eval(each[0]) for each in _PYTHON_TEXT.finditer(cell)]
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    found = found.get("text") if isinstance(found, dict) else found
    return found if isinstance(found, list) and all(isinstance(text, str) for text in found) else cell


def _image_in(row: Mapping[str, Any], where: str, report: Report) -> str:
    for name in IMAGE_COLUMNS:
        value = photo_in(row.get(name))
        if isinstance(value, str) and value.strip():
            return value.strip()
        if value and not isinstance(value, str):
            complain(report, "malformed", f"{name} is {value!r:.60}, not a photo's name", where)
    return ""


def photo_in(value: object) -> object:
    """What a value says of a photo: of a list the first, of an object the path, as Hugging Face has it."""
    value = value[0] if isinstance(value, list) and value else value
    return value.get("path") if isinstance(value, dict) else value


def _number_in(row: Mapping[str, Any]) -> str:
    values = (row.get(name) for name in _NUMBER_COLUMNS)
    found = (
        value for value in values if isinstance(value, int | float | str) and not isinstance(value, bool)
    )
    return id_text(next(found, ""))


def id_text(value: object) -> str:
    """The number of a photo as text; some programs write whole numbers as 42.0."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()


# LLaVA, and chats written like its: what people and models said about a photo, in turns


def _conversation(
    row: Mapping[str, Any], turns: Sequence[object], where: str, report: Report
) -> Record | None:
    name = _image_in({str(key).lower(): value for key, value in row.items()}, where, report)
    name = name or next(filter(None, map(_image_of_turn, turns)), "")
    answers = [answer for turn in turns if (answer := _answer(turn)) is not None]
    if not name:
        complain(report, "caption_without_image", "talk about no photo", where, severity="note")
        return None
    if not answers:
        complain(report, "malformed", "nobody answers in this conversation", where)
    if len(answers) > 1:
        message = f"{len(answers) - 1} more, to other questions"
        complain(report, "answers_left_out", message, where, severity="note")
    return Record(name=name, captions=answers[:1], split=row.get("split"))


def _image_of_turn(turn: object) -> str:
    """The photo that a person shows within the talk; "" for none, or for one that is there itself."""
    said = turn.get("value", turn.get("content")) if isinstance(turn, dict) else None
    if isinstance(said, str):
        return match[1].strip() if (match := _IMAGE_TAG.search(said)) else ""
    for part in said if isinstance(said, list) else ():
        image = part.get("image_url", part.get("image")) if isinstance(part, dict) else None
        image = image.get("url") if isinstance(image, dict) else image
        if isinstance(image, str) and not image.startswith("data:"):
            return image.strip()
    return ""


def _answer(turn: object) -> str | None:
    """What the model says in a turn, without the marks that stand for photos; None where a person speaks."""
    if not isinstance(turn, dict) or turn.get("from", turn.get("role")) not in _ANSWERERS:
        return None
    said = turn.get("value", turn.get("content"))
    if isinstance(said, list):  # [{"type": "image"}, {"type": "text", "text": ...}]
        parts = [each.get("text") for each in said if isinstance(each, dict)]
        said = " ".join(part for part in parts if isinstance(part, str))
    return _PLACEHOLDER.sub("", said).strip() if isinstance(said, str) else None


# Label Studio: JSON with a list of results for each annotation, or flat (JSON-MIN, CSV)


def _labelled(task: Mapping[str, Any], data: Mapping[str, Any], where: str, report: Report) -> Record:
    annotations = task.get("annotations", task.get("completions"))
    captions: list[str] = []
    for annotation in annotations if isinstance(annotations, list) else ():
        if isinstance(annotation, dict) and not annotation.get("was_cancelled"):
            written = _likeliest(list(_written_in(annotation.get("result"))))
            captions += _texts_of([value for _, value in written], where, report)
    return Record(name=_photo_of_task(data), captions=list(dict.fromkeys(captions)), split=data.get("split"))


def _written_in(results: object) -> Iterator[tuple[str, object]]:
    """The name of each field to write in, and what somebody wrote there; no text that was only marked."""
    for result in results if isinstance(results, list) else ():
        value = result.get("value") if isinstance(result, dict) else None
        if isinstance(value, dict) and "text" in value and result.get("type", "textarea") == "textarea":
            yield str(result.get("from_name", "")), value["text"]


def _likeliest(written: Sequence[tuple[str, object]]) -> Sequence[tuple[str, object]]:
    """What is called a caption, of several fields; else what is called a text; else all."""
    for likely in (_CAPTION_FIELD, _TEXT_FIELD):
        if found := [each for each in written if likely.search(each[0])]:
            return found
    return written


_CAPTION_FIELD = re.compile("caption|desc", re.IGNORECASE)
_TEXT_FIELD = re.compile("text|sentence|answer|response|transcri", re.IGNORECASE)
# fmt: off
_TASK_FIELDS = {
    "id", "inner_id", "annotator", "annotation_id", "completed_by", "created_at", "updated_at", "lead_time",
    "agreement", "ground_truth", "was_cancelled", "project", "file_upload", "meta", "title", "name", "split",
}
# fmt: on


def _labelled_flat(row: Mapping[str, Any], where: str, report: Report) -> Record:
    """The task's fields and the answers stand side by side: their names alone tell them apart."""
    name = _photo_of_task(row) or _image_in(row, where, report)
    fields = [(field, row[field]) for field in row if field not in _TASK_FIELDS and row[field] != name]
    exact = [each for each in fields if each[0] in CAPTION_COLUMNS]
    captions = [
        value for _, value in exact or _likeliest([each for each in fields if not _is_choice(each[1])])
    ]
    return Record(
        name=name, number=_number_in(row), captions=_texts_of(captions, where, report), split=row.get("split")
    )


def _is_choice(value: object) -> bool:
    """Whether it is no text: a rating, boxes, labels."""
    values = value if isinstance(value, list) else [value]
    return any(
        isinstance(each, int | float) or (isinstance(each, dict) and "text" not in each) for each in values
    )


def _photo_of_task(data: Mapping[str, Any]) -> str:
    """The photo's address, in whatever field the project's settings put it."""
    texts = [(name, value) for name, value in data.items() if isinstance(value, str) and value.strip()]
    likely = [value for name, value in texts if name.lower() in IMAGE_COLUMNS]
    likely += [value for _, value in texts if IMAGE_NAME.search(value)]
    return next(iter(likely), "").strip()
