"""A vision-language model by Hugging Face's transformers (image-text-to-text), from a folder on this device.

For the device only. Weights are safetensors; no code of the model's own runs, no hub is asked, its chat template is run
in the library's sandbox. The configuration is a stranger's: a network that no device should build is refused first.
Torch is imported at the first question. Not pinned by hash: what it says goes into no vector that must be made again.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import Any

from PIL import Image

from unseen.embed.pulled.network_size import network_configuration
from unseen.embed.pulled.torch_weights import class_of, library
from unseen.errors import InvalidConfiguration, InvalidInput, UnseenError
from unseen.pixels import Pixels

LARGEST_CONFIGURATION_BYTES = 1 << 20
LOCAL = {"local_files_only": True, "trust_remote_code": False}


class VisionLanguage:
    """A model of ``AutoModelForImageTextToText`` with its processor; answers one question after the other."""

    def __init__(self, folder: Path) -> None:
        """Raises InvalidInput for a folder without a configuration or with weights that are no safetensors."""
        configuration = folder / "config.json"
        if not configuration.is_file() or not any(folder.glob("*.safetensors")):
            raise InvalidInput(f"{folder} holds no config.json beside *.safetensors; save the model with transformers")
        if configuration.stat().st_size > LARGEST_CONFIGURATION_BYTES:
            raise InvalidInput(f"{configuration} is too large to be a configuration")
        network_configuration(configuration.read_bytes())
        self._folder = folder
        self._lock = Lock()
        self._opened: tuple[Any, Any] | None = None

    def reply(self, request: str, picture: Pixels | None, most_tokens: int) -> str:
        """What the model says; see ``LanguageModel.reply``. The likeliest word each time: always the same."""
        with self._lock:
            try:
                return self._reply(request, picture, most_tokens)
            except (UnseenError, MemoryError):
                raise
            except Exception as error:
                raise InvalidConfiguration(
                    f"the language model in {self._folder} cannot be used (transformers ended with "
                    f"{type(error).__name__}): its files do not fit together, or need another version of the library"
                ) from error

    def close(self) -> None:
        """Let go of the weights; a later question reads them again."""
        with self._lock:
            self._opened = None

    def _reply(self, request: str, picture: Pixels | None, most_tokens: int) -> str:
        processor, model = self._opened = self._opened or self._open()
        inputs = _inputs(processor, request, None if picture is None else Image.fromarray(picture))
        with library("torch").inference_mode():
            made = model.generate(**inputs, max_new_tokens=most_tokens, do_sample=False, num_beams=1)
        asked = inputs["input_ids"].shape[1]
        answer = made[0][0 if model.config.is_encoder_decoder else asked :]
        return str(processor.tokenizer.decode(answer, skip_special_tokens=True))

    def _open(self) -> tuple[Any, Any]:
        processor = class_of("transformers", "AutoProcessor").from_pretrained(self._folder, **LOCAL)
        kind = class_of("transformers", "AutoModelForImageTextToText")
        return processor, kind.from_pretrained(self._folder, use_safetensors=True, **LOCAL).eval()


def _inputs(processor: Any, request: str, picture: Image.Image | None) -> Any:
    """Tensors for a request: by the model's chat template, or the bare words for a model that has none."""
    if not getattr(processor, "chat_template", None):
        given = {} if picture is None else {"images": picture}
        return processor(text=request, return_tensors="pt", **given)
    content = [*([] if picture is None else [{"type": "image", "image": picture}]), {"type": "text", "text": request}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
