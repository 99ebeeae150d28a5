"""Runs the two graphs of a bundle: an image encoder, and one step of a decoder.

``Runtime`` is all that decoding needs of the library that runs them. ONNX Runtime is the default; OpenVINO
is an extra.

Shapes: B images, K beams, V vocabulary, M top tokens, R grid cells.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from cutline.captioning.bundle import DECODER, ENCODER, TEXT, Bundle, Manifest, State
from cutline.captioning.onnx_files import names_other_files
from cutline.errors import BundleDamaged, MissingExtra
from cutline.telemetry import openvino_kept_quiet
from cutline.vectors import unit

if TYPE_CHECKING:
    import onnxruntime  # type: ignore[import-untyped]
    import openvino  # type: ignore[import-untyped]

Floats: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int64]
Pixels: TypeAlias = NDArray[np.uint8]
Tensors: TypeAlias = dict[str, Floats]

_MEMORY, _INITIAL, _STATE, _NEXT = "memory.", "initial.", "state.", "next."
_EMBEDDING, _CONCEPTS = "embedding", "concepts"


class Engine(StrEnum):
    """The library that runs the graphs."""

    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The encoder's output for B images.

    ``memory`` is what the decoder reads at every step, by input name, once per image [B, ...].
    ``state`` is what it starts from, by plain name, for one beam [B, 1, ...].
    ``embedding`` is where the images lie among others, [B, E], where the encoder says so itself.
    ``concepts`` [B, 2, V] says of each word how likely the image shows it, and how rare that is, where the
    encoder knows.
    """

    memory: Tensors
    state: Tensors
    embedding: Floats | None = None
    concepts: Floats | None = None

    def places(self) -> Floats:
        """Where the images lie among others, [B, E], of length 1: the embedding, else the pooled features."""
        return unit(_pooled(self.memory) if self.embedding is None else self.embedding)


def _pooled(memory: Tensors) -> Floats:
    """The mean over the image of what the last of its features says, [B, E]."""
    features = memory[max(memory)]
    return (features.mean(axis=-2) if features.ndim > 2 else features).reshape(len(features), -1)


def joined(pieces: Sequence[Encoded]) -> Encoded:
    """Concatenate batches of images."""
    first = pieces[0]
    if len(pieces) == 1:
        return first
    return Encoded(
        memory={name: np.concatenate([each.memory[name] for each in pieces]) for name in first.memory},
        state={name: np.concatenate([each.state[name] for each in pieces]) for name in first.state},
        embedding=_concatenated([each.embedding for each in pieces]),
        concepts=_concatenated([each.concepts for each in pieces]),
    )


def _concatenated(given: Sequence[Floats | None]) -> Floats | None:
    pieces = [each for each in given if each is not None]
    if 0 < len(pieces) < len(given):
        raise ValueError("these were encoded by different encoders")
    return np.concatenate(pieces) if pieces else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The decoder's output for the next token.

    ``log_probs`` [B, K, V] where it was asked for; ``top_log_probs`` and ``top_tokens`` [B, K, M],
    likeliest first; ``attention`` [B, K, R]; ``state`` for the next step, [B, K, ...] each.
    """

    log_probs: Floats | None
    top_log_probs: Floats
    top_tokens: Ints
    attention: Floats
    state: Tensors


class Runtime(Protocol):
    """The graphs of one bundle. Thread-safe."""

    @property
    def embedding_width(self) -> int | None:
        """The length of embeddings that the encoder itself gives; 0 for none, None where it is free."""
        ...

    def encode(self, pixels: Pixels) -> Encoded:
        """Encode images, uint8 [B, H, W, 3]."""
        ...

    def step(self, tokens: Ints, memory: Tensors, state: Tensors, *, full: bool) -> Step:
        """Take one step. ``tokens`` [B, K] are the last ones; ``full`` asks for ``log_probs`` as well."""
        ...


Run: TypeAlias = Callable[[Sequence[str], Mapping[str, NDArray[Any]]], list[NDArray[Any]]]


Shape: TypeAlias = tuple[int | None, ...]
"""The lengths of a tensor's axes, None where a length is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A loaded graph: its inputs and outputs by name, and how to run it. A shape is None where unknown."""

    inputs: Mapping[str, Shape | None]
    outputs: Mapping[str, Shape | None]
    run: Run


class GraphRuntime:
    """A Runtime over two graphs. Raises BundleDamaged if they do not fit the format of docs/bundle.md."""

    def __init__(self, encoder: Graph, decoder: Graph, bundle: Bundle) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._states = states = bundle.manifest.architecture.state
        self._memory = tuple(name for name in encoder.outputs if name.startswith(_MEMORY))
        self._initial = tuple(name for name in encoder.outputs if name.startswith(_INITIAL))
        self._more = tuple(name for name in (_EMBEDDING, _CONCEPTS) if name in encoder.outputs)
        self._lean = ("top_log_probs", "top_tokens", "attention", *(_NEXT + name for name in states))
        self._check_names(bundle.where)
        self._check_shapes(bundle.manifest, bundle.where)

    @property
    def embedding_width(self) -> int | None:
        """As Runtime."""
        if _EMBEDDING not in self._more:
            return 0
        shape = self._encoder.outputs[_EMBEDDING]
        return shape[-1] if shape else None

    def encode(self, pixels: Pixels) -> Encoded:
        """As Runtime."""
        names = (*self._memory, *self._initial, *self._more)
        outputs = dict(zip(names, self._encoder.run(names, {"pixels": pixels}), strict=True))
        return Encoded(
            memory={name: outputs[name] for name in self._memory},
            state={name: self._first(name, outputs, len(pixels)) for name in self._states},
            embedding=outputs.get(_EMBEDDING),
            concepts=outputs.get(_CONCEPTS),
        )

    def step(self, tokens: Ints, memory: Tensors, state: Tensors, *, full: bool) -> Step:
        """As Runtime."""
        feeds: dict[str, NDArray[Any]] = {"tokens": tokens, **memory}
        feeds.update((_STATE + name, value) for name, value in state.items())
        names = ("log_probs", *self._lean) if full else self._lean
        outputs = self._decoder.run(names, feeds)
        log_probs = outputs.pop(0) if full else None
        top_log_probs, top_tokens, attention, *states = outputs
        return Step(
            log_probs=log_probs,
            top_log_probs=top_log_probs,
            top_tokens=top_tokens,
            attention=attention,
            state=dict(zip(self._states, states, strict=True)),
        )

    def _first(self, name: str, outputs: Tensors, images: int) -> Floats:
        given = outputs.get(_INITIAL + name)
        if given is None:
            return np.zeros((images, 1, *self._states[name].shape), np.float32)
        return given[:, None]

    def _check_names(self, where: str) -> None:
        wanted = {
            f"{ENCODER}'s inputs": ({"pixels"}, self._encoder.inputs),
            f"{DECODER}'s inputs": (
                {"tokens", *self._memory, *(_STATE + name for name in self._states)},
                self._decoder.inputs,
            ),
            f"{DECODER}'s outputs": ({"log_probs", *self._lean}, self._decoder.outputs),
        }
        for what, (names, found) in wanted.items():
            if names != set(found):
                raise BundleDamaged(
                    f"{what} in the bundle {where} are {', '.join(sorted(found))}; "
                    f"its format wants {', '.join(sorted(names))}."
                )
        strangers = {name.removeprefix(_INITIAL) for name in self._initial} - set(self._states)
        if strangers:
            raise BundleDamaged(
                f"{ENCODER} in the bundle {where} has unknown initial states: {', '.join(strangers)}."
            )

    def _check_shapes(self, manifest: Manifest, where: str) -> None:
        """Refuse a bundle.json whose sizes differ from the graphs': no hash protects bundle.json itself."""
        architecture, pixels = manifest.architecture, manifest.preprocessing
        rows, cols = architecture.grid
        states = {name: _state_shape(state) for name, state in self._states.items()}
        seen = {"pixels": (None, pixels.height_px, pixels.width_px, 3)}
        read = {name: self._encoder.outputs[name] for name in self._memory}
        read |= {_STATE + name: shape for name, shape in states.items()}
        said = {
            "log_probs": (None, None, architecture.vocabulary),
            "attention": (None, None, rows * cols),
            **{_NEXT + name: shape for name, shape in states.items()},
        }
        known = {_CONCEPTS: (None, 2, architecture.vocabulary)} if _CONCEPTS in self._more else {}
        for graph, found, wanted in (
            (ENCODER, self._encoder.inputs, seen),
            (ENCODER, self._encoder.outputs, known),
            (DECODER, self._decoder.inputs, read),
            (DECODER, self._decoder.outputs, said),
        ):
            for name, shape in wanted.items():
                if not _agree(found[name], shape):
                    raise BundleDamaged(
                        f"{name} of {graph} in the bundle {where} is {_text(found[name])}; "
                        f"the rest of the bundle says {_text(shape)}."
                    )


def _state_shape(state: State) -> Shape:
    return (None, None, *(None if i == state.grows_on else size for i, size in enumerate(state.shape)))


def _agree(one: Shape | None, other: Shape | None) -> bool:
    if one is None or other is None:
        return True
    return len(one) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(one, other, strict=True)
    )


def _text(shape: Shape | None) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in shape or ())}]"


_most_threads: ContextVar[int] = ContextVar("most_threads", default=8)


@contextmanager
def at_most_threads(count: int | None) -> Iterator[None]:
    """Within this, the default is at most so many threads: for one of several processes on a machine."""
    token = _most_threads.set(count or _most_threads.get())
    try:
        yield
    finally:
        _most_threads.reset(token)


def default_threads() -> int:
    """The number of threads that a graph uses by default: the cores that we may use, at most 8."""
    return min(
        _most_threads.get(),
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
    )


def open_runtime(
    bundle: Bundle,
    *,
    engine: Engine = Engine.ONNXRUNTIME,
    threads: int | None = None,
    is_shared_out: bool = False,
    is_exact: bool = False,
) -> Runtime:
    """Load a bundle's graphs. Raises BundleDamaged, or MissingExtra for an engine that is not installed.

    A call of ``encode`` uses all ``threads``; where they are shared out, one, so that as many calls run side
    by side: more photos a second, each of them later. A call of ``step`` always uses one, for its work is too
    small to be divided.

    is_exact: let ONNX Runtime compute every layer in float, as the graph says. That is slow; it is what a
    bundle's captions are compared with, for quick kernels differ from one CPU to another.
    """
    count = threads or default_threads()
    for name in (ENCODER, DECODER):
        _check_whole(bundle, name)
    load = _loader(engine, is_exact=is_exact)
    return GraphRuntime(
        load(bundle, ENCODER, count, count if is_shared_out else 1),
        load(bundle, DECODER, count, count),
        bundle,
    )


class TextTower:
    """The graph that says where texts lie among photos. Raises BundleDamaged if it does not fit the format.

    ``width`` is the length of the photos' embeddings, None where it is free.
    """

    def __init__(self, graph: Graph, *, width: int | None, where: str) -> None:
        if set(graph.inputs) != {"tokens"} or _EMBEDDING not in graph.outputs:
            raise BundleDamaged(
                f"{TEXT} in the bundle {where} must make {_EMBEDDING} of tokens, and no more."
            )
        if not _agree(graph.outputs[_EMBEDDING], (None, width)):
            raise BundleDamaged(
                f"{_EMBEDDING} of {TEXT} in the bundle {where} is {_text(graph.outputs[_EMBEDDING])}; "
                f"{ENCODER} says {_text((None, width))}."
            )
        self._run = graph.run

    def embed(self, tokens: Ints) -> Floats:
        """Where texts lie among photos, of length 1. tokens [B, T] -> [B, E]"""
        [embedding] = self._run([_EMBEDDING], {"tokens": tokens})
        return unit(embedding)


def open_text_tower(
    bundle: Bundle,
    *,
    engine: Engine = Engine.ONNXRUNTIME,
    width: int | None,
    is_exact: bool = False,
) -> TextTower:
    """Load a bundle's text tower; it has one. ``is_exact``: as for `open_runtime`. Raises BundleDamaged."""
    _check_whole(bundle, TEXT)
    load = _loader(engine, is_exact=is_exact)
    return TextTower(load(bundle, TEXT, 1, 1), width=width, where=bundle.where)


def _loader(engine: Engine, *, is_exact: bool = False) -> Callable[[Bundle, str, int, int], Graph]:
    """What loads a graph of a bundle, with its threads and how many calls share them."""
    if engine is Engine.ONNXRUNTIME:
        return partial(_load_onnxruntime, is_exact=is_exact)
    if engine is Engine.OPENVINO:
        return _load_openvino
    assert_never(engine)


def _check_whole(bundle: Bundle, name: str) -> None:
    try:
        reads_others = names_other_files(bundle.files[name])
    except ValueError as error:
        raise BundleDamaged(f"{name} of {bundle.where} cannot be loaded: {error}.") from error
    if reads_others:
        raise BundleDamaged(
            f"{name} of {bundle.where} keeps weights in other files, which is not allowed in a bundle."
        )


def _load_onnxruntime(
    bundle: Bundle, name: str, threads: int, calls: int, *, is_exact: bool = False
) -> Graph:
    """Load a graph with the number of threads that one call of it may use."""
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument  # type: ignore[import-untyped]

    try:
        session = onnxruntime.InferenceSession(
            bundle.files[name],
            _session_options(threads // calls, is_exact=is_exact),
            providers=["CPUExecutionProvider"],
        )
    except Exception as error:  # the library's own errors share no narrower class
        raise BundleDamaged(f"{name} of {bundle.where} cannot be loaded: {error}.") from error

    def run(names: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        try:
            outputs: list[NDArray[Any]] = session.run(names, feeds)
        except InvalidArgument as error:  # what it is fed is of the sizes that bundle.json says
            raise BundleDamaged(
                f"{name} of {bundle.where} does not run with the shapes in bundle.json: {error}."
            ) from error
        return outputs

    return Graph(
        inputs={each.name: _onnx_shape(each.shape) for each in session.get_inputs()},
        outputs={each.name: _onnx_shape(each.shape) for each in session.get_outputs()},
        run=run,
    )


def _onnx_shape(sizes: Sequence[int | str | None]) -> Shape | None:
    """The shape; ONNX Runtime gives free lengths as names, and no axes if their number is unknown."""
    return tuple(size if isinstance(size, int) else None for size in sizes) or None


def _session_options(threads: int, *, is_exact: bool = False) -> onnxruntime.SessionOptions:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if is_exact:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised; it need not be printed as well
    # Threads that spin for work would take the cores from whatever is at work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _load_openvino(bundle: Bundle, name: str, threads: int, calls: int) -> Graph:
    try:
        with openvino_kept_quiet():
            import openvino
    except ImportError as error:
        raise MissingExtra(
            "The engine openvino is not installed.", hint="Install it with: pip install 'cutline[openvino]'"
        ) from error
    try:
        core = openvino.Core()
        model = core.read_model(bundle.files[name], b"")
        compiled = core.compile_model(model, "CPU", _openvino_settings(threads, calls))
    except RuntimeError as error:
        raise BundleDamaged(f"{name} of {bundle.where} cannot be loaded: {error}.") from error
    # Compiled, outputs that are the same tensor have each other's names, too.
    given = [port.get_any_name() for port in model.outputs]
    ports = dict(zip(given, compiled.outputs, strict=True))

    def run(names: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        # A request of one's own for each call: requests may not be shared between threads.
        results = compiled.create_infer_request().infer(dict(feeds))
        return [np.asarray(results[ports[each]]) for each in names]

    return Graph(
        inputs={port.get_any_name(): _openvino_shape(port) for port in compiled.inputs},
        outputs={name: _openvino_shape(port) for name, port in ports.items()},
        run=run,
    )


def _openvino_shape(port: openvino.Output) -> Shape | None:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return None
    return tuple(None if size.is_dynamic else size.get_length() for size in shape)


def _openvino_settings(threads: int, calls: int) -> dict[str, str | int]:
    # In its default precision, bfloat16, captions differ from those of ONNX Runtime, on which the bundle's
    # scores were measured. Quantised layers run as integers either way.
    return {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": calls,
        "INFERENCE_PRECISION_HINT": "f32",
    }
