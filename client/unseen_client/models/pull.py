"""Taking a model in: describe it or read its manifest, lay down its files, pin them, and show it whole or not at all.

Runs where the images are. Everything is written to a folder beside the models and renamed at the end: a device that
loses power in between has no half a model. Weights are hashed as they arrive, never opened.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from unseen.embed.bundled import NAME as BUNDLED
from unseen.embed.pulled.describe import describe
from unseen.embed.pulled.describe_open_clip import TEXT_CONFIGURATION, text_half
from unseen.embed.pulled.embedder import pulled_entry
from unseen.embed.pulled.manifest_text import manifest_text
from unseen.embed.pulled.recipe import MODEL_NAME, read_recipe
from unseen.embed.pulled.upstream import PICKLES
from unseen.errors import IntegrityError, InvalidInput, LimitExceeded, StoreFailed, UnseenError
from unseen.weights import MANIFEST_NAME, PinnedFile, parse_manifest
from unseen_client.home import private_folder, sync_folder, write_private
from unseen_client.models.arriving import Watch
from unseen_client.models.inspect import NOT_SAID
from unseen_client.models.shelf import STAGING_PREFIX, HeldModel, ModelShelf
from unseen_client.models.sources import LARGEST_FILE_BYTES, Source
from unseen_client.progress import Watcher
from unseen_client.steps import Progress

LARGEST_MANIFEST_BYTES = 1 << 20
LARGEST_MODEL_BYTES = 2 * LARGEST_FILE_BYTES
"""Of all files: two halves, each as large as may be."""
STALE_S = 24 * 3600.0
"""A pull that was killed leaves its folder; the next one a day later removes it."""
OpenRepository = Callable[[str], Source]
"""For configurations that name another repository: opens it."""


@dataclass(frozen=True)
class Wish:
    """What is asked for beside the place."""

    name: str = ""
    """"" for the one in a manifest that the place has."""
    adapter: str | None = None
    revision: str = ""
    """For places that pin nothing themselves."""
    licence: str = ""
    vouched: Mapping[str, str] | None = None
    """SHA-256 by file name, from somebody the caller trusts: whatever comes must hash to it."""


def pull(shelf: ModelShelf, source: Source, wish: Wish, open_repository: OpenRepository, watcher: Watcher) -> HeldModel:
    """Take a model in; the same one again is fine, and mends the files that are here.

    Raises InvalidInput for what is not understood, IntegrityError for files that are not what was promised, and what
    the source raises.
    """
    staging = _staging(shelf)
    try:
        if MANIFEST_NAME in source.names():
            _lay_down_pinned(staging, source, wish, watcher)
        else:
            _lay_down_described(staging, source, wish, open_repository, watcher)
        _require_every_vouched_file(staging, wish)
        return _show(shelf, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _staging(shelf: ModelShelf) -> Path:
    private_folder(shelf.folder.parent)
    private_folder(shelf.folder)
    for old in shelf.folder.glob(STAGING_PREFIX + "*"):
        with suppress(OSError):
            if time.time() - old.stat().st_mtime > STALE_S:
                shutil.rmtree(old, ignore_errors=True)
    return private_folder(shelf.folder / (STAGING_PREFIX + secrets.token_hex(8)))


def _lay_down_described(
    staging: Path, source: Source, wish: Wish, open_repository: OpenRepository, watcher: Watcher
) -> None:
    """A model as upstream publishes it: the manifest is made here."""
    revision = source.revision or wish.revision or "unknown"
    vouched = wish.vouched or {}
    described = describe(
        _allowed(wish.name), revision, source.names(), source.small, adapter=wish.adapter, pickles=list(vouched)
    )
    about = {"licence": source.licence or wish.licence or NOT_SAID, "origin": source.origin}
    elsewhere: dict[str, tuple[Source, str]] = {}
    if described.text_model:
        text = open_repository(described.text_model)
        text_half(text.small("config.json"))
        elsewhere = {TEXT_CONFIGURATION: (text, "config.json")}
        about["text_half"] = f"{text.origin} {text.revision}"
    places = {name: elsewhere.get(name, (source, name)) for name in described.files}
    watch = _counting(watcher, sum(place.size_bytes(there) for place, there in places.values()))
    pinned = []
    for name, (place, there) in places.items():
        pinned.append(replace(place.lay_down(there, _below(staging, name), watch), name=name))
        _require_vouched(pinned[-1], wish)
    write_private(staging / MANIFEST_NAME, manifest_text(described.recipe, pinned, about).encode())


def _lay_down_pinned(staging: Path, source: Source, wish: Wish, watcher: Watcher) -> None:
    """A model's folder with a manifest that somebody made: it is kept as it is, and so is the id."""
    came = source.lay_down(MANIFEST_NAME, staging / MANIFEST_NAME, lambda _: None, LARGEST_MANIFEST_BYTES)
    _require_vouched(came, wish)
    try:
        text = (staging / MANIFEST_NAME).read_text(encoding="utf-8")
    except ValueError as error:
        raise InvalidInput(f"got a {MANIFEST_NAME} that is no text; ask who published it") from error
    manifest = parse_manifest(text, staging, advice="ask who published it")
    # The names of files are checked here, before anything is written under one.
    name_there = _allowed(read_recipe(manifest).name)
    if wish.name not in ("", name_there):
        raise InvalidInput(f"got the name {wish.name!r} for a model whose manifest says {name_there!r}; leave it out")
    watch = _counting(watcher, sum(max(told.size_bytes, 0) for told in manifest.files.values()))
    for name, told in manifest.files.items():
        if name.endswith(PICKLES) and name not in (wish.vouched or {}):
            raise InvalidInput(
                f"got a model with {name}, a pickle, which can hold code; if you have its SHA-256 from somebody you "
                "trust, give it with --sha256 FILE=HEX"
            )
        got = source.lay_down(name, _below(staging, name), watch, min(max(told.size_bytes, 0), LARGEST_FILE_BYTES))
        if got != told:
            raise IntegrityError(f"{name} is not what the manifest beside it says; do not trust this copy")
        _require_vouched(got, wish)


def _counting(watcher: Watcher, total_bytes: int) -> Watch:
    """Adds up pieces for a bar of megabytes; LimitExceeded, before anything comes, for more than a model may have."""
    if total_bytes > LARGEST_MODEL_BYTES:
        raise LimitExceeded(f"got a model of {total_bytes} bytes, expected at most {LARGEST_MODEL_BYTES}; not taken")
    done_bytes = 0

    def watch(size_bytes: int) -> None:
        nonlocal done_bytes
        done_bytes += size_bytes
        watcher(Progress(done_bytes >> 20, max(total_bytes, done_bytes) >> 20, "megabytes"))

    return watch


def _below(staging: Path, name: str) -> Path:
    path = staging / name
    if not path.resolve().is_relative_to(staging.resolve()) or path == staging / MANIFEST_NAME:
        raise InvalidInput(f"got a file named {name[:80]!r}, expected one inside the model's folder")
    return path


def _allowed(name: str) -> str:
    if not MODEL_NAME.fullmatch(name) or name.startswith(BUNDLED):
        raise InvalidInput(
            f"got the name {name[:60]!r}, expected 1 to 48 of a-z, 0-9, '.', '_', '-', first a letter or digit, "
            f"and not {BUNDLED!r}; choose one with --name"
        )
    return name


def _require_vouched(got: PinnedFile, wish: Wish) -> None:
    told = (wish.vouched or {}).get(got.name)
    if told is not None and told.lower() != got.sha256:
        raise IntegrityError(f"{got.name} has SHA-256 {got.sha256}, not the one you gave; do not trust this copy")


def _require_every_vouched_file(staging: Path, wish: Wish) -> None:
    missing = sorted(name for name in wish.vouched or {} if not (staging / name).is_file())
    if missing:
        raise InvalidInput(f"got a SHA-256 for {', '.join(missing)}, which the model does not use; leave it out")


def _show(shelf: ModelShelf, staging: Path) -> HeldModel:
    """Rename the folder into place; the same model that is already there stays if it is whole, and else makes room."""
    model_id = pulled_entry(staging).model_id
    target = shelf.folder_of(model_id)
    if _is_whole(shelf, model_id):
        return shelf.held(model_id)
    for folder in [staging, *(path for path in staging.iterdir() if path.is_dir())]:
        sync_folder(folder)
    damaged = staging.with_name(staging.name + "-damaged")
    try:
        if target.exists():
            target.rename(damaged)
        staging.rename(target)
    except OSError as error:
        raise StoreFailed(f"cannot put the model in place: {error.strerror}") from error
    sync_folder(shelf.folder)
    shutil.rmtree(damaged, ignore_errors=True)
    return shelf.held(model_id)


def _is_whole(shelf: ModelShelf, model_id: str) -> bool:
    """Whether the model is here, every file as it is pinned."""
    try:
        held = shelf.held(model_id)
        for name in held.manifest.files:
            held.manifest.read(name)
    except UnseenError:
        return False
    return True
