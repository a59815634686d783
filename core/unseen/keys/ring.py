"""The key ring: every key of one store, in one file that lies where the data is not. The server holds it.

    provider (file, passphrase, key service, HSM)
    └── wraps the root key                           in the ring's head; asked for at start only
        └── seals the ring
            ├── the store key                        keys the digests of finished requests
            └── a tree of keys per collection        a leaf seals one row; see tree.py

The data directory holds no key at all. So erasing is two steps: the row's serial is cut from the tree and the ring is
replaced on disk; then the row's bytes are overwritten. After the first nothing opens the row any more, in no copy of
the data that was ever made. A new row takes a serial that the tree holds already: enrolling writes nothing here.

Whoever keeps a copy of the ring can undo erasures in copies of the data. docs/keys.md says who may copy it, and when.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from unseen.entropy import random_bytes, random_uid
from unseen.envelope import KEY_BYTES
from unseen.errors import InvalidConfiguration, KeyServiceFailed, StoreFailed
from unseen.keys import durable_file, ring_content
from unseen.keys.provider import KeyProvider
from unseen.keys.ring_content import CollectionTree, Destroyed, Erasure, RingContent, WrappedRoot
from unseen.keys.tree import KeyTree

FILE_SUFFIX = ".ring"


@dataclass(frozen=True)
class KeyRings:
    """A folder of key rings, one file per store, and the provider that opens them."""

    folder: Path
    provider: KeyProvider

    def make(self, store_uid: bytes, store_key: bytes | None = None) -> KeyRing:
        """A ring for a new store, on disk when this returns; InvalidConfiguration when the folder cannot be made."""
        root_key = random_bytes(KEY_BYTES)
        root = WrappedRoot(self.provider.kind, self.provider.wrap(root_key, ring_content.root_context(store_uid)))
        content = RingContent(random_uid(), store_key or random_bytes(KEY_BYTES), None, (), ())
        path = self.path_of(store_uid)
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            durable_file.replace(path, ring_content.write(store_uid, root, root_key, content))
        except OSError as error:
            raise InvalidConfiguration(f"the key ring {path} cannot be made: {error.strerror}") from error
        return KeyRing(path, store_uid, root, root_key, content)

    def open(self, store_uid: bytes) -> KeyRing:
        """The ring of a store; nothing is written.

        InvalidConfiguration when it is not there or was wrapped by another kind of provider, WrongKey for another
        master key, SealBroken when it was altered, KeyServiceFailed when the provider does not answer.
        """
        path = self.path_of(store_uid)
        data = _read(path)
        named_uid, root, commitment_at = ring_content.read_head(data)
        if named_uid != store_uid:
            raise InvalidConfiguration(
                f"the key ring {path} belongs to another store; give --key-ring the right folder"
            )
        if root.kind != self.provider.kind:
            raise InvalidConfiguration(
                f"the key ring was wrapped by a master key of kind {root.kind!r}, --master-key names one of kind "
                f"{self.provider.kind!r}; give the one it was made or last rotated with"
            )
        root_key = self.provider.unwrap(root.wrapped, ring_content.root_context(store_uid))
        return KeyRing(path, store_uid, root, root_key, ring_content.read_body(data, commitment_at, root_key))

    def has(self, store_uid: bytes) -> bool:
        """Whether there is a ring of this store."""
        return self.path_of(store_uid).exists()

    def path_of(self, store_uid: bytes) -> Path:
        """Where the ring of a store lies."""
        return self.folder / f"{store_uid.hex()}{FILE_SUFFIX}"


class KeyRing:
    """An open ring. Every change is on disk when it returns, StoreFailed when the disk refused; safe for threads."""

    def __init__(self, path: Path, store_uid: bytes, root: WrappedRoot, root_key: bytes, content: RingContent) -> None:
        self.path = path
        self._store_uid = store_uid
        self._root = root
        self._root_key = root_key
        self._content = content
        self._changing = threading.Lock()

    # Reading

    @property
    def content(self) -> RingContent:
        """As it stands on disk."""
        return self._content

    @property
    def provider_kind(self) -> str:
        """The kind of provider that the root key is wrapped by."""
        return self._root.kind

    def tree(self, tree_id: bytes) -> KeyTree | None:
        """A tree by its id, or None."""
        return next((one.tree for one in self._content.trees if one.tree_id == tree_id), None)

    def why_destroyed(self, tree_id: bytes) -> Destroyed | None:
        """Why a tree is not there any more; None when this ring never destroyed it."""
        return dict(self._content.destroyed).get(tree_id)

    def trees_of(self, collection_uid: bytes) -> list[bytes]:
        """The ids of a collection's trees."""
        return [one.tree_id for one in self._content.trees if one.collection_uid == collection_uid]

    def collection_of(self, tree_id: bytes) -> bytes | None:
        """The collection that a tree is of; None when it is not there."""
        return next((one.collection_uid for one in self._content.trees if one.tree_id == tree_id), None)

    # Changing

    def add_tree(self, collection_uid: bytes) -> bytes:
        """Grow a fresh tree for a collection; its id."""
        tree_id = random_uid()
        fresh = CollectionTree(collection_uid, tree_id, KeyTree.grown_from(random_bytes(KEY_BYTES)))
        self._change(lambda content: replace(content, trees=(*content.trees, fresh)))
        return tree_id

    def cut(self, collection_uid: bytes, serials: Iterable[int], erasure: Erasure | None) -> None:
        """Take the keys of serials away, from every tree of the collection."""
        doomed = list(serials)

        def without(one: CollectionTree) -> CollectionTree:
            return replace(one, tree=one.tree.without(doomed)) if one.collection_uid == collection_uid else one

        self._change(
            lambda content: replace(
                content,
                trees=tuple(without(one) for one in content.trees),
                last_erasure=erasure or content.last_erasure,
            )
        )

    def destroy(self, tree_ids: Iterable[bytes], why: Destroyed) -> None:
        """Take whole trees away, and remember that they were."""
        doomed = set(tree_ids)

        def without(content: RingContent) -> RingContent:
            kept = tuple(one for one in content.trees if one.tree_id not in doomed)
            gone = tuple((one.tree_id, why) for one in content.trees if one.tree_id in doomed)
            return replace(content, trees=kept, destroyed=(*content.destroyed, *gone))

        self._change(without)

    def rewrap(self, provider: KeyProvider) -> None:
        """Put the ring under a fresh root key, wrapped by another provider: one file, replaced whole.

        KeyServiceFailed or WrongKey when the provider does not give back what it wrapped; then nothing has changed.
        """
        place = ring_content.root_context(self._store_uid)
        root_key = random_bytes(KEY_BYTES)
        root = WrappedRoot(provider.kind, provider.wrap(root_key, place))
        if provider.unwrap(root.wrapped, place) != root_key:
            raise KeyServiceFailed("the new master key does not give back what it wrapped; nothing was changed")
        with self._changing:
            self._write(root, root_key, self._content)

    def forget_leftovers(self) -> None:
        """Destroy what a crash left beside the file; once the store is known to be ours."""
        self._on_disk(lambda: durable_file.forget_leftovers(self.path))

    def _change(self, change: Callable[[RingContent], RingContent]) -> None:
        with self._changing:
            self._write(self._root, self._root_key, replace(change(self._content), state=random_uid()))

    def _write(self, root: WrappedRoot, root_key: bytes, content: RingContent) -> None:
        data = ring_content.write(self._store_uid, root, root_key, content)
        self._on_disk(lambda: durable_file.replace(self.path, data))
        self._root, self._root_key, self._content = root, root_key, content

    def _on_disk(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            raise StoreFailed(
                f"the disk did not take a change of the key ring ({error.strerror}); nothing was acknowledged, "
                "check space and hardware, then restart the server"
            ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InvalidConfiguration(
            f"there is data, but its key ring {path} is missing: give --key-ring the folder that holds it; "
            "without it nothing opens the data"
        ) from None
    except OSError as error:
        raise InvalidConfiguration(f"the key ring {path} cannot be read: {error.strerror}") from error
