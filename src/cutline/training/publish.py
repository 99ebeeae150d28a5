"""From a finished training to a bundle: exported, quantised, and refused if its captions got worse."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import torch

from cutline.captioning.bundle import (
    CARD,
    DECODER,
    ENCODER,
    RERANKER,
    TEXT,
    Bundle,
    Manifest,
    TextStyle,
    TrainingData,
    export_bundle,
    read_bundle,
    sealed,
)
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.options import OPTIONS, DecodingOptions, Strategy
from cutline.errors import DataError, TrainingError
from cutline.images import to_pixels
from cutline.metrics import TOKENIZER, bleu, cider_d, rouge_l, tokenize
from cutline.metrics.report import bundle_scores
from cutline.training.agreement import share_of_differing
from cutline.training.build import (
    Material,
    Vocabulary,
    build_models,
    distilled,
    gather,
    preprocessing,
    read_vocabulary,
)
from cutline.training.calibration import calibrate
from cutline.training.checkpoints import average_weights, load_weights
from cutline.training.concepts import ConceptBonus
from cutline.training.config import RecipeConfig
from cutline.training.corpus import concept_targets, pack
from cutline.training.datasets import Example, data_hash, describe, open_example, read_source
from cutline.training.export import BundleDetails, bundle_graphs, export_graphs
from cutline.training.loop import BEST
from cutline.training.quantise import decoder_feeds, quantise_graph
from cutline.training.reranking import fit_reranker
from cutline.training.systems import CaptionSystem
from cutline.training.towers import bare

_BATCH = 8
# How many dev photos are captioned with exact arithmetic too, which is slow.
_COMPARED = 200
# Where a model card that stands in a recipe wants its dev metrics.
CARD_METRICS = "@METRICS@"
# How many of the first convolutions stay in float: the fewest with which the loss of CIDEr-D is accepted.
_KEPT_CONVOLUTIONS = (1, 3, 9, 20)
_log = logging.getLogger(__name__)
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The bundle that was written; dev CIDEr-D (times 100, mean over sources) before and after quantising.

    system: what the bundle was made of, before quantising.
    """

    manifest: Manifest
    system: CaptionSystem
    cider_float: float
    cider: float


def publish(recipe: RecipeConfig, target: Path, *, checkpoint: Path | None = None) -> Published:
    """Write the bundle of a training into ``target``.

    checkpoint: by default what `published_weights` says. Where the recipe quantises, a dev CIDEr-D that
    falls by more than ``export.max_loss_of_cider``, or captions that depend on the machine (more than
    ``export.max_differing_captions`` differ from exact arithmetic), raise TrainingError; nothing is written.
    """
    chosen = {checkpoint: 1.0} if checkpoint else published_weights(recipe)
    weights = average_weights(chosen)
    material = gather(recipe, _kept_vocabulary(recipe))
    models = build_models(recipe, material, student=distilled(recipe))
    fresh, unused = load_weights(models.system, weights)
    if fresh or unused:
        raise TrainingError(
            f"{', '.join(map(str, chosen))} is not of this recipe: {len(fresh)} weights missing,"
            f" {len(unused)} unknown."
        )
    with tempfile.TemporaryDirectory() as scratch:
        graphs = Path(scratch) / "float"
        graphs.mkdir()
        size = recipe.image
        architecture = export_graphs(
            models.encoder.trunk,
            models.system,
            graphs,
            height=size.height_px,
            width=size.width_px,
            bonus=_concept_bonus(recipe, material),
        )
        details = _details(recipe, material)
        tokenizer = material.corpus.tokenizer
        trial = Path(scratch) / "trial"
        bundle_graphs(trial, graphs, architecture, tokenizer, details)
        before = dev_metrics(trial, material)
        after = before
        if recipe.export.quantise != "none":
            for keep in _KEPT_CONVOLUTIONS:
                small = _quantised(recipe, material, graphs, Path(scratch) / f"kept-{keep}", keep=keep)
                trial = Path(scratch) / f"trial-{keep}"
                bundle_graphs(trial, small, architecture, tokenizer, details)
                after = dev_metrics(trial, material)
                _log.info(
                    "%d convolutions in float: CIDEr-D %.2f, from %.2f",
                    keep,
                    *map(mean_cider, (after, before)),
                )
                if _loss_of_cider(before, after) <= recipe.export.max_loss_of_cider:
                    break
            else:
                _refuse(recipe, before, after)
        bundle = _judged(recipe, read_bundle(trial), material)
        if recipe.export.quantise != "none":
            _check_agreement(recipe, bundle, material)
        if RERANKER in bundle.files:
            after = dev_metrics(bundle, material)
        card = details.card.replace(CARD_METRICS, bundle_scores(after)).encode()
        bundle = sealed(replace(bundle.manifest, metrics=after), {**bundle.files, CARD: card})
        export_bundle(bundle, target)
    return Published(
        manifest=bundle.manifest,
        system=models.system,
        cider_float=mean_cider(before),
        cider=mean_cider(after),
    )


def _concept_bonus(recipe: RecipeConfig, material: Material) -> ConceptBonus | None:
    weight, corpus = recipe.export.concept_bonus, material.corpus
    if not weight:
        return None
    usual = concept_targets(corpus.train, len(corpus.concepts)).mean(axis=0, dtype=np.float64)
    return ConceptBonus(corpus.concepts, usual, corpus.tokenizer.get_vocab(), weight=weight)


def _judged(recipe: RecipeConfig, bundle: Bundle, material: Material) -> Bundle:
    """The bundle with what chooses among captions, and what says how likely one is acceptable."""
    export = recipe.export
    photos = _dev_photos(material)
    if export.candidates:
        try:
            bundle, chosen = fit_reranker(
                bundle, photos, version=export.version, candidates=export.candidates
            )
            _log.info("choosing among %d candidates: CIDEr-D %+.2f", export.candidates, chosen.gain)
        except TrainingError as error:
            _log.warning("No re-ranker: %s", error.message)
    if export.acceptable:
        bundle, confidence = calibrate(bundle, photos, version=export.version, threshold=export.acceptable)
        _log.info("expected calibration error %.3f", confidence.calibration_error)
    return bundle


def published_weights(recipe: RecipeConfig) -> dict[Path, float]:
    """What a bundle's weights are the mean of: ``export.average``, or the last stage's best alone."""
    average = recipe.export.average or {recipe.stages[-1].name: 1.0}
    return {recipe.output / stage / BEST: weight for stage, weight in average.items()}


def _kept_vocabulary(recipe: RecipeConfig) -> Vocabulary:
    vocabulary = read_vocabulary(recipe.output)
    if vocabulary is None:
        raise TrainingError(
            f"{recipe.output} contains no training.", hint="Train first with `cutline train`."
        )
    return vocabulary


def _details(recipe: RecipeConfig, material: Material) -> BundleDetails:
    export = recipe.export
    training = [example for example in material.examples if example.split == "train"]
    card = export.card.read_text(encoding="utf-8") if export.card else f"# {export.name or recipe.name}\n"
    return BundleDetails(
        name=export.name or recipe.name,
        version=export.version,
        licence=export.licence,
        preprocessing=preprocessing(recipe.image),
        decoding=DecodingOptions(
            strategy=Strategy.BEAM if export.beam_size > 1 else Strategy.GREEDY,
            beam_size=export.beam_size,
            length_penalty=export.length_penalty,
            min_length=export.min_length,
            max_length=export.max_length or recipe.decoder.max_tokens - 2,
            no_repeat_ngram=export.no_repeat_ngram,
            no_repeat_words=bool(export.function_words) or None,
            sex_confidence=_unless_default("sex_confidence", export.sex_confidence),
        ),
        text=TextStyle(language=export.language or None, function_words=export.function_words),
        training_data=TrainingData(
            hash=data_hash(training), description=export.description or describe(training)
        ),
        card=card,
    )


def _unless_default(name: str, value: float) -> float | None:
    """An option that older versions of Cutline do not know stands in a bundle only where it must."""
    return None if value == OPTIONS[name].default else value


def _dev_photos(material: Material) -> list[Example]:
    return [each for each in material.examples if each.split == "dev" and each.image is not None]


def dev_metrics(bundle: Path | Bundle, material: Material) -> dict[str, Any]:
    """BLEU, ROUGE-L and CIDEr-D (times 100) on the dev photos, by source, as the runtime captions them."""
    captioner = BundleCaptioner(bundle)
    groups: dict[str, list[Example]] = {}
    for example in _dev_photos(material):
        groups.setdefault(example.source, []).append(example)
    return {
        "split": "dev",
        "tokenizer": TOKENIZER,
        "sources": {source: _scores(captioner, examples) for source, examples in groups.items()},
    }


def _scores(captioner: BundleCaptioner, examples: Sequence[Example]) -> dict[str, float]:
    photos = (read_source(example.image) for example in examples if example.image is not None)
    hypotheses: list[list[str]] = []
    for outcome in captioner.caption_each(photos):
        if not isinstance(outcome, list):
            raise outcome
        hypotheses.append(tokenize(outcome[0].text))
    references = [[tokenize(caption) for caption in example.captions] for example in examples]
    corpus, _ = bleu(references, hypotheses)
    scores = {f"BLEU-{order}": float(value) for order, value in enumerate(corpus, 1)}
    scores["ROUGE-L"] = float(rouge_l(references, hypotheses)[0])
    scores["CIDEr-D"] = float(cider_d(references, hypotheses)[0])
    return {"photos": len(examples), **{name: round(100 * value, 2) for name, value in scores.items()}}


def mean_cider(metrics: Mapping[str, Any]) -> float:
    """The mean over sources of CIDEr-D, times 100."""
    return float(np.mean([scores["CIDEr-D"] for scores in metrics["sources"].values()]))


def _loss_of_cider(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """The share of dev CIDEr-D that quantising lost; negative where it gained."""
    return 1 - mean_cider(after) / max(mean_cider(before), 1e-9)


def _refuse(recipe: RecipeConfig, before: Mapping[str, Any], after: Mapping[str, Any]) -> NoReturn:
    raise TrainingError(
        f"Quantising costs {100 * _loss_of_cider(before, after):.1f}% of dev CIDEr-D"
        f" ({mean_cider(before):.1f} to {mean_cider(after):.1f}), more than export.max_loss_of_cider"
        f" allows ({100 * recipe.export.max_loss_of_cider:g}%).",
        hint="Calibrate on more photos (export.calibration_images) or set export.quantise=none.",
        kept="The training was not changed, and no bundle was written.",
    )


def _check_agreement(recipe: RecipeConfig, bundle: Bundle, material: Material) -> None:
    """Refuse a bundle whose captions depend on the machine."""
    dev = [each.image for each in _dev_photos(material) if each.image is not None]
    chosen = [dev[int(place)] for place in np.linspace(0, len(dev) - 1, min(_COMPARED, len(dev)))]
    share = share_of_differing(bundle, (read_source(image) for image in chosen))
    _log.info("%.1f%% of %d captions differ from exact arithmetic", 100 * share, len(chosen))
    if share > recipe.export.max_differing_captions:
        raise TrainingError(
            f"{100 * share:.1f}% of the captions of {len(chosen)} dev photos differ from those of exact"
            f" arithmetic, more than export.max_differing_captions allows"
            f" ({100 * recipe.export.max_differing_captions:g}%).",
            hint="Set export.quantise=none, or allow more.",
            kept="The training was not changed, and no bundle was written.",
        )


def _quantised(recipe: RecipeConfig, material: Material, graphs: Path, folder: Path, *, keep: int) -> Path:
    folder.mkdir()
    by_row = {item.row: item for item in material.corpus.train}
    rows = sorted(by_row)
    if not rows:
        raise DataError("There are no training photos to calibrate with.")
    rng = np.random.default_rng(recipe.seed)
    chosen = rng.permutation(rows)[: recipe.export.calibration_images]
    length = recipe.decoder.max_tokens
    captions = np.concatenate([pack(by_row[int(row)], count=1, length=length, rng=rng) for row in chosen])
    photos = [material.photos[int(row)] for row in chosen]
    quantise_graph(
        graphs / ENCODER,
        folder / ENCODER,
        [{"pixels": batch} for batch in _batches(recipe, photos)],
        keep=keep,
    )
    # The decoder sees a few hundred steps of a few dozen photos: its inputs vary less than pixels do.
    few = _batches(recipe, photos[: max(_BATCH, len(photos) // 4)])
    steps = list(decoder_feeds(graphs / ENCODER, graphs / DECODER, few, captions))
    quantise_graph(graphs / DECODER, folder / DECODER, steps)
    if (graphs / TEXT).exists():
        texts = bare(torch.from_numpy(captions)).numpy()
        feeds = [{"tokens": texts[start : start + _BATCH]} for start in range(0, len(texts), _BATCH)]
        quantise_graph(graphs / TEXT, folder / TEXT, feeds)
    return folder


def _batches(recipe: RecipeConfig, photos: Sequence[Example]) -> Iterator[Pixels]:
    size = preprocessing(recipe.image)
    for start in range(0, len(photos), _BATCH):
        batch = photos[start : start + _BATCH]
        opened = [open_example(example, enough_px=size.enough_px) for example in batch]
        yield np.stack([to_pixels(photo, size) for photo in opened])
