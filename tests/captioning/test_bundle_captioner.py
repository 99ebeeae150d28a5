from __future__ import annotations

import hashlib
import io
import json
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image
from tiny_bundle import (
    COLS,
    LSTM,
    ROWS,
    TRANSFORMER,
    MakeCaptioner,
    Tiny,
    bpe_tokenizer,
    edit_manifest,
    make_bundle,
)

import cutline
from cutline.captioning.bundle import Bundle, export_bundle, read_bundle, sealed
from cutline.captioning.bundle_captioner import ENCODED_AT_ONCE, BundleCaptioner
from cutline.captioning.options import DecodingOptions, Strategy
from cutline.captioning.runtime import Engine
from cutline.errors import BundleDamaged, BundleMissing, ImageError, OptionError, UnreadableImage

SAMPLE = DecodingOptions(strategy=Strategy.SAMPLE, seed=7, temperature=2.0)


def texts(captions: list[list[cutline.Caption]]) -> list[list[str]]:
    return [[each.text for each in of_one] for of_one in captions]


def test_one_image_or_many_as_path_bytes_or_picture(
    make_captioner: MakeCaptioner, photos: list[Image.Image], tmp_path: Path
) -> None:
    captioner = make_captioner()
    buffer = io.BytesIO()
    photos[0].save(buffer, "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(buffer.getvalue())
    forms = [path, str(path), buffer.getvalue(), photos[0]]
    many = texts(captioner.caption(forms))
    assert many == [many[0]] * 4
    for form in forms:
        assert texts(captioner.caption(form)) == [many[0]]
    assert captioner.caption([]) == []
    assert texts(captioner.caption(bytearray(buffer.getvalue()))) == [many[0]]  # type: ignore[arg-type]
    for what, reason in (
        (buffer, r"no BytesIO: give its read\(\)"),
        (np.asarray(photos[0]), r"no ndarray: give Image\.fromarray"),
        (None, "no NoneType"),
    ):
        with pytest.raises(TypeError, match=reason):
            captioner.caption(what)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [TRANSFORMER, LSTM])
def test_a_caption_says_what_the_model_thought(
    make_captioner: MakeCaptioner, photos: list[Image.Image], kind: str
) -> None:
    for captions in make_captioner(Tiny(kind=kind)).caption(photos, n=3):
        assert len(captions) == 3
        for caption in captions:
            assert caption.log_prob == pytest.approx(math.fsum(caption.token_log_probs))
            assert len(caption.token_log_probs) == len(caption.words) + 1
            assert caption.text == " ".join(caption.words).capitalize() + "."
            assert caption.attention is not None
            assert caption.attention.shape == (len(caption.words), ROWS, COLS)
            assert caption.attention.sum(axis=(1, 2)) == pytest.approx(1, abs=1e-5)


def test_a_word_that_also_looked_elsewhere_shares_its_look_among_the_cells() -> None:
    """The model that ships looks at its concepts, too, which lie in no cell."""
    examples = Path(__file__).parents[2] / "examples"
    for captions in cutline.load().caption([examples / "cat.jpg", examples / "coffee.jpg"], n=2):
        for caption in captions:
            assert caption.attention is not None
            assert caption.attention.min() >= 0
            assert caption.attention.sum(axis=(1, 2)) == pytest.approx(1, abs=1e-5)


def test_what_captions_seldom_name_is_named() -> None:
    """Of the captions that the model learned from, 3 in 10,000 say "tabby"."""
    photo = Path(__file__).parents[2] / "examples" / "cat.jpg"
    [[caption]] = cutline.load().caption(photo)
    assert "tabby" in caption.words


def test_n_best_are_different_and_best_first(
    make_captioner: MakeCaptioner, photos: list[Image.Image]
) -> None:
    penalty = 0.7
    captioner = make_captioner()
    likeliest = captioner.caption(photos, n=5, options=DecodingOptions(diversity=0))
    for captions in likeliest:
        assert len({each.text for each in captions}) == 5
        scores = [each.log_prob / len(each.token_log_probs) ** penalty for each in captions]
        assert scores == sorted(scores, reverse=True)
    diverse = captioner.caption(photos, n=5)
    for captions, [alone] in zip(diverse, captioner.caption(photos), strict=True):
        assert len({each.text for each in captions}) == 5
        assert captions[0].text == alone.text
        scores = [each.log_prob / len(each.token_log_probs) ** penalty for each in captions[1:]]
        assert scores == sorted(scores, reverse=True)
    assert [[each.text for each in captions] for captions in diverse] != [
        [each.text for each in captions] for captions in likeliest
    ]


@pytest.mark.parametrize("batch_size", [4, 32])
@pytest.mark.parametrize("options", [None, SAMPLE, DecodingOptions(strategy=Strategy.GREEDY)])
def test_captions_do_not_depend_on_the_batch(
    make_captioner: MakeCaptioner,
    photos: list[Image.Image],
    options: DecodingOptions | None,
    batch_size: int,
) -> None:
    captioner = make_captioner(batch_size=batch_size)
    assert len(photos) > 2 * ENCODED_AT_ONCE
    alone = [captioner.caption(photo, options=options)[0] for photo in photos]
    together = captioner.caption(photos, options=options)
    backwards = captioner.caption(photos[::-1], options=options)[::-1]
    assert texts(alone) == texts(together) == texts(backwards)
    for one, other in zip(alone, together, strict=True):
        assert one[0].log_prob == pytest.approx(other[0].log_prob, abs=1e-4)


def test_samples_differ_between_photos_and_seeds_and_repeat_with_the_seed(
    make_captioner: MakeCaptioner, photos: list[Image.Image]
) -> None:
    captioner = make_captioner(Tiny(sharpness=0.2))
    first, again = (texts(captioner.caption(photos[0], n=8, options=SAMPLE)) for _ in range(2))
    other_seed = texts(captioner.caption(photos[0], n=8, options=DecodingOptions(seed=8).over(SAMPLE)))
    assert first == again
    assert first != other_seed
    free = DecodingOptions(strategy=Strategy.SAMPLE, temperature=3.0)
    assert texts(captioner.caption(photos[0], n=8, options=free)) != texts(
        captioner.caption(photos[0], n=8, options=free)
    )


def test_what_is_not_asked_for_is_as_the_bundle_says(
    make_captioner: MakeCaptioner, photos: list[Image.Image]
) -> None:
    short = make_captioner(Tiny(decoding=(("max_length", 2), ("min_length", 2))))
    assert {len(each[0].words) for each in short.caption(photos)} == {2}
    three = DecodingOptions(max_length=3, min_length=3)
    assert {len(each[0].words) for each in short.caption(photos, options=three)} == {3}
    assert short.defaults.max_length == 2


def test_no_word_comes_twice_but_the_bundles_function_words_until_it_is_asked_for(
    make_captioner: MakeCaptioner, photos: list[Image.Image]
) -> None:
    careful = make_captioner(
        Tiny(decoding=(("no_repeat_words", True), ("min_length", 5)), function_words=("and", "unheard"))
    )

    def twice(options: DecodingOptions) -> set[str]:
        found = (each[0].words for each in careful.caption(photos, options=options))
        return {word for words in found for word in words if words.count(word) > 1}

    assert twice(DecodingOptions()) <= {"and"}
    assert twice(DecodingOptions(no_repeat_words=False)) > {"and"}


def test_words_are_not_told_apart_where_tokens_are_parts_of_them(
    make_captioner: MakeCaptioner, photos: list[Image.Image]
) -> None:
    captioner = make_captioner(Tiny(tokenizer=bpe_tokenizer(["a dog runs"], 300)))
    with pytest.raises(OptionError, match="tokens are words"):
        captioner.caption(photos, options=DecodingOptions(no_repeat_words=True))


@pytest.mark.parametrize("prefix", ["A dog", "a DOG and", "dog", " a dog ", ""])
@pytest.mark.parametrize("strategy", Strategy)
def test_a_caption_starts_with_exactly_the_prefix(
    make_captioner: MakeCaptioner, photos: list[Image.Image], prefix: str, strategy: Strategy
) -> None:
    captioner = make_captioner(Tiny(tokenizer=None))
    options = DecodingOptions(strategy=strategy, prefix=prefix)
    for (caption,) in captioner.caption(photos, options=options):
        assert caption.text.startswith(prefix.strip())


@pytest.mark.parametrize("prefix", ["A cat, ", "A cat:", '"A cat"', "Two dogs -"])
def test_marks_that_the_model_does_not_read_stay_in_the_prefix(prefix: str) -> None:
    """The model that ships learnt from captions without punctuation."""
    photo = Path(__file__).parents[2] / "examples" / "cat.jpg"
    [[caption]] = cutline.load().caption(photo, options=DecodingOptions(prefix=prefix))
    assert caption.text.startswith(f"{prefix.strip()} "), "and goes on"
    assert caption.text.split()[len(prefix.split()) :] != []


def test_a_prefix_or_a_length_that_the_model_cannot_write_is_refused(
    make_captioner: MakeCaptioner, photos: list[Image.Image]
) -> None:
    captioner = make_captioner()
    for options, reason in (
        (DecodingOptions(prefix="a zebra"), "'zebra'"),
        (DecodingOptions(prefix="a dog a dog a dog"), "6 tokens"),
        (DecodingOptions(min_length=99), "at most 5"),
    ):
        with pytest.raises(OptionError, match=reason):
            captioner.caption(photos, options=options)


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ({"strategy": "best"}, "'best', but must be one of greedy, beam, sample"),
        ({"beam_size": "3"}, "beam_size is '3', but must be from 1 to 64"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"prefix": 3}, "prefix is 3, but must be a text"),
        ({"no_repeat_words": 1}, "no_repeat_words is 1, but must be true or false"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(option: dict[str, object], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        DecodingOptions(**option)


def test_a_strategy_may_be_given_by_its_name() -> None:
    assert DecodingOptions(strategy="sample") == DecodingOptions(strategy=Strategy.SAMPLE)


def test_a_bad_image_ends_a_call_with_its_error(
    make_captioner: MakeCaptioner, photos: list[Image.Image]
) -> None:
    with pytest.raises(UnreadableImage):
        make_captioner().caption([photos[0], b"no image", photos[1]])


def test_a_stream_gives_the_errors_in_their_places_and_goes_on(
    make_captioner: MakeCaptioner, photos: list[Image.Image], tmp_path: Path
) -> None:
    captioner = make_captioner(batch_size=3)
    sources = [b"", *photos[:4], tmp_path / "missing.jpg", *photos[4:], b"junk"]
    outcomes = list(captioner.caption_each(sources))
    wrong = [i for i, each in enumerate(outcomes) if isinstance(each, ImageError)]
    assert wrong == [0, 5, len(sources) - 1]
    good = [each for each in outcomes if isinstance(each, list)]
    assert texts(good) == texts(captioner.caption(photos))
    assert [type(each) for each in captioner.caption_each([b"junk"])] == [UnreadableImage]


def test_a_stream_without_end_is_read_no_further_than_needed(
    make_captioner: MakeCaptioner, photos: list[Image.Image]
) -> None:
    taken = 0

    def endless() -> Iterator[Image.Image]:
        nonlocal taken
        while True:
            taken += 1
            yield photos[taken % len(photos)]

    stream = make_captioner(batch_size=2, threads=2).caption_each(endless())
    for _ in range(5):
        next(stream)
    stream.close()
    assert 5 <= taken <= 20
    assert not [each for each in threading.enumerate() if each.name.startswith("cutline-caption")]


def test_many_photos_are_captioned_side_by_side_in_their_order(
    make_captioner: MakeCaptioner, photos: list[Image.Image]
) -> None:
    many = [*photos, b"", *photos[::-1], *photos]
    alone = make_captioner(threads=3, batch_size=64).caption_each(many)
    beside = make_captioner(threads=3, batch_size=2).caption_each(many)
    for one, other in zip(alone, beside, strict=True):
        if isinstance(one, list):
            assert isinstance(other, list)
            assert [each.text for each in one] == [each.text for each in other]
            assert one[0].token_log_probs == pytest.approx(other[0].token_log_probs, abs=1e-5)
        else:
            assert isinstance(other, type(one))


def test_threads_may_share_a_captioner(make_captioner: MakeCaptioner, photos: list[Image.Image]) -> None:
    captioner = make_captioner()
    wanted = texts(captioner.caption(photos))
    found: list[list[list[str]]] = []
    threads = [
        threading.Thread(target=lambda: found.append(texts(captioner.caption(photos)))) for _ in range(6)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [wanted] * 6


def test_a_bundle_loads_from_a_folder_and_from_a_zip(bundle: Path, tmp_path: Path) -> None:
    archive = export_bundle(read_bundle(bundle), tmp_path / "tiny.zip")
    photo = Image.new("RGB", (40, 40), "teal")
    folder, zipped = cutline.load(str(bundle)), cutline.load(str(archive))
    assert isinstance(folder, cutline.Captioner)
    assert (folder.name, folder.version) == ("tiny", "0.1.0")
    assert texts(folder.caption([photo])) == texts(zipped.caption([photo]))
    for place in (bundle, archive, bundle.as_uri(), archive.as_uri()):
        assert texts(cutline.load(place).caption([photo])) == texts(zipped.caption([photo]))


def test_a_captioner_says_which_model_it_is(bundle: Path, tmp_path: Path) -> None:
    about = cutline.load(bundle).about()
    manifest = read_bundle(bundle).manifest
    assert (about.label, about.licence) == ("tiny@0.1.0", manifest.licence)
    assert about.language == manifest.text.language
    assert about.description == manifest.training_data.description
    assert about.card == (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    archive = export_bundle(read_bundle(bundle), tmp_path / "tiny.zip")
    assert cutline.load(archive).about() == about


def test_a_bundle_s_hash_is_its_content_s(bundle: Path) -> None:
    whole = read_bundle(bundle)
    digest = hashlib.sha256((bundle / "bundle.json").read_bytes()).hexdigest()
    assert cutline.load(bundle).about().bundle_hash == digest
    changed = sealed(whole.manifest, {**whole.files, "MODEL_CARD.md": b"# Another card"})
    assert BundleCaptioner(changed).about().bundle_hash not in ("", digest)


def test_a_place_without_a_bundle_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BundleMissing):
        cutline.load(str(tmp_path / "none"))
    with pytest.raises(BundleMissing, match="does not download models: https"):
        cutline.load("https://example.org/bundle.zip")


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx"])
def test_a_graph_that_does_not_load_or_keep_the_contract_is_refused(bundle: Path, name: str) -> None:
    whole = read_bundle(bundle)
    other = {"encoder.onnx": "decoder.onnx", "decoder.onnx": "encoder.onnx"}[name]
    for content, reason in ((b"no graph", "cannot be loaded"), (whole.files[other], "format wants")):
        files = dict(whole.files) | {name: content}
        with pytest.raises(BundleDamaged, match=reason):
            BundleCaptioner(Bundle(manifest=whole.manifest, files=files, where="here"))


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize(
    ("part", "field", "value", "name"),
    [
        ("architecture", "grid", [3, 3], "attention"),
        ("preprocessing", "width_px", 13, "pixels"),
        ("preprocessing", "height_px", 13, "pixels"),
    ],
)
def test_a_bundle_whose_json_says_another_size_than_its_graphs_is_refused(
    bundle: Path, part: str, field: str, value: object, name: str, engine: Engine
) -> None:
    """bundle.json cannot state its own hash: who changes a number in it must not get captions, or a crash."""
    content = json.loads((bundle / "bundle.json").read_text())
    edit_manifest(bundle, **{part: content[part] | {field: value}})
    with pytest.raises(BundleDamaged, match=name):
        cutline.load(f"openvino:{bundle}" if engine is Engine.OPENVINO else bundle)


def keep_elsewhere(tensor: onnx.TensorProto, place: Path) -> None:
    """Move a tensor's data to a file, as ONNX allows."""
    place.write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=str(place))


def weights_of_graph(model: onnx.ModelProto) -> onnx.TensorProto:
    return next(each for each in model.graph.initializer if each.name == "to_bias")


def weights_of_attribute(model: onnx.ModelProto) -> onnx.TensorProto:
    model.graph.node.add(op_type="Constant", output=["unused"]).attribute.add(
        name="value", type=onnx.AttributeProto.TENSOR, t=onnx.numpy_helper.from_array(np.ones(4))
    )
    return model.graph.node[-1].attribute[0].t


def weights_of_branch(model: onnx.ModelProto) -> onnx.TensorProto:
    branch = onnx.helper.make_graph([], "branch", [], [], [onnx.numpy_helper.from_array(np.ones(4), "x")])
    model.graph.node.add(op_type="If", output=["unused"]).attribute.add(
        name="then_branch", type=onnx.AttributeProto.GRAPH, g=branch
    )
    return model.graph.node[-1].attribute[0].g.initializer[0]


@pytest.mark.parametrize("find", [weights_of_graph, weights_of_attribute, weights_of_branch])
@pytest.mark.parametrize("engine", Engine)
def test_a_graph_that_would_read_another_file_is_refused(
    bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    find: Callable[[onnx.ModelProto], onnx.TensorProto],
    engine: Engine,
) -> None:
    whole = read_bundle(bundle)
    monkeypatch.chdir(tmp_path)
    for place in (Path("secret.bin"), tmp_path / "secret.bin"):
        model = onnx.load_from_string(whole.files["encoder.onnx"])
        keep_elsewhere(find(model), place)
        files = dict(whole.files) | {"encoder.onnx": model.SerializeToString()}
        with pytest.raises(BundleDamaged, match="keeps weights in other files"):
            BundleCaptioner(Bundle(manifest=whole.manifest, files=files, where="here"), engine=engine)


@pytest.mark.parametrize(
    ("tiny", "batch_size"), [(Tiny(), 32), (Tiny(), 2), (Tiny(kind=LSTM), 2), (Tiny(text_tower=True), 2)]
)
def test_openvino_writes_the_same_captions(
    tmp_path: Path, photos: list[Image.Image], tiny: Tiny, batch_size: int
) -> None:
    pytest.importorskip("openvino", exc_type=ImportError)
    folder = make_bundle(tmp_path / "bundle", tiny)
    one = BundleCaptioner(folder, threads=1).caption(photos, n=2)
    other = BundleCaptioner(folder, threads=2, engine=Engine.OPENVINO, batch_size=batch_size).caption(
        photos, n=2
    )
    assert texts(one) == texts(other)
    for a, b in zip(one, other, strict=True):
        assert a[0].log_prob == pytest.approx(b[0].log_prob, abs=1e-2)
        assert np.allclose(a[0].attention, b[0].attention, atol=1e-2)


def test_a_uri_chooses_openvino(bundle: Path, photos: list[Image.Image]) -> None:
    pytest.importorskip("openvino", exc_type=ImportError)
    assert texts(cutline.load(f"openvino:{bundle}").caption(photos)) == texts(
        cutline.load(str(bundle)).caption(photos)
    )
    with pytest.raises(BundleMissing):
        cutline.load("openvino:nowhere")


def test_a_prepared_photo_gets_the_same_caption(make_captioner: MakeCaptioner) -> None:
    captioner = make_captioner()
    photo = Image.linear_gradient("L").convert("RGB").resize((300, 200))
    small = captioner.prepare(photo)
    assert small.size == (12, 12)
    one, other = captioner.caption([photo, small])
    assert one[0].token_log_probs == pytest.approx(other[0].token_log_probs, abs=1e-6)
