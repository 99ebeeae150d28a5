"""Names of ImageNet's classes that captions hardly hold: that a head learns to see them."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny_system import (
    CONCEPTS,
    WIDTH,
    PlantedStore,
    tiny_corpus,
    tiny_system,
)
from torch import nn

from cutline.errors import ConfigError
from cutline.training.build import gather
from cutline.training.class_names import (
    captions_with_names,
    class_names,
    class_words,
    classes_of_words,
)
from cutline.training.concepts import ConceptHead
from cutline.training.config import StageConfig, load_recipe
from cutline.training.corpus import Corpus, first_concepts
from cutline.training.objectives import ConceptObjective
from cutline.training.optim import build_optimiser

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = {name.said: name for name in class_names()}


@pytest.mark.parametrize(
    ("said", "caption", "changed"),
    [
        ("tabby cat", "A cat sits on a couch.", "A tabby cat sits on a couch."),
        ("espresso", "a small coffee, please", "a small espresso, please"),
        ("espresso", "A coffee on a table", "An espresso on a table"),
        ("pagoda", "a man near an ornate temple", "a man near an ornate pagoda"),
        ("submarine", "the ship sails, a boat waits", "the submarine sails, a boat waits"),
        ("tabby cat", "two cats play", None),
        ("tabby cat", "a tabby and a cat", None),
        ("tabby cat", "a cat-like robot", None),
        ("magnifying glass", "a glass of water", "a magnifying glass of water"),
    ],
)
def test_a_name_stands_in_the_place_of_the_first_general_word(
    said: str, caption: str, changed: str | None
) -> None:
    assert NAMES[said].put_into(caption) == changed


def test_names_have_classes_and_words_that_people_say_instead() -> None:
    assert {"espresso", "tabby cat", "tripod", "missile", "pagoda"} <= NAMES.keys()
    classes = [place for name in class_names() for place in name.classes]
    assert len(set(classes)) == len(classes)
    assert set(classes) <= set(range(1000))
    assert all(name.instead_of and name.said not in name.instead_of for name in class_names())
    assert classes_of_words(["tabby", "dog"]) == {"tabby": NAMES["tabby cat"].classes}


def test_each_name_gets_copies_of_captions_that_have_its_words() -> None:
    texts = [["a cat sleeps", "a cat"], ["nothing here"], ["a coffee", "two cups"]]
    made = captions_with_names(texts, copies=3, seed=1)
    assert made == captions_with_names(texts, copies=3, seed=1)
    assert made.count((2, ("an espresso", "two cups"))) == 3
    assert made.count((0, ("a tabby cat sleeps", "a tabby cat"))) == 3
    assert not any(place == 1 for place, _ in made)


def test_a_recipe_with_class_names_knows_their_words_and_counts_captions_concepts_first(
    tmp_path: Path,
) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "photo.jpg")
    for name, key in (("photos", "photo.jpg"), ("texts", "1")):
        (tmp_path / f"{name}.json").write_text(json.dumps({key: ["a cat on a red sofa"]}), encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"name: named\noutput: {tmp_path}/run\n"
        "data:\n"
        + "".join(
            f"  - {{name: {name}, kind: caption-map, path: {tmp_path}/{file}.json,"
            f" images: {images}, split: {split}}}\n"
            for name, file, images, split in (
                ("photos", "photos", tmp_path, "train"),
                ("dev", "photos", tmp_path, "dev"),
                ("text", "texts", "none", "train"),
            )
        )
        + "text: {minimum_count: 2}\n"
        "decoder: {concepts: 3, concept_tokens: 2, class_names: true}\n"
        "stages: [{name: captions, objective: captions}]\n",
        encoding="utf-8",
    )
    corpus = gather(load_recipe(recipe)).corpus
    assert corpus.concepts == ("cat", "red", "sofa", *class_words(["cat", "red", "sofa"]))
    assert corpus.tokenizer.token_to_id("espresso") is not None
    named = [text for text in corpus.texts if "tabby" in text.words[0]]
    assert named
    assert corpus.concepts.index("tabby") in named[0].concepts
    plain = first_concepts(corpus, 3)
    assert plain.concepts == corpus.concepts[:3]
    assert all(place < 3 for text in plain.texts for place in text.concepts)
    with pytest.raises(ConfigError, match="class_names"):
        load_recipe(recipe, ["decoder.concepts=0"])


def test_words_of_names_start_at_their_classes_behind_the_captions_concepts() -> None:
    classifier = nn.Linear(16, 1000)
    heads = ConceptHead(16, 2), ConceptHead(16, 3)
    heads[0].start_from_imagenet(classifier, ["dog", "pagoda"])
    assert not heads[0].mean.weight[1].any()  # a concept of captions: no everyday word of any class
    heads[1].start_from_imagenet(classifier, ["dog", "cat", "pagoda"], learnt=2)
    assert heads[1].mean.weight[2].any()
    with torch.no_grad():
        heads[0].mean.weight.fill_(7)
    before = heads[1].mean.weight[2].detach().clone()
    heads[1].take(heads[0].state_dict(), ["dog", "cat"], ["dog", "cat", "pagoda"])
    assert torch.equal(heads[1].mean.weight[:2], heads[0].mean.weight)
    assert torch.equal(heads[1].mean.weight[2], before)
    with torch.no_grad():
        heads[0].mean.weight[1].fill_(8)
    heads[1].take(heads[0].state_dict(), ["dog", "cat"], ["cat", "fox", "dog"])  # by words, not by places
    assert torch.equal(heads[1].mean.weight[[2, 0]], heads[0].mean.weight)


def stage(**changes: object) -> StageConfig:
    settings = {"name": "tiny", "objective": "captions", "batch_size": 8, "learning_rate": 5e-3}
    return StageConfig(**(settings | {"captions_per_image": 3, "encoder_learning_rate": 0.0} | changes))  # type: ignore[arg-type]


def train(objective: ConceptObjective, epochs: int) -> None:
    torch.manual_seed(0)
    optimiser = build_optimiser(objective.stage, objective.parameter_groups())
    objective.module.train()
    for epoch in range(epochs):
        for batch in objective.batches(epoch):
            optimiser.zero_grad()
            objective.loss(batch).value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    objective.module.eval()


def recogniser(corpus: Corpus, store: PlantedStore, **changes: object) -> ConceptObjective:
    """A tiny system that learns concepts; ImageNet's head has four classes."""
    system = tiny_system()
    torch.manual_seed(1)
    classifier = nn.Linear(WIDTH, 4)
    with torch.no_grad():
        classifier.weight.mul_(10)
    settings = {"objective": "concepts", "learning_rate": 5e-2} | changes
    learnt = settings.pop("learnt", len(CONCEPTS))
    return ConceptObjective(
        system,
        corpus,
        store,
        stage(**settings),
        seed=0,
        teacher=copy.deepcopy(system.tail),
        classifier=classifier,
        learnt=learnt,  # type: ignore[arg-type]
    )


def test_what_imagenet_says_teaches_the_words_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last concept is a word of a name: no caption has it, and the head learns it from a class."""
    corpus, store = tiny_corpus()
    rare = len(CONCEPTS) - 1
    corpus = replace(corpus, train=first_concepts(corpus, rare).train)
    regions = store.read([item.row for item in corpus.train], [0] * len(corpus.train)).flatten(1, 2)
    with torch.no_grad():
        taught = recogniser(corpus, store).classifier(regions.mean(1)).softmax(-1)
    often = int(taught.mean(0).argmax())
    monkeypatch.setattr(
        "cutline.training.objectives.classes_of_words", lambda words: dict.fromkeys(words, (often,))
    )
    objective = recogniser(corpus, store, learnt=rare)
    train(objective, 10)
    with torch.no_grad():
        said = objective.system.concept_logits(regions).sigmoid()[:, rare]
    shown = taught[:, often]
    assert said[shown > 0.8].mean() > 0.7 > 0.3 > said[shown < 0.1].mean()
