"""Small models with random weights, saved by the upstream libraries themselves, and upstream's own answers.

Every stand-in has the files, names and shapes of the real one in small. The real weights are on hubs that no test asks.
"""

from __future__ import annotations

import string
import warnings
from collections.abc import Callable
from importlib.metadata import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.core.embed.pulled.samples import PIECES, SHAPE, SIDE_PX, VISION, WIDTH

# torchvision from PyPI is built for CUDA; beside a torch for CPUs its compiled operators cannot be loaded, and its
# Python part refuses to load without these two names. Nothing here calls them. A pair that fits is left alone.
OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
TORCHVISION = next(path for path in files("torchvision") or [] if path.match("torchvision/version.py"))
if torch.version.cuda is None and "+cu" in TORCHVISION.read_text():
    for name in ("nms", "qnms"):
        OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import sentence_transformers
    import transformers
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers.models.chinese_clip.image_processing_pil_chinese_clip import ChineseCLIPImageProcessorPil
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


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


def seeded(make: Callable[[], Any]) -> Any:
    """What ``make`` makes, with weights of a size that makes every layer matter: the same every time."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(7)
        model = make()
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape) * 0.1)
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
        return seeded(lambda: transformers.CLIPModel(configuration)), processor, tokenizer
    if kind == "siglip":
        tokenizer = gemma_tokenizer()
        text = {**SHAPE, "vocab_size": len(tokenizer), "max_position_embeddings": 16}
        configuration = transformers.SiglipConfig(text_config=text, vision_config=VISION)
        return seeded(lambda: transformers.SiglipModel(configuration)), SiglipImageProcessorPil(size=square), tokenizer
    tokenizer = bert_tokenizer()
    text = {**SHAPE, "vocab_size": len(tokenizer), "max_position_embeddings": 32}
    configuration = transformers.ChineseCLIPConfig(text_config=text, vision_config=VISION, projection_dim=24)
    processor = ChineseCLIPImageProcessorPil(size=square, do_center_crop=False)
    return seeded(lambda: transformers.ChineseCLIPModel(configuration)), processor, tokenizer


def sentence_stand_in(folder: Path, pooling: str) -> Upstream:
    configuration = transformers.BertConfig(vocab_size=len(PIECES), max_position_embeddings=32, **SHAPE)
    bert = seeded(lambda: transformers.BertModel(configuration, add_pooling_layer=False))
    bert.save_pretrained(folder / "bert")
    bert_tokenizer().save_pretrained(folder / "bert")
    parts = [Transformer(str(folder / "bert"), max_seq_length=12), Pooling(WIDTH, pooling_mode=pooling), Normalize()]
    model = sentence_transformers.SentenceTransformer(modules=parts, device="cpu")
    model.save(str(folder / "saved"), create_model_card=False)
    return Upstream(folder / "saved", None, lambda text: np.asarray(model.encode(text), np.float64))
