"""Encoders give the numbers that their weights are known for, and grids, caches and gradients as asked."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch import nn

from cutline.errors import ConfigError
from cutline.images import Preprocessing, to_pixels
from cutline.training.encoders import GridPool, build_encoder, load_efficientnet_lite
from cutline.training.resnet import ResNet, load_resnet50
from cutline.training.vision import load_vision, read_normalisation, split, token_grid

SIDE = 32
VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "image_size": SIDE,
    "patch_size": 8,
}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    transformers.utils.logging.disable_progress_bar()
    yield
    transformers.utils.logging.enable_progress_bar()


def pixels(count: int = 2, *, height: int = SIDE, width: int = SIDE, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8))


# EfficientNet-Lite

# The five likeliest ImageNet classes of scikit-learn's photo of the Summer Palace at 224 px, and their
# probabilities, as these weights gave them on the day the network was written.
GOLDEN = {"bell cote": (442, 0.2325), "boathouse": (449, 0.1152), "monastery": (663, 0.0821)}
GOLDEN |= {"palace": (698, 0.0808), "castle": (483, 0.0807)}


def test_efficientnet_lite_sees_the_palace_and_its_numbers_do_not_drift() -> None:
    from sklearn.datasets import load_sample_image

    image = Image.fromarray(load_sample_image("china.jpg"))
    photo = to_pixels(image, Preprocessing(width_px=224, height_px=224))
    network = load_efficientnet_lite("efficientnet-lite0").eval()
    with torch.no_grad():
        features = network(torch.from_numpy(photo)[None]).mean((2, 3))
        top = network.classifier(features)[0].softmax(-1).topk(5)
    assert top.indices.tolist() == [place for place, _ in GOLDEN.values()]
    np.testing.assert_allclose(top.values.numpy(), [share for _, share in GOLDEN.values()], atol=5e-4)


def test_efficientnet_trunk_and_tail_make_the_whole_network() -> None:
    encoder = build_encoder("efficientnet-lite0", trainable="tail", width_px=64, height_px=96)
    whole = load_efficientnet_lite("efficientnet-lite0").eval()
    with torch.no_grad():
        expected = whole(pixels(height=96, width=64)).flatten(2).transpose(1, 2)
        found = encoder.tail(encoder.trunk(pixels(height=96, width=64)))
    assert (encoder.rows, encoder.columns, encoder.width) == (3, 2, 1280)
    torch.testing.assert_close(found, expected)
    assert encoder.classifier is not None
    assert encoder.classifier.out_features == 1000


def test_the_tails_checkpoint_names_do_not_change() -> None:
    """Trainings that are under way are continued from them."""
    for rows in (None, 3):
        encoder = build_encoder(
            "efficientnet-lite0", trainable="tail", width_px=64, height_px=64, rows=rows, columns=rows
        )
        names = list(encoder.tail.state_dict())
        assert names[0] == "layers.0.expand.weight"
        assert all(name.startswith("layers.") for name in names)


@pytest.mark.parametrize("trainable", ["none", "tail", "all"])
def test_what_is_frozen_stays_and_what_is_trained_learns(trainable: Any) -> None:
    encoder = build_encoder("efficientnet-lite0", trainable=trainable, width_px=SIDE, height_px=SIDE)
    cached = encoder.trunk(pixels())
    assert (
        cached.shape
        == {"none": (2, 1, 1, 1280), "tail": (2, 2, 2, 112), "all": (2, SIDE, SIDE, 3)}[trainable]
    )
    assert (cached.dtype == torch.uint8) == (trainable == "all")
    assert not cached.requires_grad
    learning = [parameter for parameter in encoder.tail.parameters() if parameter.requires_grad]
    assert bool(learning) == (trainable != "none")
    if learning:
        encoder.tail(cached).sum().backward()
        assert all(parameter.grad is not None for parameter in learning)


def test_all_three_cuts_of_an_encoder_see_the_same() -> None:
    cuts = [
        build_encoder(
            "efficientnet-lite0", trainable=cut, width_px=64, height_px=64, rows=3, columns=1
        )  # neither divides the two rows and columns that there are
        for cut in ("none", "tail", "all")
    ]
    with torch.no_grad():
        regions = [cut.tail.eval()(cut.trunk(pixels(height=64, width=64))) for cut in cuts]
    assert regions[0].shape == (2, 3, 1280)
    for other in regions[1:]:
        torch.testing.assert_close(regions[0], other)


# Grids


@pytest.mark.parametrize(
    ("size", "grid"), [((9, 9), (7, 7)), ((7, 5), (2, 5)), ((2, 3), (4, 6)), ((8, 8), (4, 2))]
)
def test_pooling_is_torchs_adaptive_average(size: tuple[int, int], grid: tuple[int, int]) -> None:
    features = torch.randn(2, 3, *size)
    expected = nn.AdaptiveAvgPool2d(grid)(features)
    torch.testing.assert_close(GridPool(size, grid)(features), expected)


# ResNet-50


def torchvision_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of transformers' ResNet, which is another implementation, under torchvision's names."""
    state = {}
    for name, value in model.state_dict().items():
        name = name.replace("embedder.embedder.convolution", "conv1").replace(
            "embedder.embedder.normalization", "bn1"
        )
        if name.startswith("encoder.stages."):
            _, _, stage, _, place, part, *rest = name.split(".")
            if part == "shortcut":
                which = "downsample.0" if rest[0] == "convolution" else "downsample.1"
            else:
                kind = "conv" if rest[1] == "convolution" else "bn"
                which = f"{kind}{int(rest[0]) + 1}"
            name = f"layer{int(stage) + 1}.{place}.{which}.{rest[-1]}"
        state[name] = value
    width = model.config.hidden_sizes[-1]
    return state | {"fc.weight": torch.randn(1000, width), "fc.bias": torch.randn(1000)}


def other_resnet(**changes: Any) -> nn.Module:
    """With statistics as training leaves them, so that folding has something to fold."""
    torch.manual_seed(0)
    model = transformers.ResNetModel(transformers.ResNetConfig(**changes)).eval()
    for name, value in model.state_dict().items():
        if name.endswith(("running_mean", "normalization.bias")):
            value.normal_(std=0.1)
        elif name.endswith(("running_var", "normalization.weight")):
            value.uniform_(0.5, 1.5)
    return model


def normal(values: torch.Tensor) -> torch.Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((values / 255 - mean) / std).permute(0, 3, 1, 2)


def test_resnet50_agrees_with_another_implementation(tmp_path: Path) -> None:
    other = other_resnet()
    state = torchvision_state(other)
    torch.save(state, tmp_path / "resnet50.pth")
    encoder = build_encoder(
        "resnet50", trainable="tail", width_px=SIDE, height_px=64, weights=tmp_path / "resnet50.pth"
    )
    with torch.no_grad():
        expected = other(normal(pixels(1, height=64))).last_hidden_state
        cached = encoder.trunk(pixels(1, height=64))
        regions = encoder.tail(cached)
    assert cached.shape == (1, 4, 2, 1024)
    assert (encoder.rows, encoder.columns, encoder.width) == (2, 1, 2048)
    scale = float(expected.abs().max())
    torch.testing.assert_close(
        regions / scale, expected.flatten(2).transpose(1, 2) / scale, atol=1e-4, rtol=1e-3
    )
    assert encoder.classifier is not None
    torch.testing.assert_close(encoder.classifier.weight, state["fc.weight"])


@pytest.mark.parametrize("classes", [0, 365])
def test_a_resnet_without_imagenets_classifier_is_an_encoder_too(classes: int) -> None:
    small = {"embedding_size": 8, "hidden_sizes": [32, 64], "depths": [1, 1]}
    state = {
        name: value for name, value in torchvision_state(other_resnet(**small)).items() if name[:2] != "fc"
    }
    network = ResNet(blocks=(1, 1), width=8)
    if classes:
        state |= {"fc.weight": torch.zeros(classes, 64), "fc.bias": torch.zeros(classes)}
    network.load_torchvision(state)
    assert network.classifier is None


def test_weights_that_do_not_fit_are_one_clear_error() -> None:
    small = {
        "embedding_size": 8,
        "hidden_sizes": [32, 64],
        "depths": [1, 1],
        "downsample_in_first_stage": False,
    }
    state = torchvision_state(other_resnet(**small))
    network = ResNet(blocks=(1, 1), width=8)
    with pytest.raises(ConfigError, match=r"conv1 in the ResNet weights is .* should be"):
        network.load_torchvision(state | {"conv1.weight": torch.zeros(8, 3, 5, 5)})
    with pytest.raises(ConfigError, match="another network: fd"):
        network.load_torchvision(state | {"fd.weight": torch.zeros(1)})
    del state["layer2.0.bn2.running_var"]
    with pytest.raises(ConfigError, match=r"lack layer2\.0\.bn2\.running_var"):
        network.load_torchvision(state)
    with pytest.raises(ConfigError, match="needs weights"):
        load_resnet50(None)


def test_a_weights_file_cannot_run_code(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
            return Path.touch, (marker,)

    torch.save({"conv1.weight": Bomb()}, tmp_path / "bomb.pth")
    (tmp_path / "text.pth").write_text("not weights")
    for name in ("bomb.pth", "text.pth", "missing.pth"):
        with pytest.raises(ConfigError, match=name):
            load_resnet50(tmp_path / name)
    assert not marker.exists()


# Transformers


def save(model: Any, folder: Path) -> str:
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    model.save_pretrained(folder)
    ViTImageProcessorPil(image_mean=[0.5, 0.4, 0.3], image_std=[0.5, 0.25, 0.2]).save_pretrained(folder)
    return f"transformers:{folder}"


def vit() -> Any:
    return transformers.ViTModel(transformers.ViTConfig(**VIT))


def convnext() -> Any:
    sizes = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}
    return transformers.ConvNextModel(transformers.ConvNextConfig(**sizes))


def swin() -> Any:
    sizes = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 2, "patch_size": 4}
    return transformers.SwinModel(transformers.SwinConfig(**sizes, image_size=SIDE))


def dinov2_with_registers() -> Any:
    return transformers.Dinov2WithRegistersModel(
        transformers.Dinov2WithRegistersConfig(**{**VIT, "mlp_ratio": 2, "num_register_tokens": 4})
    )


def clip() -> Any:
    vision = transformers.CLIPVisionConfig(**VIT, projection_dim=8)
    text = transformers.CLIPTextConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    config = transformers.CLIPConfig(
        text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8
    )
    return transformers.CLIPModel(config)


def resnet_with_batch_norms() -> Any:
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
    return transformers.ResNetModel(transformers.ResNetConfig(**sizes))


KINDS = {
    "vit": (vit, (4, 4), 16),
    "convnext": (convnext, (1, 1), 16),
    "swin": (swin, (4, 4), 16),
    "dinov2-registers": (dinov2_with_registers, (4, 4), 16),
    "clip": (clip, (4, 4), 16),
    "resnet": (resnet_with_batch_norms, (4, 4), 16),
}


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, tuple[int, int], int]:
    torch.manual_seed(0)
    make, grid, width = KINDS[request.param]
    return save(make(), tmp_path / request.param), grid, width


def test_any_vision_model_of_transformers_sees_a_grid(kind: tuple[str, tuple[int, int], int]) -> None:
    name, grid, width = kind
    cuts = [
        build_encoder(name, trainable=cut, width_px=SIDE, height_px=SIDE) for cut in ("none", "tail", "all")
    ]
    with torch.no_grad():
        regions = [cut.tail.eval()(cut.trunk(pixels())) for cut in cuts]
    for cut, seen in zip(cuts, regions, strict=True):
        assert (cut.rows, cut.columns) == grid
        assert seen.shape == (2, grid[0] * grid[1], width)
        torch.testing.assert_close(seen, regions[0], atol=1e-5, rtol=1e-4)
    learning = [sum(p.numel() for p in cut.tail.parameters() if p.requires_grad) for cut in cuts]
    assert 0 == learning[0] < learning[1] < learning[2]
    pooled = build_encoder(name, width_px=SIDE, height_px=SIDE, rows=2, columns=3)
    assert pooled.tail(pooled.trunk(pixels())).shape == (2, 6, width)


def test_patch_tokens_lie_where_the_patches_are(tmp_path: Path) -> None:
    """A ViT whose layers do nothing sees each patch alone: changing one changes one region, the right one."""
    model = vit()
    with torch.no_grad():
        for layer in model.layers:
            for part in layer.parameters():
                part.zero_()
        model.embeddings.position_embeddings.zero_()
    encoder = build_encoder(save(model, tmp_path / "vit"), width_px=SIDE, height_px=SIDE)
    plain = torch.full((1, SIDE, SIDE, 3), 100, dtype=torch.uint8)
    changed = plain.clone()
    changed[0, 8:16, 24:32] = torch.arange(64, dtype=torch.uint8).view(8, 8, 1)
    with torch.no_grad():
        difference = (encoder.trunk(changed) - encoder.trunk(plain)).abs().sum(-1)[0]
    assert difference.nonzero().tolist() == [[1, 3]]


def test_normalisation_is_the_models_own(tmp_path: Path) -> None:
    model = vit().eval()
    encoder = build_encoder(save(model, tmp_path / "vit"), width_px=SIDE, height_px=SIDE)
    processor = transformers.AutoImageProcessor.from_pretrained(
        tmp_path / "vit", size={"height": SIDE, "width": SIDE}
    )
    image = Image.fromarray(pixels(1)[0].numpy())
    with torch.no_grad():
        expected = model(**processor(images=image, return_tensors="pt")).last_hidden_state[:, 1:]
        found = encoder.trunk(pixels(1)).flatten(1, 2)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_model_saved_without_its_image_processor_sees_photos_as_on_imagenet(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = vit().eval()
    model.save_pretrained(tmp_path / "bare")
    encoder = build_encoder(f"transformers:{tmp_path / 'bare'}", width_px=SIDE, height_px=SIDE)
    assert "does not say how photos are normalised" in caplog.text
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        seen = ((pixels(1).float() / 255 - mean) / std).permute(0, 3, 1, 2)
        expected = model(pixel_values=seen).last_hidden_state[:, 1:]
        found = encoder.trunk(pixels(1)).flatten(1, 2)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_vit_takes_photos_of_another_size_by_stretching_its_places(tmp_path: Path) -> None:
    encoder = build_encoder(save(vit(), tmp_path / "vit"), trainable="all", width_px=48, height_px=64)
    assert (encoder.rows, encoder.columns) == (8, 6)
    assert encoder.tail(pixels(height=64, width=48)).shape == (2, 48, 16)


def test_the_first_blocks_are_cached_and_the_last_ones_learn(tmp_path: Path) -> None:
    encoder = build_encoder(save(vit(), tmp_path / "vit"), trainable="tail", width_px=SIDE, height_px=SIDE)
    assert encoder.trunk(pixels()).shape == (2, 1, 17, 16)  # the class token is part of what is cached
    halves = split(load_vision(tmp_path / "vit", height_px=SIDE, width_px=SIDE))
    assert halves is not None
    assert [len(half.vision.network.layers) for half in halves] == [3, 1]
    teacher = copy.deepcopy(encoder.tail)
    with torch.no_grad():
        for parameter in encoder.tail.parameters():
            parameter.add_(torch.randn_like(parameter))
        cached = encoder.trunk(pixels())
        assert not torch.allclose(teacher(cached), encoder.tail(cached))


def test_what_cannot_be_cut_caches_pixels_and_trains_its_last_blocks(tmp_path: Path) -> None:
    encoder = build_encoder(save(swin(), tmp_path / "swin"), trainable="tail", width_px=SIDE, height_px=SIDE)
    assert encoder.description == "pixels"
    names = [name for name, parameter in encoder.tail.named_parameters() if parameter.requires_grad]
    assert names
    assert all(".layers.1." in name for name in names)


def test_batch_norms_keep_their_statistics_while_the_rest_learns(tmp_path: Path) -> None:
    name = save(resnet_with_batch_norms(), tmp_path / "resnet")
    encoder = build_encoder(name, trainable="all", width_px=SIDE, height_px=SIDE)
    before = copy.deepcopy(encoder.tail.state_dict())
    encoder.tail.train()
    encoder.tail(pixels())
    for key, value in encoder.tail.state_dict().items():
        torch.testing.assert_close(value, before[key])


def test_parameters_that_no_gradient_reaches_are_frozen(tmp_path: Path) -> None:
    """DistributedDataParallel would wait for them for ever."""
    encoder = build_encoder(save(vit(), tmp_path / "vit"), trainable="all", width_px=SIDE, height_px=SIDE)
    encoder.tail(pixels()).square().sum().backward()
    for name, parameter in encoder.tail.named_parameters():
        assert parameter.requires_grad == (parameter.grad is not None), name
        assert parameter.requires_grad == ("pooler" not in name), name


# Cache keys and errors


def test_a_cache_is_told_apart_by_weights_cut_and_grid(tmp_path: Path) -> None:
    torch.manual_seed(1)
    name = save(vit(), tmp_path / "vit")
    size = {"width_px": SIDE, "height_px": SIDE}
    one = build_encoder(name, **size).description
    assert build_encoder(name, **size).description == one
    assert build_encoder(name, **size, rows=2).description != one
    cut = build_encoder(name, **size, trainable="tail").description
    assert cut != one
    assert build_encoder(name, **size, trainable="tail", rows=2).description == cut  # pooling is in the tail
    other = save(vit(), tmp_path / "vit")  # other random weights in the same place
    assert build_encoder(other, **size).description != one


@pytest.mark.parametrize("name", ["efficientnet-b7", "resnet18", "transformers:/nowhere/at/all", ""])
def test_an_unknown_encoder_is_one_clear_error(name: str) -> None:
    with pytest.raises(ConfigError):
        build_encoder(name, width_px=SIDE, height_px=SIDE)


def test_a_model_that_does_not_fit_says_why(tmp_path: Path) -> None:
    bert = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=10, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
        )
    )
    with pytest.raises(ConfigError, match="not a vision model"):
        build_encoder(save(bert, tmp_path / "bert"), width_px=SIDE, height_px=SIDE)
    odd = save(vit(), tmp_path / "odd")
    (tmp_path / "odd" / "preprocessor_config.json").write_text('{"image_mean": [1]}')
    with pytest.raises(ConfigError, match="normalised"):
        build_encoder(odd, width_px=SIDE, height_px=SIDE)
    with pytest.raises(ConfigError, match="has its own weights"):
        build_encoder("efficientnet-lite0", width_px=SIDE, height_px=SIDE, weights=tmp_path / "x.pth")


def test_normalisation_speaks_of_pixels_in_zero_to_one() -> None:
    plain = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    assert read_normalisation(plain).mean == pytest.approx((0.5,) * 3)
    assert read_normalisation({"do_normalize": False}).std == pytest.approx((1.0,) * 3)
    unscaled = read_normalisation({"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [127.5] * 3})
    assert (unscaled.mean, unscaled.std) == (pytest.approx((0.5,) * 3), pytest.approx((0.5,) * 3))
    halves = read_normalisation(
        {"rescale_factor": 1 / 127.5, "image_mean": [1.0] * 3, "image_std": [1.0] * 3}
    )
    assert (halves.mean, halves.std) == (pytest.approx((0.5,) * 3), pytest.approx((0.5,) * 3))


def test_tokens_that_lie_on_no_grid_are_refused() -> None:
    config = transformers.ViTConfig(**VIT)
    assert token_grid(17, (SIDE, SIDE), config) == (4, 4)
    with pytest.raises(ConfigError, match="grid"):
        token_grid(200, (SIDE, SIDE), config)
