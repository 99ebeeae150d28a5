"""What import-linter cannot see: the library's own face, `from cutline import load`."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import cutline
import cutline.errors

SERVER = Path(cutline.__file__).parent / "server"


def names_of_the_face(path: Path) -> set[str]:
    """What a file takes from the package `cutline` itself."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "cutline":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name == "cutline"}
    return found


def test_only_the_captioner_module_loads_models() -> None:
    errors = {name for name in cutline.__all__ if hasattr(cutline.errors, name)}
    doors = set(cutline.__all__) - errors | {"cutline"}
    files = [path for path in SERVER.rglob("*.py") if path != SERVER / "captioner.py"]
    assert len(files) > 100
    assert {path.name: names for path in files if (names := names_of_the_face(path) & doors)} == {}


def test_a_laptop_s_service_imports_neither_redis_nor_boto3(tmp_path: Path) -> None:
    """Each takes a tenth of a second or more, at every start."""
    ask = "import sys, cutline.server.asgi; print({'redis', 'boto3'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"
