from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

import cutline
import cutline.errors
from tests.server.services.process import ANSWERS_S


def test_the_public_face_is_small() -> None:
    errors = {"CutlineError", "ImageError", "BundleError", "OptionError"}
    errors |= {"CaptionerUnavailable", "MissingExtra"}
    assert set(cutline.__all__) == {"Caption", "Captioner", "DecodingOptions", "load", *errors}
    for name in cutline.__all__:
        assert getattr(cutline, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = cutline.nothing


def drawn(kind: type[cutline.CutlineError], depth: int = 0) -> Iterator[tuple[int, str]]:
    """The tree of errors below a kind: how deep each stands, and its name."""
    yield depth, kind.__name__
    for below in kind.__subclasses__():
        if below.__module__ == "cutline.errors":
            yield from drawn(below, depth + 1)


def test_the_error_tree_is_as_its_docstring_draws_it() -> None:
    lines = re.findall(r"^ {4}((?:\|   )*(?:\+-- )?)(\w+)", cutline.errors.__doc__ or "", re.MULTILINE)
    assert [(len(branch) // 4, name) for branch, name in lines] == list(drawn(cutline.CutlineError))


def in_a_fresh_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=ANSWERS_S
    ).stdout


HEAVY = ("torch", "transformers", "django", "celery", "openvino")
MODULES = ("protocol", "options", "bundle", "tokenizer", "runtime", "decoding", "bundle_captioner")
MODULES += ("batching", "sources", "hugging_face", "endpoint", "streaming")


def test_captioning_imports_neither_torch_nor_django() -> None:
    imports = "\n".join(f"import cutline.captioning.{name}" for name in MODULES)
    loaded = in_a_fresh_python(f"import cutline\n{imports}\nimport sys\nprint(*sys.modules)").split()
    assert "cutline.captioning.hugging_face" in loaded
    assert not set(HEAVY) & set(loaded)


def test_captioning_works_where_torch_and_django_are_not_installed() -> None:
    """A None in sys.modules makes an import fail as if the package were not there."""
    code = f"""
import sys
sys.modules.update(dict.fromkeys({HEAVY!r}))
import cutline
for uri in ("hf:somewhere", "openvino:"):
    try:
        cutline.load(uri)
    except cutline.CutlineError as error:
        print(error.code)
"""
    assert in_a_fresh_python(code).split() == ["extra_missing", "extra_missing"]


def test_importing_cutline_imports_nothing_of_weight() -> None:
    heavy = {"numpy", "PIL", "onnxruntime", "tokenizers", "click"}
    loaded = in_a_fresh_python("import cutline, sys; print(*sys.modules)").split()
    assert not {*heavy, "cutline.captioning"} & set(loaded)
    used = "[getattr(cutline, name) for name in cutline.__all__]"
    assert not heavy & set(in_a_fresh_python(f"import cutline, sys; {used}; print(*sys.modules)").split())
