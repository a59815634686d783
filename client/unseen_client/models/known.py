"""Models that `unseen models pull` knows by a short name: where each lies, what opens it, what its makers allow.

Public. The licence is what the model's card said when this was written; the card is what counts, and `pull` writes down
what the hub says on the day. Nothing is pinned here: the commit and the hashes are pinned on the device that pulls.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownModel:
    """One of them."""

    name: str
    repository: str
    adapter: str
    licence: str
    use: str


KNOWN: tuple[KnownModel, ...] = (
    KnownModel(
        "biomedclip",
        "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
        "open_clip-1",
        "MIT",
        "medical pictures and words; its card says: for research",
    ),
    KnownModel(
        "chinese-clip-b-16",
        "OFA-Sys/chinese-clip-vit-base-patch16",
        "transformers-1",
        "Apache-2.0",
        "pictures and words in Chinese; where it is published as a pickle, see docs/models.md",
    ),
    KnownModel(
        "clip-b-32", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "open_clip-1", "MIT", "pictures and words, English"
    ),
    KnownModel(
        "clip-b-32-onnx", "Xenova/clip-vit-base-patch32", "onnx-1", "MIT", "the same kind (OpenAI's) without torch"
    ),
    KnownModel("clip-b-32-openai", "openai/clip-vit-base-patch32", "transformers-1", "MIT", "OpenAI's first CLIP"),
    KnownModel(
        "mobileclip2-s0",
        "timm/MobileCLIP2-S0-OpenCLIP",
        "open_clip-1",
        "apple-amlr: research only",
        "pictures and words, English, small and fast",
    ),
    KnownModel(
        "multilingual-minilm",
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        "sentence-transformers-1",
        "Apache-2.0",
        "texts alone, fifty languages",
    ),
    KnownModel(
        "siglip2-b-16", "timm/ViT-B-16-SigLIP2", "open_clip-1", "Apache-2.0", "pictures and words, many languages"
    ),
    KnownModel(
        "siglip2-b-16-transformers",
        "google/siglip2-base-patch16-224",
        "transformers-1",
        "Apache-2.0",
        "the same by transformers",
    ),
)


def known_model(name: str) -> KnownModel | None:
    """The model of that short name."""
    return next((one for one in KNOWN if one.name == name), None)
