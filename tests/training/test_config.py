"""Recipes are read strictly: a mistake is one clear error that says where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tiny_recipe import write_recipe

from cutline.errors import ConfigError
from cutline.strict import dump
from cutline.training.config import (
    DecoderConfig,
    RecipeConfig,
    StageConfig,
    apply_override,
    load_recipe,
    parse,
    parse_yaml,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_recipe(tmp_path)


def test_a_recipe_is_read_with_its_defaults(recipe: Path) -> None:
    found = load_recipe(recipe)
    assert (found.name, found.seed, found.encoder.name) == ("shapes", 3, "efficientnet-lite0")
    assert found.stages[0].learning_rate == 0.02  # YAML reads 2e-2 as a text
    assert found.stages[0].clip_norm == 1.0
    assert found.data[0].source == "shapes"


def test_a_recipe_survives_being_written_and_read(recipe: Path) -> None:
    found = load_recipe(recipe, ["encoder.grid=[2, 2]", "stages.captions.repeat={shapes: 2}"])
    assert parse(RecipeConfig, dump(found, keep_none=True)) == found


def test_overrides_reach_everything(recipe: Path) -> None:
    found = load_recipe(
        recipe,
        [
            "seed=9",
            "decoder.dropout=0.5",
            "stages.captions.epochs=4",
            "stages.0.amp=bf16",
            "stages.*.schedule=one-cycle",
            "data.shapes.split=train",
            "encoder.grid=[3,4]",
            "tracking.backends=[tensorboard]",
            "image.augmentation=off",
        ],
    )
    stage = found.stages[0]
    assert (found.seed, found.decoder.dropout, found.data[0].split) == (9, 0.5, "train")
    assert (stage.epochs, stage.amp, stage.schedule) == (4, "bf16", "one-cycle")
    assert (found.encoder.grid, found.tracking.backends) == ((3, 4), ("tensorboard",))
    assert found.image.augmentation == "off"  # YAML reads a bare off as False


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sede=1", "Unknown key sede. Did you mean seed?"),
        ("decoder.dropuot=0.1", "Unknown key decoder.dropuot. Did you mean dropout?"),
        ("stages.captions.epoch=3", "Unknown key stages.0.epoch. Did you mean epochs?"),
        ("stages.caption.epochs=3", "asks for 'caption' in a list of 1. Did you mean captions?"),
        ("stages.7.epochs=3", "asks for '7' in a list of 1"),
        ("seed", "not of the form key=value"),
        ("seed.more=1", "goes deeper than the recipe"),
        ("seed=one", "seed is 'one', but must be a whole number"),
        ("seed=1.5", "seed is 1.5, but must be a whole number"),
        ("seed=true", "seed is True, but must be a whole number"),
        ("seed=-1", "seed is -1, but must be from 0 to 2147483647"),
        ("stages.*.learning_rate=0", "must be more than 0 and at most 10"),
        ("stages.*.learning_rate=.nan", "must be a number"),
        ("stages.*.ema_decay=1.0", "must be from 0 to 0.99999"),
        ("stages.*.optimiser=adamW", "must be one of adamw, adam, sgd. Did you mean adamw?"),
        ("stages.*.monitor=blue4", "unknown monitor 'blue4'. Did you mean bleu4?"),
        ("stages.*.monitor=map", "captions is not measured by map"),
        ("stages.*.start_from=caption", "which is not an earlier stage"),
        ("stages.*.name=a/b", "cannot be named 'a/b'"),
        ("export.name=my model", "name cannot be 'my model'"),
        ("export.version=1/2", "version cannot be '1/2'"),
        ("export.language=English, please", "language cannot be 'English, please'"),
        ("stages=[]", "no stages"),
        ("data=[]", "names no data"),
        ("encoder.name=efficientnet-lite3", "Did you mean efficientnet-lite"),
        ("encoder.grid=[3]", "encoder.grid has 1 values, but must have 2"),
        ("decoder={kind: transformer, width: 30, heads: 8}", "cannot be split into 8 heads"),
        ("decoder.freeze_embeddings=true", "would stay random"),
        ("text.tokenizer=wrods", "must be one of word, bpe"),
        ("image=[1]", "image is \\[1\\], but must be a mapping"),
        ("output=", "output is None, but must be a path"),
        ("export.average={caption: 1}", "names 'caption', which is not a stage. Did you mean captions?"),
        ("export.average.captions=0", "export.average.captions is 0, but must be more than 0"),
        ("export.average=captions", "export.average is 'captions', but must be a mapping"),
        ("seed=[", "not valid YAML"),
    ],
)
def test_a_mistake_is_one_clear_error(recipe: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_recipe(recipe, [override])


def test_two_stages_of_one_name_are_refused(recipe: Path) -> None:
    stage = "{name: captions, objective: captions}"
    with pytest.raises(ConfigError, match="Two stages are named 'captions'"):
        load_recipe(recipe, [f"stages=[{stage}, {stage}]"])


def test_a_key_given_twice_is_refused_rather_than_lost() -> None:
    with pytest.raises(ConfigError, match=r"the key 'seed' twice \(line 1\)"):
        parse_yaml("seed: 1\nname: x\nseed: 2\n", "recipe.yaml")


def test_yaml_never_makes_objects() -> None:
    with pytest.raises(ConfigError, match="not valid YAML"):
        parse_yaml("!!python/object/apply:os.getcwd []", "recipe.yaml")


def test_what_is_missing_is_named(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"stages\.0\.objective is missing"):
        parse(StageConfig, {"name": "x"}, "stages.0")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(tmp_path / "none.yaml")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(ConfigError, match="not a mapping"):
        load_recipe(tmp_path / "list.yaml")


def test_an_override_makes_the_sections_it_needs() -> None:
    values: dict[str, object] = {}
    apply_override(values, "image.width_px=96")
    assert values == {"image": {"width_px": 96}}


def test_concepts_need_a_decoder_that_has_them(recipe: Path) -> None:
    with pytest.raises(ConfigError, match=r"learns concepts, but decoder\.concepts is 0"):
        load_recipe(recipe, ["stages=[{name: one, objective: concepts}]"])
    with pytest.raises(ConfigError, match="there are 4 concepts"):
        parse(DecoderConfig, {"concepts": 4})
    with pytest.raises(ConfigError, match=r"concept_bonus is for decoders with concepts"):
        load_recipe(recipe, ["decoder.concepts=0", "export.concept_bonus=0.3"])


@pytest.mark.parametrize("name", ["ray-job.yaml", "vertex-ai.yaml"])
def test_templates_of_jobs_name_a_recipe_and_keys_that_exist(name: str) -> None:
    text = (ROOT / "deploy" / "training" / name).read_text("utf-8")
    assert yaml.safe_load(text)
    words = " ".join(line for line in text.splitlines() if not line.startswith("#")).split()
    overrides = [word for word in words if re.match(r"(data\.shards\.path|output|cache)=", word)]
    assert len(overrides) == 3
    recipe = load_recipe(ROOT / "recipes" / "shards.yaml", overrides)
    assert str(recipe.output).endswith("/runs/shards")
    if name == "ray-job.yaml":
        assert "deploy/training/ray_train.py" in words
        assert (ROOT / "deploy" / "training" / "ray_train.py").is_file()
