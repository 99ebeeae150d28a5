from __future__ import annotations

import subprocess
import sys

import pytest

import cutline


def test_the_public_face_is_small() -> None:
    assert set(cutline.__all__) == {"Caption", "Captioner", "CutlineError", "load"}
    for name in cutline.__all__:
        assert getattr(cutline, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = cutline.nothing


def in_a_fresh_python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
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
    loaded = in_a_fresh_python("import cutline, sys; print(*sys.modules)").split()
    assert not {"numpy", "PIL", "onnxruntime", "tokenizers", "click"} & set(loaded)
