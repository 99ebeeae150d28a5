"""The Java programs of the COCO caption evaluation, run through pycocoevalcap where both are installed.

They are the reference that other papers use: METEOR 1.5, the Stanford PTBTokenizer, SPICE. Nothing here is
needed for the other metrics, and nothing here is downloaded: what is absent is reported as absent.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from cutline.errors import CutlineError, MissingExtra
from cutline.metrics.ngrams import Floats, Hypotheses, References, Tokens, pair
from cutline.metrics.tokens import drop_punctuation

PTB_TOKENIZER_JAVA = "Stanford PTBTokenizer 3.4.1 (Java)"
METEOR_JAVA = "METEOR 1.5 (Java)"
SPICE_JAVA = "SPICE 1.0 (Java)"

_TIMEOUT_S = 600
_HINT = "Install a Java runtime (8 or newer) and `pip install pycocoevalcap`."


class JavaFailed(CutlineError):
    """A Java program failed, or gave an answer that cannot be parsed."""

    code = "java_failed"


def why_unavailable() -> str:
    """The reason why the Java programs cannot run; "" if they can."""
    if shutil.which("java") is None:
        return "There is no Java runtime on the path."
    if importlib.util.find_spec("pycocoevalcap") is None:
        return "The package pycocoevalcap is not installed."
    return ""


def why_spice_unavailable() -> str:
    """The reason why SPICE cannot run; "" if it can."""
    if reason := why_unavailable():
        return reason
    models = list((_package() / "spice" / "lib").glob("stanford-corenlp-*.jar"))
    if len(models) < 2:
        return "SPICE's parser models (stanford-corenlp jars) are not in pycocoevalcap/spice/lib."
    return ""


def package_version() -> str:
    """The version of pycocoevalcap, which is stated with the scores of its programs."""
    return importlib.metadata.version("pycocoevalcap")


def tokenize_java(texts: Sequence[str]) -> list[list[str]]:
    """Split captions with the Stanford PTBTokenizer and drop punctuation, as the COCO evaluation does.

    The program joins the parts of "1 1/2" and of telephone numbers by non-breaking spaces, which the
    scorers split again: so does this. It reads all captions as one text, so a caption that ends in a
    single letter ("plan B.") depends on how the next one begins.
    Raises MissingExtra without Java or pycocoevalcap, JavaFailed when the program fails.
    """
    jar = _jar("tokenizer", "stanford-corenlp-3.4.1.jar")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "captions.txt"
        path.write_text("".join(" ".join(text.split()) + "\n" for text in texts), encoding="utf-8")
        command = ["java", "-Dfile.encoding=UTF-8", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
        output = _run([*command, "-encoding", "UTF-8", "-preserveLines", "-lowerCase", str(path)])
    lines = output.split("\n")[:-1]
    if len(lines) != len(texts):
        raise JavaFailed(f"The Java tokenizer gave {len(lines)} lines for {len(texts)} captions.")
    return [drop_punctuation(line.split()) for line in lines]


def meteor_java(references: References, hypotheses: Hypotheses) -> tuple[float, Floats]:
    """Score a corpus with METEOR 1.5: the corpus score, and each item's score [N], between 0 and 1.

    Raises MissingExtra without Java or pycocoevalcap, JavaFailed when the program fails.
    """
    jar = _jar("meteor", "meteor-1.5.jar")
    command = ["java", "-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", str(jar), "-", "-", "-stdio"]
    pairs = pair(references, hypotheses)
    with subprocess.Popen(
        [*command, "-l", "en", "-norm"],
        cwd=jar.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ask = _Conversation(process.stdin, process.stdout)
            statistics = [
                ask.one(" ||| ".join(["SCORE", *map(_line, captions), _line(hypothesis)]))
                for captions, hypothesis in pairs
            ]
            *scores, total = ask.many(" ||| ".join(["EVAL", *statistics]), len(pairs) + 1)
            return float(total), np.array([float(score) for score in scores])
        except (BrokenPipeError, ValueError) as error:
            raise JavaFailed(
                "METEOR (Java) stopped or gave no number.", hint="Try `java -version`."
            ) from error
        finally:
            process.kill()


class _Conversation:
    """Write a line, read lines: METEOR's -stdio protocol."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self._requests = requests
        self._answers = answers

    def one(self, request: str) -> str:
        return self.many(request, 1)[0]

    def many(self, request: str, lines: int) -> list[str]:
        self._requests.write(request + "\n")
        self._requests.flush()
        return [self._answers.readline().strip() for _ in range(lines)]


def spice_java(references: References, hypotheses: Hypotheses) -> tuple[float, Floats]:
    """Score a corpus with SPICE: the mean F-score, and each item's [N], between 0 and 1.

    Raises MissingExtra when its models, Java or pycocoevalcap are absent, JavaFailed when it fails (it was
    written for Java 8, and newer ones may refuse it).
    """
    if reason := why_spice_unavailable():
        raise MissingExtra(reason, hint="See pycocoevalcap's get_stanford_models.")
    folder = _package() / "spice"
    questions = [
        {"image_id": index, "test": _line(hypothesis), "refs": [_line(caption) for caption in captions]}
        for index, (captions, hypothesis) in enumerate(pair(references, hypotheses))
    ]
    with tempfile.TemporaryDirectory() as temporary:
        asked, answered = Path(temporary) / "in.json", Path(temporary) / "out.json"
        asked.write_text(json.dumps(questions), encoding="utf-8")
        command = ["java", "-jar", "-Xmx8G", str(_jar("spice", "spice-1.0.jar")), str(asked)]
        _run([*command, "-out", str(answered), "-subset", "-silent"], cwd=folder)
        answers = json.loads(answered.read_text(encoding="utf-8"))
    by_index = {int(answer["image_id"]): float(answer["scores"]["All"]["f"]) for answer in answers}
    scores = np.array([by_index[index] for index in range(len(questions))])
    return float(scores.mean()), scores


def _line(tokens: Tokens) -> str:
    return " ".join(map(str, tokens)).replace("|||", "").replace("\n", " ")


def _package() -> Path:
    spec = importlib.util.find_spec("pycocoevalcap")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("The package pycocoevalcap is not installed.", hint=_HINT)
    return Path(next(iter(spec.submodule_search_locations)))


def _jar(folder: str, name: str) -> Path:
    if reason := why_unavailable():
        raise MissingExtra(reason, hint=_HINT)
    jar = _package() / folder / name
    if not jar.is_file():
        raise MissingExtra(f"pycocoevalcap lacks {folder}/{name}.", hint=_HINT)
    return jar


def _run(command: list[str], cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, check=True, encoding="utf-8", timeout=_TIMEOUT_S
        )
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:]
        raise JavaFailed(f"A Java program failed: {' '.join(last) or error}") from error
    except subprocess.TimeoutExpired as error:
        raise JavaFailed(f"A Java program took longer than {_TIMEOUT_S} s.") from error
    return done.stdout
