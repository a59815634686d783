"""Unseen's client: runs where the images are. It may hold images, models and secret keys; the server never does.

    from unseen_client import Client

    with Client("127.0.0.1:7443") as client:
        client.create_collection("photos")
        client.enrol_images("photos", ["beach.jpg", "forest.jpg"])
        client.search_text("photos", "trees", top_k=1)

Names are loaded when they are first used: `unseen --help` need not wait for cryptography.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unseen.audit.receipt import Receipt
    from unseen.errors import (
        AlreadyExists,
        AuditUnavailable,
        BudgetExceeded,
        CollectionExists,
        CollectionNotFound,
        DeadlineExceeded,
        ImageRefused,
        IntegrityError,
        InvalidConfiguration,
        InvalidInput,
        InvalidName,
        InvalidVector,
        KeyMissing,
        LimitExceeded,
        LogWentBack,
        MalformedMessage,
        Mismatch,
        ModelMismatch,
        NotFound,
        PackingChanged,
        ParameterMismatch,
        ProofBroken,
        RequestReplayed,
        RowExists,
        RowNotFound,
        SealBroken,
        ServerBusy,
        ServerUnavailable,
        StoreFailed,
        UnsafeParameters,
        UnseenError,
        UnsupportedEvent,
        UsedTwice,
        WrongKey,
    )
    from unseen.types import CollectionInfo
    from unseen_client.aio import AsyncClient
    from unseen_client.records import Record
    from unseen_client.report import EnrolReport, Hit, LogCheck, Refusal, ServerInfo, StoreWentBack
    from unseen_client.status import ServerStatus
    from unseen_client.steps import Progress
    from unseen_client.sync import Client
    from unseen_client.transport import TLS

__all__ = [
    "TLS",
    "AlreadyExists",
    "AsyncClient",
    "AuditUnavailable",
    "BudgetExceeded",
    "Client",
    "CollectionExists",
    "CollectionInfo",
    "CollectionNotFound",
    "DeadlineExceeded",
    "EnrolReport",
    "Hit",
    "ImageRefused",
    "IntegrityError",
    "InvalidConfiguration",
    "InvalidInput",
    "InvalidName",
    "InvalidVector",
    "KeyMissing",
    "LimitExceeded",
    "LogCheck",
    "LogWentBack",
    "MalformedMessage",
    "Mismatch",
    "ModelMismatch",
    "NotFound",
    "PackingChanged",
    "ParameterMismatch",
    "Progress",
    "ProofBroken",
    "Receipt",
    "Record",
    "Refusal",
    "RequestReplayed",
    "RowExists",
    "RowNotFound",
    "SealBroken",
    "ServerBusy",
    "ServerInfo",
    "ServerStatus",
    "ServerUnavailable",
    "StoreFailed",
    "StoreWentBack",
    "UnsafeParameters",
    "UnseenError",
    "UnsupportedEvent",
    "UsedTwice",
    "WrongKey",
]

_HOMES = {
    "AsyncClient": "unseen_client.aio",
    "Client": "unseen_client.sync",
    "CollectionInfo": "unseen.types",
    "EnrolReport": "unseen_client.report",
    "Hit": "unseen_client.report",
    "LogCheck": "unseen_client.report",
    "Progress": "unseen_client.steps",
    "Receipt": "unseen.audit.receipt",
    "Record": "unseen_client.records",
    "Refusal": "unseen_client.report",
    "ServerInfo": "unseen_client.report",
    "ServerStatus": "unseen_client.status",
    "StoreWentBack": "unseen_client.report",
    "TLS": "unseen_client.transport",
}
"""Where a name lives; every other one is an error."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'unseen_client' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "unseen.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
