"""Models that `unseen models pull` knows by a short name: where each lies, what opens it, what its makers allow.

Public. No hub was reachable when this was written: the licences are from stored copies of the models' cards, or, where
``card_seen`` is False, from what is said of their kind. The card is what counts, and `pull` writes down what the hub
says on the day. Nothing is pinned here: the commit and the hashes are pinned on the device that pulls.
"""

from __future__ import annotations

from dataclasses import dataclass

from unseen.embed.pulled.recipe import ONNX, OPEN_CLIP, SENTENCES, TRANSFORMERS


@dataclass(frozen=True)
class KnownModel:
    """One of them."""

    name: str
    repository: str
    adapter: str
    licence: str
    use: str
    card_seen: bool = False
    """Whether a copy of its card was read, and said this of the licence."""

    @property
    def licence_told(self) -> str:
        """The licence, with what is to be known of it."""
        return self.licence if self.card_seen else f"{self.licence} (card not seen)"


PICKLED = "its copies held weights as a pickle: docs/models.md"
KNOWN: tuple[KnownModel, ...] = (
    KnownModel(
        "biomedclip",
        "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224",
        OPEN_CLIP,
        "MIT",
        f"medical pictures and words, for research; {PICKLED}",
        card_seen=True,
    ),
    KnownModel(
        "chinese-clip-b-16",
        "OFA-Sys/chinese-clip-vit-base-patch16",
        TRANSFORMERS,
        "not stated",
        f"pictures and words in Chinese; {PICKLED}",
        card_seen=True,
    ),
    KnownModel("clip-b-32", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", OPEN_CLIP, "MIT", "pictures and words, English"),
    KnownModel(
        "clip-b-32-onnx",
        "Xenova/clip-vit-base-patch32",
        ONNX,
        "not stated; OpenAI's code is MIT",
        "the same kind (OpenAI's) without torch",
    ),
    KnownModel(
        "clip-b-32-openai",
        "openai/clip-vit-base-patch32",
        TRANSFORMERS,
        "not stated; OpenAI's code is MIT",
        f"OpenAI's first CLIP; {PICKLED}",
        card_seen=True,
    ),
    KnownModel(
        "mobileclip2-s0",
        "timm/MobileCLIP2-S0-OpenCLIP",
        OPEN_CLIP,
        "apple-amlr: research only",
        "pictures and words, English, small and fast",
        card_seen=True,
    ),
    KnownModel(
        "multilingual-minilm",
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        SENTENCES,
        "Apache-2.0",
        "texts alone, fifty languages",
        card_seen=True,
    ),
    KnownModel("siglip2-b-16", "timm/ViT-B-16-SigLIP2", OPEN_CLIP, "Apache-2.0", "pictures and words, many languages"),
    KnownModel(
        "siglip2-b-16-transformers",
        "google/siglip2-base-patch16-224",
        TRANSFORMERS,
        "Apache-2.0",
        "the same by transformers",
    ),
)


def known_model(name: str) -> KnownModel | None:
    """The model of that short name."""
    return next((one for one in KNOWN if one.name == name), None)
