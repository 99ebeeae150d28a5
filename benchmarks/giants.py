"""The two captioners that people reach for first, in their full size and with random weights.

A random model takes as long as a trained one: each is made to write exactly TOKENS tokens, greedily, in
fp32, as Hugging Face's generate() does by default. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable

TOKENS = 20


def blip_base() -> Callable[[], object]:
    """Give a call that captions one photo of 384 px with BLIP-base."""
    import torch
    from transformers import BlipConfig, BlipForConditionalGeneration

    model = BlipForConditionalGeneration(BlipConfig()).eval()
    return _one_photo(model, torch.rand(1, 3, 384, 384))


def vit_gpt2() -> Callable[[], object]:
    """Give a call that captions one photo of 224 px with ViT-GPT2."""
    import torch
    from transformers import GPT2Config, VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig

    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(), GPT2Config())
    model = VisionEncoderDecoderModel(config=config).eval()
    model.generation_config.decoder_start_token_id = model.generation_config.bos_token_id = 50256
    model.generation_config.pad_token_id = 50256
    return _one_photo(model, torch.rand(1, 3, 224, 224))


def _one_photo(model, pixels) -> Callable[[], object]:  # type: ignore[no-untyped-def]
    import torch

    def caption() -> object:
        with torch.inference_mode():
            return model.generate(
                pixel_values=pixels,
                max_new_tokens=TOKENS,
                min_new_tokens=TOKENS,
                do_sample=False,
                num_beams=1,
            )

    return caption
