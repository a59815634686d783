"""Small open_clip models with the parts of the real ones: OpenAI's towers, timm's, a BERT; saved by open_clip."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import transformers

from tests.core.embed.pulled.samples import PIECES, SHAPE, SIDE_PX, WIDTH
from tests.core.embed.pulled.stand_ins import Upstream, bert_tokenizer, gemma_tokenizer, image, seeded, unit

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import open_clip
    import timm
    from open_clip.push_to_hf_hub import save_for_hf
    from open_clip.transform import PreprocessCfg, image_transform_v2

TEXT = {"context_length": 20, "vocab_size": 49408, "width": WIDTH, "heads": 2, "layers": 2}
OPEN_CLIP: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ViT-B-32": (
        {
            "embed_dim": 24,
            "vision_cfg": {"image_size": SIDE_PX, "layers": 2, "width": WIDTH, "head_width": 16, "patch_size": 8},
            "text_cfg": TEXT,
        },
        {},
    ),
    "MobileCLIP2": (
        {
            "embed_dim": 24,
            "custom_text": True,
            "vision_cfg": {"timm_model_name": "fastvit_t8", "timm_pool": "avg", "timm_proj": None, "image_size": 64},
            "text_cfg": {**TEXT, "no_causal_mask": True},
        },
        {"mean": [0, 0, 0], "std": [1, 1, 1], "interpolation": "bilinear"},
    ),
    "SigLIP2": (
        {
            "embed_dim": WIDTH,
            "init_logit_bias": -10,
            "custom_text": True,
            "vision_cfg": {
                "timm_model_name": "unseen_stand_in",
                "timm_pool": "map",
                "timm_proj": "none",
                "image_size": SIDE_PX,
            },
            "text_cfg": {
                **TEXT,
                "vocab_size": 300,
                "hf_tokenizer_name": "timm/ViT-B-16-SigLIP2",
                "tokenizer_kwargs": {"clean": "canonicalize"},
                "no_causal_mask": True,
                "proj_bias": True,
                "pool_type": "last",
                "norm_kwargs": {"eps": 1e-6},
                "act_kwargs": {"approximate": "tanh"},
            },
        },
        {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"},
    ),
    "BiomedCLIP": (
        {
            "embed_dim": 24,
            "vision_cfg": {
                "timm_model_name": "unseen_stand_in",
                "timm_pool": "",
                "timm_proj": "linear",
                "image_size": SIDE_PX,
            },
            "text_cfg": {
                "hf_model_name": "",
                "hf_tokenizer_name": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract",
                "hf_proj_type": "mlp",
                "hf_pooler_type": "cls_last_hidden_state_pooler",
                "context_length": 20,
            },
        },
        {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]},
    ),
}


@timm.models.register_model
def unseen_stand_in(pretrained: bool = False, **options: Any) -> Any:
    """A vision transformer as timm builds SigLIP's and BiomedCLIP's, in small."""
    pool = options.pop("global_pool", "token")
    made = timm.models.VisionTransformer(
        img_size=SIDE_PX,
        patch_size=8,
        embed_dim=WIDTH,
        depth=2,
        num_heads=2,
        class_token=pool != "map",
        global_pool=pool or "token",
        num_classes=options.get("num_classes", 10),
    )
    made.default_cfg = {}
    return made


class NoFiles:
    """open_clip's own tokenizer, which ships in the package and has nothing to save."""

    def save_pretrained(self, folder: Path) -> None:
        pass


def open_clip_stand_in(folder: Path, kind: str) -> Upstream:
    told, preprocess = json.loads(json.dumps(OPEN_CLIP[kind]))
    tokenizers = {"SigLIP2": gemma_tokenizer, "BiomedCLIP": bert_tokenizer}
    folder.mkdir(parents=True)
    if kind == "BiomedCLIP":
        text = transformers.BertConfig(vocab_size=len(PIECES), max_position_embeddings=32, **SHAPE)
        text.save_pretrained(folder / "text")
        (folder / "text_config.json").write_bytes((folder / "text" / "config.json").read_bytes())
        told["text_cfg"]["hf_model_name"] = str(folder / "text")
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": told, "preprocess_cfg": preprocess}))
    place = f"local-dir:{folder}"
    made = seeded(lambda: open_clip.create_model(place, load_weights=False, pretrained_text=False))
    tokenizer = tokenizers[kind]() if kind in tokenizers else NoFiles()
    save_for_hf(made, tokenizer, told, str(folder), safe_serialization=True)

    # What somebody has who opens these files with open_clip.
    model = open_clip.create_model(place).eval()
    transform = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    cut = open_clip.get_tokenizer(place)

    def picture(pixels: np.ndarray) -> np.ndarray:
        return unit(model.encode_image(transform(image(pixels))[None]))

    return Upstream(folder, picture, lambda text: unit(model.encode_text(cut([text]))))
