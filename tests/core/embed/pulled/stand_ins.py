"""Small models with random weights, saved by the upstream libraries themselves, and upstream's own answers.

Every stand-in has the files, names and shapes of the real one in small. The real weights are on hubs that no test asks.
"""

from __future__ import annotations

import json
import string
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

# torchvision from PyPI is built for CUDA; beside a torch for CPUs its compiled operators cannot be loaded, and its
# Python part refuses to load without these two names. Nothing here calls them.
OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
if not hasattr(torch.ops.torchvision, "nms"):
    for name in ("nms", "qnms"):
        OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import open_clip
    import sentence_transformers
    import timm
    import transformers
    from open_clip.push_to_hf_hub import save_for_hf
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers.models.chinese_clip.image_processing_pil_chinese_clip import ChineseCLIPImageProcessorPil
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

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


def image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels)


def unit(vector: Any) -> np.ndarray:
    array = np.asarray(vector.detach().numpy(), np.float64).ravel()
    return array / np.linalg.norm(array)


def bert_tokenizer() -> Any:
    return transformers.BertTokenizer(vocab={piece: number for number, piece in enumerate(PIECES)})


def clip_tokenizer() -> Any:
    letters = [chr(code) for code in range(33, 127)]
    pieces = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=16)


def gemma_tokenizer() -> Any:
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *string.ascii_lowercase, *string.digits, *"!,."]
    pieces += [f"<0x{byte:02X}>" for byte in range(256)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    return transformers.Siglip2Tokenizer(vocab=vocabulary, merges=[], model_max_length=16)


def seeded(model: Any) -> Any:
    """Weights of a size that makes every layer matter; drawn once, the same every time."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.eval()


class Upstream:
    """A saved stand-in: its folder, and what upstream's own code says of pictures and words."""

    def __init__(self, folder: Path, picture: Any, words: Any) -> None:
        self.folder = folder
        self.picture = picture
        self.words = words


def transformers_stand_in(folder: Path, kind: str) -> Upstream:
    model, processor, tokenizer = _transformers_parts(kind)
    for part in (model, processor, tokenizer):
        part.save_pretrained(folder)
    if kind == "chinese_clip":  # as its makers publish it: a list of pieces, no tokenizer.json
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")

    longest = model.config.text_config.max_position_embeddings

    def picture(pixels: np.ndarray) -> np.ndarray:
        inputs = processor(images=image(pixels), return_tensors="pt")
        return unit(model.get_image_features(**inputs).pooler_output)

    def words(text: str) -> np.ndarray:
        filled = {"padding": "max_length"} if kind == "siglip" else {}
        inputs = tokenizer(
            [text.lower() if kind == "siglip" else text],
            return_tensors="pt",
            truncation=True,
            max_length=longest,
            **filled,
        )
        wanted = {"input_ids"} if kind == "siglip" else {"input_ids", "attention_mask"}
        return unit(model.get_text_features(**{k: v for k, v in inputs.items() if k in wanted}).pooler_output)

    return Upstream(folder, picture, words)


def _transformers_parts(kind: str) -> tuple[Any, Any, Any]:
    square = {"height": SIDE_PX, "width": SIDE_PX}
    if kind == "clip":
        tokenizer = clip_tokenizer()
        text = {**SHAPE, "vocab_size": len(tokenizer), "max_position_embeddings": 16, "eos_token_id": 1}
        configuration = transformers.CLIPConfig(text_config=text, vision_config=VISION, projection_dim=24)
        processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE_PX}, crop_size=square)
        return seeded(transformers.CLIPModel(configuration)), processor, tokenizer
    if kind == "siglip":
        tokenizer = gemma_tokenizer()
        text = {**SHAPE, "vocab_size": len(tokenizer), "max_position_embeddings": 16}
        configuration = transformers.SiglipConfig(text_config=text, vision_config=VISION)
        return seeded(transformers.SiglipModel(configuration)), SiglipImageProcessorPil(size=square), tokenizer
    tokenizer = bert_tokenizer()
    text = {**SHAPE, "vocab_size": len(tokenizer), "max_position_embeddings": 32}
    configuration = transformers.ChineseCLIPConfig(text_config=text, vision_config=VISION, projection_dim=24)
    processor = ChineseCLIPImageProcessorPil(size=square, do_center_crop=False)
    return seeded(transformers.ChineseCLIPModel(configuration)), processor, tokenizer


def sentence_stand_in(folder: Path, pooling: str) -> Upstream:
    bert = transformers.BertModel(
        transformers.BertConfig(vocab_size=len(PIECES), max_position_embeddings=32, **SHAPE), add_pooling_layer=False
    )
    seeded(bert).save_pretrained(folder / "bert")
    bert_tokenizer().save_pretrained(folder / "bert")
    parts = [Transformer(str(folder / "bert"), max_seq_length=12), Pooling(WIDTH, pooling_mode=pooling), Normalize()]
    model = sentence_transformers.SentenceTransformer(modules=parts, device="cpu")
    model.save(str(folder / "saved"), create_model_card=False)
    return Upstream(folder / "saved", None, lambda text: np.asarray(model.encode(text), np.float64))


# ---- open_clip ------------------------------------------------------------------------------------------------------

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
    made = seeded(open_clip.create_model(place, load_weights=False, pretrained_text=False))
    tokenizer = tokenizers[kind]() if kind in tokenizers else NoFiles()
    save_for_hf(made, tokenizer, told, str(folder), safe_serialization=True)

    # What somebody has who opens these files with open_clip.
    model = open_clip.create_model(place).eval()
    transform = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
    cut = open_clip.get_tokenizer(place)

    def picture(pixels: np.ndarray) -> np.ndarray:
        return unit(model.encode_image(transform(image(pixels))[None]))

    return Upstream(folder, picture, lambda text: unit(model.encode_text(cut([text]))))


# ---- ONNX -----------------------------------------------------------------------------------------------------------


def onnx_stand_in(folder: Path) -> Upstream:
    """A CLIP's two halves, exported by torch into the layout that hubs have."""
    upstream = transformers_stand_in(folder, "clip")
    model = transformers.CLIPModel.from_pretrained(folder, attn_implementation="eager").eval()
    (folder / "model.safetensors").unlink()
    (folder / "onnx").mkdir()
    ids = torch.tensor([[0, 5, 6, 1]])
    _export(folder / "onnx/vision_model.onnx", _Pictures(model), torch.zeros(1, 3, SIDE_PX, SIDE_PX), "pixel_values")
    _export(folder / "onnx/text_model.onnx", _Words(model), ids, "input_ids")
    return upstream


class _Pictures(torch.nn.Module):  # type: ignore[misc]
    output = "image_embeds"

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Any) -> Any:
        return self.model.get_image_features(pixel_values=pixels).pooler_output


class _Words(_Pictures):
    output = "text_embeds"

    def forward(self, ids: Any) -> Any:
        return self.model.get_text_features(input_ids=ids).pooler_output


def _export(path: Path, half: _Pictures, example: Any, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs onnx alone is the older one, and says so
        torch.onnx.export(
            half,
            (example,),
            path,
            dynamo=False,
            input_names=[name],
            output_names=[half.output],
            dynamic_axes={name: {1: "length"}} if name == "input_ids" else None,
        )
