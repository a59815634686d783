"""A pulled model behind the interface that the bundled one has. Nothing heavy is imported until it is first used.

For the device only. Holds public weights; a picture or words only as long as a call lasts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock

from unseen.embed.model import Facet, Float32Vector, ModelEntry, unit_vector
from unseen.embed.pulled.network import Network, reads_no
from unseen.embed.pulled.opening import open_network
from unseen.embed.pulled.recipe import Recipe, model_id_of, read_recipe
from unseen.errors import IntegrityError, UnseenError
from unseen.pixels import Pixels
from unseen.weights import Manifest, read_manifest

ADVICE = "pull the model again: unseen models pull"


def pulled_manifest(folder: Path) -> Manifest:
    """Return the manifest of a pulled model's folder; raises InvalidConfiguration."""
    return read_manifest(folder, advice=ADVICE)


def pulled_entry(folder: Path) -> ModelEntry:
    """Describe the model in a folder; reads its manifest only. Raises InvalidConfiguration."""
    manifest = pulled_manifest(folder)
    recipe = read_recipe(manifest)
    model_id = model_id_of(manifest)
    return ModelEntry(
        recipe.name, model_id, recipe.dimension, lambda threads: PulledEmbedder(recipe, manifest, model_id, threads)
    )


class PulledEmbedder:
    """A pulled model. Its files are read and checked at the first picture or word; safe for several threads."""

    def __init__(self, recipe: Recipe, manifest: Manifest, model_id: str, threads: int = 1) -> None:
        self._recipe = recipe
        self._manifest = manifest
        self._model_id = model_id
        self._threads = threads
        self._network: Network | None = None
        self._lock = Lock()

    @property
    def model_id(self) -> str:
        return self._model_id

    @property
    def dimension(self) -> int:
        return self._recipe.dimension

    @property
    def text_score_scale(self) -> float:
        return 1.0  # words and pictures use the whole vector

    @property
    def facets(self) -> Mapping[str, Facet]:
        return {}  # one part

    def image(self, pixels: Pixels, *, people: int = 0) -> Float32Vector:
        """Return the unit vector of a picture; these models see for themselves whether there are ``people``."""
        if self._recipe.picture is None:
            raise reads_no("pictures", self._recipe)
        numbers = self._recipe.picture.numbers(pixels)
        network = self._opened()
        return self._unit(lambda: network.picture(numbers))

    def text(self, words: str) -> Float32Vector:
        """Return the unit vector of words; InvalidInput when they are empty or too long."""
        network = self._opened()
        return self._unit(lambda: network.words(words))

    def close(self) -> None:
        """Let go of the weights; a later call reads them again."""
        with self._lock:
            self._network = None

    def _opened(self) -> Network:
        with self._lock:
            if self._network is None:
                self._network = open_network(self._recipe, self._manifest, self._threads)
            return self._network

    def _unit(self, answer: Callable[[], Float32Vector]) -> Float32Vector:
        try:
            vector = answer()
        except (UnseenError, MemoryError):
            raise
        except Exception as error:
            raise self._does_not_fit(type(error).__name__) from error
        if vector.shape != (self.dimension,):
            raise self._does_not_fit(f"numbers of shape {vector.shape}")
        return unit_vector(vector)

    def _does_not_fit(self, got: str) -> IntegrityError:
        return IntegrityError(
            f"got {got} from model {self._recipe.name!r}, expected {self.dimension} numbers; its manifest and its "
            "files do not belong together: pull it again"
        )
