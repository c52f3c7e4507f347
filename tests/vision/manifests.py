"""A described model for tests: its manifest, its weights, and the card they make."""

from __future__ import annotations

import hashlib
from pathlib import Path

from chueok.vision.models.card import ModelCard, Recipe

MANIFEST = """
name = "mine"
description = "a network of my own"
licence = "CC-BY-4.0"
url = "https://example.org/mine.onnx"
file = "mine.onnx"
size = 7
sha256 = "{sha256}"
dimension = 64
crop = "arcface"
pixels = 112
mean = 127.5
scale = [128, 128.5, 129.0]
colour = "bgr"
mirror = true
impostor_pairs = 1000000

[thresholds]
1e-2 = 0.31
1e-3 = 0.42
"""
WEIGHTS = b"weights"
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
MINE = ModelCard(
    name="mine",
    description="a network of my own",
    licence="CC-BY-4.0",
    url="https://example.org/mine.onnx",
    file="mine.onnx",
    size=7,
    sha256=SHA256,
    architecture="onnx",
    dimension=64,
    recipe=Recipe(
        crop="arcface",
        pixels=112,
        mean=(127.5, 127.5, 127.5),
        scale=(128.0, 128.5, 129.0),
        bgr=True,
        mirror=True,
    ),
    thresholds={"1e-2": 0.31, "1e-3": 0.42},
    impostor_pairs=1_000_000,
)


def manifest(folder: Path, text: str = MANIFEST, name: str = "mine.toml") -> Path:
    path = folder / name
    path.write_text(text.format(sha256=SHA256), encoding="utf-8")
    return path
