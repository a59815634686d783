"""A vision-language model from a folder: a tiny one, saved by transformers itself, answers as it does upstream."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.core.embed.pulled.samples import PIECES, SIDE_PX, VISION, WIDTH
from unseen.errors import InvalidConfiguration, InvalidInput
from unseen_client.describing.language_model import open_language_model
from unseen_client.describing.vision_language import VisionLanguage

TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }} {% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}[SEP]{% endif %}"
)
REQUEST = "what is on it"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """LLaVA in small: random weights, an eye of CLIP's kind, a language model of Llama's."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import WhitespaceSplit

    from tests.core.embed.pulled.stand_ins import torch, transformers  # here: to list the tests takes no torch

    place = tmp_path_factory.mktemp("language") / "tiny-llava"
    tokenizer = Tokenizer(WordPiece({piece: at for at, piece in enumerate([*PIECES, "<image>"])}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokens = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        eos_token="[SEP]",
        additional_special_tokens=["<image>"],
    )
    torch.manual_seed(3)
    shape = {"hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    configuration = transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**VISION),
        text_config=transformers.LlamaConfig(**shape, vocab_size=len(tokens), pad_token_id=0, eos_token_id=None),
        image_token_id=tokens.convert_tokens_to_ids("<image>"),
        image_seq_length=(SIDE_PX // 8) ** 2,
    )
    transformers.LlavaForConditionalGeneration(configuration).save_pretrained(place)
    eye = transformers.models.clip.image_processing_pil_clip.CLIPImageProcessorPil(
        size={"shortest_edge": SIDE_PX}, crop_size=SIDE_PX
    )
    processor = transformers.LlavaProcessor(
        image_processor=eye,
        tokenizer=tokens,
        patch_size=8,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    )
    processor.save_pretrained(place)
    return place


def upstream(folder, picture, most_tokens):
    """What transformers says to the same, asked as its own page shows it."""
    import transformers

    processor = transformers.LlavaProcessor.from_pretrained(folder, local_files_only=True)
    model = transformers.LlavaForConditionalGeneration.from_pretrained(folder, local_files_only=True).eval()
    given = {} if picture is None else {"images": Image.fromarray(picture)}
    text = ("" if picture is None else "<image> ") + REQUEST + " [SEP]"
    inputs = processor(text=text, return_tensors="pt", **given)
    made = model.generate(**inputs, max_new_tokens=most_tokens, do_sample=False)
    return processor.tokenizer.decode(made[0][inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_it_says_what_upstream_says_with_a_picture_and_without(folder):
    pictures = np.random.default_rng(5).integers(0, 256, (2, 40, 61, 3), dtype=np.uint8)
    model = open_language_model(folder)
    said = [model.reply(REQUEST, picture, 12) for picture in (*pictures, None)]
    assert said == [upstream(folder, picture, 12) for picture in (*pictures, None)]
    assert all(said)
    assert model.reply(REQUEST, pictures[0], 12) == said[0]
    model.close()


def test_no_code_of_its_own_and_no_pickle_is_opened(folder, tmp_path):
    copied = tmp_path / "copied"
    copied.mkdir()
    for file in folder.iterdir():
        (copied / file.name).write_bytes(file.read_bytes())
    told = json.loads((copied / "config.json").read_text())
    (copied / "evil.py").write_text("raise SystemExit('ran')")
    told |= {"model_type": "of-its-own", "auto_map": {"AutoModelForImageTextToText": "evil.Model"}}
    (copied / "config.json").write_text(json.dumps(told))
    with pytest.raises(InvalidConfiguration, match="cannot be used"):
        VisionLanguage(copied).reply(REQUEST, None, 5)
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(InvalidInput, match="safetensors"):
        VisionLanguage(copied)


def test_a_network_that_no_device_should_build_is_refused_before_it_is_opened(folder, tmp_path):
    told = json.loads((folder / "config.json").read_text())
    told["text_config"]["num_hidden_layers"] = 100_000
    (tmp_path / "config.json").write_text(json.dumps(told))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InvalidInput, match="layers"):
        VisionLanguage(tmp_path)
