"""What holds the master key: anything that can wrap a 32-byte key and unwrap it again.

The server holds one while it starts. It asks it a handful of times: once to open the key ring, once to make or re-wrap
one; never for a row, so a key service that is far away costs a start and nothing else. Providers that talk to a service
or a device live in ``unseen_server.keys``: nothing here knows a network.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from unseen import envelope


class KeyProvider(ABC):
    """Wraps keys under a master key that it does not give away."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """A short name, ASCII: written into what it wraps, so that a wrong choice can be named."""

    @abstractmethod
    def wrap(self, key: bytes, context: bytes) -> bytes:
        """A 32-byte ``key``, sealed for one ``context``; KeyServiceFailed when the service does not do it."""

    @abstractmethod
    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """The key that ``wrap`` was given; WrongKey for another master key, SealBroken for altered bytes or context.

        A service that does not tell these apart says WrongKey. KeyServiceFailed when it does not answer.
        """


class HeldKey(KeyProvider):
    """A master key in this process's memory: from a file, with a passphrase or without."""

    def __init__(self, kind: str, master_key: bytes) -> None:
        self._kind = kind
        self._master_key = master_key

    @property
    def kind(self) -> str:
        return self._kind

    def wrap(self, key: bytes, context: bytes) -> bytes:
        return envelope.wrap_key(self._master_key, key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        return envelope.unwrap_key(self._master_key, wrapped, context)
