"""What stand-ins are made of and tried with; apart, so that to list the tests loads no library of theirs."""

from __future__ import annotations

import string

import numpy as np

SIDE_PX = 32
WIDTH = 32
WORDS = ["a red car by the sea", "Dog", "two  cats, sleeping!"]
CHINESE = ["一只在海滩上的狗", "红色的car"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.ascii_lowercase, *string.digits, *"!,.?'-"]
PIECES += [f"##{letter}" for letter in string.ascii_lowercase] + [
    "dog",
    "cat",
    "car",
    "red",
    "the",
    *"一只在海滩上的狗红色",
]
SHAPE = {"hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = {**SHAPE, "image_size": SIDE_PX, "patch_size": 8}


def pictures() -> list[np.ndarray]:
    """Noise of several shapes: odd and even sides, wide, tall, smaller and larger than the network's input."""
    generator = np.random.default_rng(5)
    shapes = [(32, 32), (40, 61), (97, 64), (20, 51), (33, 32), (75, 32)]
    return [generator.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in shapes]
