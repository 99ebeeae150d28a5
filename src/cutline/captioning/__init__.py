"""Inference: bundles, decoding and captioners. Never imports torch."""
