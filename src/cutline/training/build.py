"""From a recipe to what its stages train on: data, features, models, objectives."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from cutline.atomic_files import output_errors, write_text
from cutline.errors import ConfigError, DataError, TrainingError
from cutline.images import Preprocessing
from cutline.training.checkpoints import read_checkpoint, seed_everything
from cutline.training.class_names import ClassName, captions_with_names, class_names, class_words
from cutline.training.concepts import ConceptHead, choose_concepts
from cutline.training.config import ImageConfig, RecipeConfig, StageConfig
from cutline.training.corpus import Captions, Corpus, first_concepts, tokenise_captions, with_concepts
from cutline.training.datasets import content_hash, load_examples
from cutline.training.distil import DistilObjective, Student, Taught, parts_of, width_of
from cutline.training.encoders import Encoder, build_encoder, label, load_network
from cutline.training.examples import Example, ImageFile, TarMember
from cutline.training.features import FeatureConfig, FeatureStore, feature_store
from cutline.training.kept_encoders import KEPT_ENCODER, KeptEncoder, is_kept, read_concepts, write_encoder
from cutline.training.loop import BEST, Objective
from cutline.training.lstm import LstmCaptioner, LstmConfig, load_glove
from cutline.training.lstm_objective import LstmCaptionObjective
from cutline.training.matching import MatchObjective
from cutline.training.objectives import (
    CaptionObjective,
    ConceptObjective,
    RewardObjective,
    Store,
    TextObjective,
)
from cutline.training.systems import CaptionSystem, ConceptSystem
from cutline.training.teachers import CLASSES, EMBEDDINGS, PATCHES, Answers, ask, classes_of, load_teacher
from cutline.training.text import TextConfig, normalise_caption
from cutline.training.towers import Matcher, PhotoHead, TextTower
from cutline.training.transformer import TransformerCaptioner, TransformerConfig
from cutline.training.vision import VisionNetwork
from cutline.training.vocabulary import build_tokenizer

_GLOVE_WIDTH = 50
# Photos' captions that teach each name of an ImageNet class.
_COPIES_OF_A_NAME = 30
# A photo shows what a name says if ImageNet's head gives its classes so much together; photos read at once.
_SURE = 0.5
_READ_AT_ONCE = 1024
_TOKENIZER, _CONCEPTS = "tokenizer.json", "concepts.json"

_log = logging.getLogger("cutline.training")


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a recipe trains on, before any photo is opened. photos: where the rows of a corpus point to."""

    corpus: Corpus
    photos: tuple[Example, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Models:
    """The networks of a recipe, with fresh weights (the encoder's are ImageNet's).

    teacher: the encoder's tail as it came, where a concepts stage must not forget it.
    """

    encoder: Encoder
    system: CaptionSystem
    teacher: nn.Module


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """What the weights of a training depend on: its words, and its concepts in their order."""

    tokenizer: Tokenizer
    concepts: tuple[str, ...]


def gather(recipe: RecipeConfig, vocabulary: Vocabulary | None = None) -> Material:
    """Read the captions; learn the vocabulary and choose the concepts, from the training split alone.

    vocabulary: that of a training to be resumed, which stays even if the data have changed since.
    Raises DataError.
    """
    examples = [example for source in recipe.data for example in load_examples(source)]
    training = [example for example in examples if example.split == "train"]
    dev = [example for example in examples if example.split == "dev" and example.image is not None]
    seen = [example for example in training if example.image is not None]
    if not seen and not all(stage.objective == "text" for stage in recipe.stages):
        raise DataError("The recipe's data has no training photos.")
    if not dev:
        raise DataError("The recipe's data has no photos in the dev split.", hint="Set data.NAME.dev_share.")
    if vocabulary is None:
        captions = [caption for example in training for caption in example.captions * example.repeats]
        if recipe.decoder.class_names:
            captions += [name.said for name in class_names()] * recipe.text.minimum_count
        tokenizer = build_tokenizer(captions, recipe.text)
    else:
        tokenizer = vocabulary.tokenizer
    photos = (*seen, *dev)
    _refuse_two_of_one_name(photos)
    rows = {(example.source, example.key, example.split): row for row, example in enumerate(photos)}

    def tokenised(chosen: Iterable[Example]) -> list[Captions]:
        found = (
            tokenise_captions(
                tokenizer,
                _as_learnt(example.captions, recipe.text),
                key=example.key,
                source=example.source,
                row=rows.get((example.source, example.key, example.split), -1),
            )
            for example in chosen
        )
        return [each for each in found if each is not None]

    parts = {
        "train": tokenised(example for example in seen for _ in range(example.repeats)),
        "dev": tokenised(dev),
        "texts": tokenised(example for example in training if example.image is None),
    }
    learnt_from = (*parts["train"], *parts["texts"])
    if recipe.decoder.class_names:
        parts["texts"] += tokenised(_with_names(training, recipe.seed))
    if vocabulary is None:
        learnt = (words for each in learnt_from for words in each.words)
        concepts = tuple(choose_concepts(learnt, limit=recipe.decoder.concepts))
        if recipe.decoder.class_names:
            concepts = (*concepts, *class_words(concepts))
    else:
        concepts = vocabulary.concepts
    numbers = {word: place for place, word in enumerate(concepts)}
    named = {name: tuple(with_concepts(each, numbers) for each in part) for name, part in parts.items()}
    corpus = Corpus(tokenizer=tokenizer, concepts=concepts, **named)
    return Material(corpus=corpus, photos=photos, examples=tuple(examples))


def _refuse_two_of_one_name(photos: Sequence[Example]) -> None:
    """Captions find their photo by its source, key and split."""
    images: dict[tuple[str, str, str], ImageFile | None] = {}
    for photo in photos:
        first = images.setdefault((photo.source, photo.key, photo.split), photo.image)
        if first != photo.image:
            raise DataError(
                f"{photo.source} has two photos called {photo.key}: {first} and {photo.image}.",
                hint="Give each entry under data: a name of its own.",
            )


def warn_of_dev_photos(photos: Sequence[Example]) -> None:
    """Log a warning where photos to evaluate on are trained on as well, whatever they are called there."""
    train = [photo.image for photo in photos if photo.split == "train" and photo.image is not None]
    dev = [(photo.key, photo.image) for photo in photos if photo.split == "dev" and photo.image is not None]
    sizes = set(map(_bytes_of, train)) & {_bytes_of(image) for _, image in dev}  # no others can be equal
    learnt = {content_hash(image) for image in train if _bytes_of(image) in sizes}
    both = [key for key, image in dev if _bytes_of(image) in sizes and content_hash(image) in learnt]
    if both:
        _log.warning(
            "%d of %d dev photos are also trained on: scores will be too high (%s%s).",
            len(both),
            len(dev),
            ", ".join(both[:3]),
            ", ..." if len(both) > 3 else "",
        )


def _bytes_of(image: ImageFile) -> int | None:
    """The size of a photo's file; None where it is gone, which is told when it is opened."""
    if isinstance(image, TarMember):
        return image.size
    try:
        return image.stat().st_size
    except OSError:
        return None


def _with_names(training: Sequence[Example], seed: int) -> Iterable[Example]:
    """Copies of captions without photos that have names of ImageNet's classes in them."""
    texts = [example for example in training if example.image is None]
    made = captions_with_names([each.captions for each in texts], copies=_COPIES_OF_A_NAME, seed=seed)
    return (replace(texts[place], captions=captions) for place, captions in made)


def _as_learnt(captions: Sequence[str], config: TextConfig) -> Sequence[str]:
    """Captions with whole words replaced, if the recipe asks for it; tokenizer.json does the rest."""
    if config.stop_words and not config.lemmatise and not config.stem:
        return captions
    return [normalise_caption(caption, config) for caption in captions]


def sample(material: Material, *, photos: int, dev: int, texts: int) -> Material:
    """A small part of everything, evenly drawn, for a dry run."""
    corpus = material.corpus
    chosen = _spread(corpus.train, photos), _spread(corpus.dev, dev)
    rows = {
        row: place for place, row in enumerate(dict.fromkeys(item.row for part in chosen for item in part))
    }
    train, held_out = (tuple(replace(item, row=rows[item.row]) for item in part) for part in chosen)
    small = replace(corpus, train=train, dev=held_out, texts=_spread(corpus.texts, texts))
    return replace(material, corpus=small, photos=tuple(material.photos[row] for row in rows))


def _spread(items: tuple[Captions, ...], count: int) -> tuple[Captions, ...]:
    if len(items) <= count:
        return items
    if not count:
        return ()
    return tuple(items[int(place)] for place in np.linspace(0, len(items) - 1, count))


def distilled(recipe: RecipeConfig, folder: Path | None = None) -> Path | None:
    """The checkpoint with the encoder of a training that distils one: that of its last such stage.

    folder: of the training, by default the recipe's.
    """
    stages = [stage.name for stage in recipe.stages if stage.objective == "distil"]
    return (folder or recipe.output) / stages[-1] / BEST if stages else None


def build_models(recipe: RecipeConfig, material: Material, *, student: Path | None = None) -> Models:
    """Build encoder and captioner; the same seed gives the same weights.

    student: the checkpoint of a `distil` stage; encoder and concepts then start from its weights, else from
    those of ``encoder.weights`` or ImageNet's. Raises TrainingError for one that is not there.
    """
    weights = read_checkpoint(student)["module"] if student is not None else {}
    seed_everything(recipe.seed)
    rows, columns = recipe.encoder.grid or (None, None)
    encoder = build_encoder(
        recipe.encoder.name,
        trainable=recipe.encoder.trainable,
        width_px=recipe.image.width_px,
        height_px=recipe.image.height_px,
        rows=rows,
        columns=columns,
        weights=recipe.encoder.weights,
        state=parts_of(weights, "network.") or None,
    )
    matcher = _matcher(recipe, encoder, material) if recipe.matcher.embedding else None
    if recipe.decoder.kind == "lstm-attention":
        system: CaptionSystem = CaptionSystem(encoder.tail, _lstm(recipe, encoder, material), matcher)
    elif material.corpus.concepts:
        system = ConceptSystem(encoder.tail, _transformer(recipe, encoder, material), matcher)
        if student is None:
            _take_kept_concepts(recipe, system.concepts, material.corpus.concepts)
        elif head := parts_of(weights, "concepts."):
            ours = material.corpus.concepts
            system.concepts.take(head, ours[: recipe.decoder.concepts], ours)
    else:
        system = CaptionSystem(encoder.tail, _transformer(recipe, encoder, material), matcher)
    return Models(encoder=encoder, system=system, teacher=copy.deepcopy(encoder.tail).eval())


def _take_kept_concepts(recipe: RecipeConfig, head: ConceptHead, concepts: Sequence[str]) -> None:
    """Take what an encoder that was kept knows of concepts, where the recipe begins with one."""
    path = recipe.encoder.weights
    if is_kept(path):
        theirs, weights = read_concepts(path, label(recipe.encoder.name))
        head.take(weights, theirs, concepts)


def keep_encoder(recipe: RecipeConfig, material: Material, student: Path) -> Path:
    """Write what the recipe's `distil` stages made of the encoder beside them. Raises OutputError."""
    path = recipe.output / KEPT_ENCODER
    concepts = first_concepts(material.corpus, recipe.decoder.concepts).concepts
    about = KeptEncoder(name=label(recipe.encoder.name), concepts=tuple(concepts))
    write_encoder(path, read_checkpoint(student)["module"], about)
    return path


def _matcher(recipe: RecipeConfig, encoder: Encoder, material: Material) -> Matcher:
    sizes = recipe.matcher
    tower = TransformerConfig(
        vocabulary=material.corpus.tokenizer.get_vocab_size(),
        concepts=0,
        width=sizes.width,
        heads=sizes.heads,
        encoder_layers=sizes.layers,
        hidden=sizes.hidden,
        dropout=sizes.dropout,
        max_tokens=recipe.decoder.max_tokens,
    )
    return Matcher(
        PhotoHead(encoder.width, 2 * sizes.embedding, sizes.embedding), TextTower(tower, sizes.embedding)
    )


def _transformer(recipe: RecipeConfig, encoder: Encoder, material: Material) -> TransformerCaptioner:
    decoder, corpus = recipe.decoder, material.corpus
    captioner = TransformerCaptioner(
        TransformerConfig(
            vocabulary=corpus.tokenizer.get_vocab_size(),
            concepts=len(corpus.concepts),
            feature_width=encoder.width,
            rows=encoder.rows,
            columns=encoder.columns,
            width=decoder.width,
            heads=decoder.heads,
            encoder_layers=decoder.encoder_layers,
            decoder_layers=decoder.layers,
            hidden=decoder.hidden,
            dropout=decoder.dropout,
            concept_tokens=min(decoder.concept_tokens, len(corpus.concepts)),
            max_tokens=decoder.max_tokens,
        )
    )
    if captioner.concepts is not None and encoder.classifier is not None:
        captioner.concepts.start_from_imagenet(encoder.classifier, corpus.concepts, learnt=decoder.concepts)
    return captioner


def _lstm(recipe: RecipeConfig, encoder: Encoder, material: Material) -> LstmCaptioner:
    decoder, tokenizer = recipe.decoder, material.corpus.tokenizer
    glove = decoder.embeddings == "glove"
    captioner = LstmCaptioner(
        LstmConfig(
            vocabulary=tokenizer.get_vocab_size(),
            feature_width=encoder.width,
            rows=encoder.rows,
            columns=encoder.columns,
            width=decoder.width,
            hidden=decoder.hidden,
            attention_width=decoder.attention_width,
            embedding_width=_GLOVE_WIDTH if glove else decoder.width,
            dropout=decoder.dropout,
            max_tokens=decoder.max_tokens,
        )
    )
    if glove:
        captioner.take_embeddings(load_glove(_words(tokenizer))[0])
    captioner.embedding.weight.requires_grad_(not decoder.freeze_embeddings)
    return captioner


def _words(tokenizer: Tokenizer) -> list[str]:
    return [str(tokenizer.id_to_token(place)) for place in range(tokenizer.get_vocab_size())]


def open_features(
    recipe: RecipeConfig,
    material: Material,
    encoder: Encoder,
    *,
    folder: Path | None = None,
    quiet: bool = False,
) -> FeatureStore:
    """Open the cached features of all photos, computing those that are not there yet."""
    config = FeatureConfig(
        trunk=encoder.description,
        preprocessing=preprocessing(recipe.image),
        augmentation=recipe.image.augmentation,
        variants=recipe.image.variants,
        seed=recipe.seed,
    )
    return feature_store(folder or recipe.cache, material.photos, encoder.trunk, config, quiet=quiet)


def preprocessing(image: ImageConfig) -> Preprocessing:
    """What the bundle will say of how photos are resized."""
    return Preprocessing(
        width_px=image.width_px, height_px=image.height_px, mode=image.mode, resample=image.resample
    )


def build_distillation(
    recipe: RecipeConfig, stage: StageConfig, material: Material, *, folder: Path | None = None
) -> DistilObjective:
    """Build the objective of a `distil` stage, asking its teachers about photos that are new to them.

    folder: where the answers are kept, by default the recipe's cache. Raises ConfigError, ImageError.
    """
    # ImageNet's own names are not learnt here: they are what its head says.
    corpus = first_concepts(_only(material.corpus, stage.sources), recipe.decoder.concepts)
    size = preprocessing(recipe.image)
    if stage.side_px:
        size = replace(size, width_px=stage.side_px, height_px=stage.side_px)
    seed_everything(recipe.seed)
    network = load_network(
        recipe.encoder.name, height_px=size.height_px, width_px=size.width_px, weights=recipe.encoder.weights
    )
    tower = load_teacher(recipe.teacher.model, side_px=recipe.teacher.side_px, grid=recipe.teacher.grid)
    cache = folder or recipe.cache
    answers, classes = ask(cache, tower, material.photos), None
    classifier = None if isinstance(network, VisionNetwork) else network.classifier
    if classifier is not None:
        itself = classes_of(network, classifier, size=(size.height_px, size.width_px))
        classes = ask(cache, itself, material.photos)
    student = Student(
        network,
        width_of(network, size),
        embedding=answers.width(EMBEDDINGS),
        patch=answers.width(PATCHES),
        concepts=len(corpus.concepts),
    )
    if student.concepts is not None and classifier is not None:
        student.concepts.start_from_imagenet(classifier, corpus.concepts)
    if student.concepts is not None:
        _take_kept_concepts(recipe, student.concepts, corpus.concepts)
    return DistilObjective(
        student,
        copy.deepcopy(classifier),
        corpus,
        material.photos,
        Taught(teacher=answers, classes=classes),
        stage,
        size=size,
        seed=recipe.seed,
    )


def build_objective(
    recipe: RecipeConfig,
    stage: StageConfig,
    material: Material,
    models: Models,
    store: Store,
    *,
    folder: Path | None = None,
) -> Objective:
    """Build the objective of one stage, asking its teachers about photos that are new to them.

    folder: where the answers are kept, by default the recipe's cache. Raises ConfigError for a stage that
    needs something that the models or the data do not have.
    """
    corpus = _only(material.corpus, stage.sources)
    stage, seed, system = resolve(recipe, stage), recipe.seed, models.system
    cache = folder or recipe.cache
    if recipe.decoder.class_names and stage.objective in ("captions", "rewards"):
        corpus = replace(corpus, train=tuple(_named(recipe, material, corpus.train, cache)))
    if stage.objective == "concepts":
        if not isinstance(system, ConceptSystem):
            raise ConfigError(f"Stage {stage.name} learns concepts, but the captions name none.")
        if models.encoder.classifier is None:
            raise ConfigError(
                f"Stage {stage.name}: {recipe.encoder.name} has no ImageNet classifier.",
                hint="Learn concepts with an EfficientNet-Lite or a ResNet-50.",
            )
        return ConceptObjective(
            system,
            corpus,
            store,
            stage,
            seed=seed,
            teacher=models.teacher,
            classifier=models.encoder.classifier,
            learnt=recipe.decoder.concepts,
        )
    if stage.objective == "text":
        if not isinstance(system, ConceptSystem):
            raise ConfigError(f"Stage {stage.name} writes from concepts, but decoder.concepts is 0.")
        if not corpus.texts:
            raise ConfigError(
                f"Stage {stage.name} has no captions without photos.", hint="Add a source with images: none."
            )
        return TextObjective(system, corpus, store, stage, seed=seed)
    if stage.objective == "match":
        return MatchObjective(
            system, corpus, store, stage, seed=seed, teacher=_tower_answers(recipe, material, cache)
        )
    if stage.text_share and not (corpus.concepts and corpus.texts):
        raise ConfigError(
            f"Stage {stage.name} mixes in captions without photos (text_share), but there are none, or no"
            " concepts to write them from.",
            hint="Add a source with images: none and set decoder.concepts, or set text_share: 0.",
        )
    if stage.likeness_reward and system.matcher is None:
        raise ConfigError(
            f"Stage {stage.name} rewards likeness (likeness_reward), but matcher.embedding is 0.",
            hint="Train a matcher in a stage before, or set likeness_reward: 0.",
        )
    if stage.objective == "rewards":
        return RewardObjective(system, corpus, store, stage, seed=seed)
    captions = CaptionObjective(system, corpus, store, stage, seed=seed)
    if recipe.decoder.kind == "lstm-attention":
        return LstmCaptionObjective(
            captions,
            epochs=stage.epochs,
            doubly_stochastic=recipe.decoder.doubly_stochastic,
            scheduled_sampling=recipe.decoder.scheduled_sampling,
        )
    return captions


def _named(
    recipe: RecipeConfig, material: Material, items: Sequence[Captions], cache: Path
) -> Iterable[Captions]:
    """The photos' captions, with the names of what ImageNet's head is sure to see in them."""
    corpus = material.corpus
    numbers = {word: place for place, word in enumerate(corpus.concepts)}
    sure = _sure_names(recipe, material, cache)
    for item in items:
        name = sure[item.row]
        captions = name.put_into_any(material.photos[item.row].captions) if name is not None else None
        changed = tokenise_captions(
            corpus.tokenizer,
            _as_learnt(captions or (), recipe.text),
            key=item.key,
            source=item.source,
            row=item.row,
        )
        yield item if changed is None else with_concepts(changed, numbers)


def _sure_names(recipe: RecipeConfig, material: Material, cache: Path) -> list[ClassName | None]:
    """For each photo the name that the encoder's ImageNet head, as it came, gives it with some certainty."""
    size = recipe.image.height_px, recipe.image.width_px
    network = load_network(
        recipe.encoder.name, height_px=size[0], width_px=size[1], weights=recipe.encoder.weights
    )
    classifier = None if isinstance(network, VisionNetwork) else network.classifier
    if classifier is None:
        return [None] * len(material.photos)
    answers = ask(cache, classes_of(network, classifier, size=size), material.photos)
    names = class_names()
    found: list[ClassName | None] = []
    for start in range(0, len(material.photos), _READ_AT_ONCE):
        places = range(start, min(start + _READ_AT_ONCE, len(material.photos)))
        shares = answers.read(CLASSES, places).softmax(-1)
        by_name = torch.stack([shares[:, list(name.classes)].sum(1) for name in names], dim=1)
        best, which = by_name.max(1)
        found += [
            names[place] if share >= _SURE else None
            for share, place in zip(best.tolist(), which.tolist(), strict=True)
        ]
    return found


def _tower_answers(recipe: RecipeConfig, material: Material, cache: Path) -> Answers | None:
    """What the recipe's teacher says of all photos, where it has one."""
    if not recipe.teacher.model:
        return None
    teacher = load_teacher(recipe.teacher.model, side_px=recipe.teacher.side_px, grid=recipe.teacher.grid)
    return ask(cache, teacher, material.photos)


def _only(corpus: Corpus, sources: Sequence[str]) -> Corpus:
    """The corpus without the sources that a stage does not name. Dev stays whole, to compare stages by."""
    if not sources:
        return corpus
    known = {item.source for item in (*corpus.train, *corpus.texts)}
    for source in sources:
        if source not in known:
            raise ConfigError(
                f"There is no training data from the source {source!r}.",
                hint=f"Known sources: {', '.join(sorted(known))}.",
            )
    return replace(
        corpus,
        train=tuple(item for item in corpus.train if item.source in sources),
        texts=tuple(item for item in corpus.texts if item.source in sources),
    )


def batches_per_epoch(stage: StageConfig, corpus: Corpus) -> int:
    """How many batches an epoch of this stage has, as its objective counts them."""
    chosen = _only(corpus, stage.sources)
    items = (
        len(chosen.texts)
        if stage.objective == "text"
        else sum(stage.repeat.get(item.source, 1) for item in chosen.train)
    )
    return max(1, items // stage.batch_size)


def resolve(recipe: RecipeConfig, stage: StageConfig) -> StageConfig:
    """The stage with its defaults from the rest of the recipe: the encoder's rate, the concepts' weight."""
    frozen = recipe.encoder.trainable == "none" or stage.objective == "text"
    rate = stage.encoder_learning_rate
    return replace(
        stage,
        encoder_learning_rate=0.0 if frozen else recipe.encoder.learning_rate if rate is None else rate,
        concept_weight=stage.concept_weight if recipe.decoder.concepts else 0.0,
    )


def read_vocabulary(folder: Path) -> Vocabulary | None:
    """Read what `write_vocabulary` wrote; None if there is nothing. Raises TrainingError."""
    paths = folder / _TOKENIZER, folder / _CONCEPTS
    if not all(path.exists() for path in paths):
        return None
    try:
        tokenizer = Tokenizer.from_str(paths[0].read_text(encoding="utf-8"))
        concepts = json.loads(paths[1].read_text(encoding="utf-8"))
    except Exception as error:  # the tokenizers library raises bare Exception
        raise TrainingError(f"{folder} contains a damaged {_TOKENIZER} or {_CONCEPTS} ({error}).") from error
    tokenizer.encode_special_tokens = True
    return Vocabulary(tokenizer=tokenizer, concepts=tuple(concepts))


def write_vocabulary(folder: Path, corpus: Corpus) -> None:
    """Write what a bundle needs besides the weights: tokenizer.json and concepts.json. Raises OutputError."""
    with output_errors(str(folder)):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(str(folder / _TOKENIZER), corpus.tokenizer.to_str(pretty=True))
    write_text(str(folder / _CONCEPTS), json.dumps(corpus.concepts))
