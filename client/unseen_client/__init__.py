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
    from unseen.deid.settings import DeidSettings
    from unseen.dp.gaussian import Gaussian
    from unseen.dp.metric import MetricVonMisesFisher
    from unseen.dp.privunit import PrivUnit
    from unseen.errors import (
        AlreadyExists,
        AuditUnavailable,
        BlockChanged,
        BudgetExceeded,
        ClockUncertain,
        CollectionExists,
        CollectionNotFound,
        ConsentNotFound,
        ConsentNotValid,
        ControllerChanged,
        DeadlineExceeded,
        ImageRefused,
        IntegrityError,
        InvalidConfiguration,
        InvalidDocument,
        InvalidInput,
        InvalidName,
        InvalidVector,
        KeyMissing,
        KeyServiceFailed,
        LimitExceeded,
        LogWentBack,
        MalformedMessage,
        MethodUnknown,
        Mismatch,
        ModelMismatch,
        NotAuthenticated,
        NotFound,
        NothingGained,
        NotPermitted,
        OnLegalHold,
        PackingChanged,
        ParameterMismatch,
        PolicyNotAccepted,
        PolicyNotFound,
        PolicyRefused,
        ProofBroken,
        PurposeNotAllowed,
        QuotaExceeded,
        ReplyRefused,
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
    from unseen.governance.consent import Consent
    from unseen.governance.policy import Policy
    from unseen.types import CollectionInfo
    from unseen_client.access import Access, Quota, TokenInfo
    from unseen_client.aio import AsyncClient
    from unseen_client.deid.deidentifier import Deidentifier
    from unseen_client.deid.outcome import DeidReport
    from unseen_client.deid.photo import PhotoOutput
    from unseen_client.describing.describer import Describing
    from unseen_client.describing.language_model import LanguageModel, open_language_model
    from unseen_client.describing.tagger import Tag
    from unseen_client.describing.vocabulary import Vocabulary
    from unseen_client.dicom.crosswalk import WayBack
    from unseen_client.governed import Agreement, ConsentStatus, Emergency, Erasure, Hold, SubjectExport
    from unseen_client.privacy.book import BudgetReport
    from unseen_client.records import Record
    from unseen_client.report import (
        BackupMade,
        DicomEnrolReport,
        Duplicate,
        EnrolReport,
        Hit,
        LogCheck,
        OnlyKeyHere,
        Refusal,
        ServerInfo,
        StoreWentBack,
        Tagged,
    )
    from unseen_client.retrieval.query import Query
    from unseen_client.status import ServerStatus
    from unseen_client.steps import Progress
    from unseen_client.sync import Client
    from unseen_client.transport import TLS

__all__ = [
    "TLS",
    "Access",
    "Agreement",
    "AlreadyExists",
    "AsyncClient",
    "AuditUnavailable",
    "BackupMade",
    "BlockChanged",
    "BudgetExceeded",
    "BudgetReport",
    "Client",
    "ClockUncertain",
    "CollectionExists",
    "CollectionInfo",
    "CollectionNotFound",
    "Consent",
    "ConsentNotFound",
    "ConsentNotValid",
    "ConsentStatus",
    "ControllerChanged",
    "DeadlineExceeded",
    "DeidReport",
    "DeidSettings",
    "Deidentifier",
    "Describing",
    "DicomEnrolReport",
    "Duplicate",
    "Emergency",
    "EnrolReport",
    "Erasure",
    "Gaussian",
    "Hit",
    "Hold",
    "ImageRefused",
    "IntegrityError",
    "InvalidConfiguration",
    "InvalidDocument",
    "InvalidInput",
    "InvalidName",
    "InvalidVector",
    "KeyMissing",
    "KeyServiceFailed",
    "LanguageModel",
    "LimitExceeded",
    "LogCheck",
    "LogWentBack",
    "MalformedMessage",
    "MethodUnknown",
    "MetricVonMisesFisher",
    "Mismatch",
    "ModelMismatch",
    "NotAuthenticated",
    "NotFound",
    "NotPermitted",
    "NothingGained",
    "OnLegalHold",
    "OnlyKeyHere",
    "PackingChanged",
    "ParameterMismatch",
    "PhotoOutput",
    "Policy",
    "PolicyNotAccepted",
    "PolicyNotFound",
    "PolicyRefused",
    "PrivUnit",
    "Progress",
    "ProofBroken",
    "PurposeNotAllowed",
    "Query",
    "Quota",
    "QuotaExceeded",
    "Receipt",
    "Record",
    "Refusal",
    "ReplyRefused",
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
    "SubjectExport",
    "Tag",
    "Tagged",
    "TokenInfo",
    "UnsafeParameters",
    "UnseenError",
    "UnsupportedEvent",
    "UsedTwice",
    "Vocabulary",
    "WayBack",
    "WrongKey",
    "open_language_model",
]

_HOMES = {
    "Access": "unseen_client.access",
    "Agreement": "unseen_client.governed",
    "AsyncClient": "unseen_client.aio",
    "BackupMade": "unseen_client.report",
    "BudgetReport": "unseen_client.privacy.book",
    "Client": "unseen_client.sync",
    "CollectionInfo": "unseen.types",
    "Consent": "unseen.governance.consent",
    "ConsentStatus": "unseen_client.governed",
    "DeidReport": "unseen_client.deid.outcome",
    "DeidSettings": "unseen.deid.settings",
    "Deidentifier": "unseen_client.deid.deidentifier",
    "Describing": "unseen_client.describing.describer",
    "DicomEnrolReport": "unseen_client.report",
    "Duplicate": "unseen_client.report",
    "Emergency": "unseen_client.governed",
    "EnrolReport": "unseen_client.report",
    "Erasure": "unseen_client.governed",
    "Gaussian": "unseen.dp.gaussian",
    "Hit": "unseen_client.report",
    "Hold": "unseen_client.governed",
    "LanguageModel": "unseen_client.describing.language_model",
    "LogCheck": "unseen_client.report",
    "MetricVonMisesFisher": "unseen.dp.metric",
    "OnlyKeyHere": "unseen_client.report",
    "PhotoOutput": "unseen_client.deid.photo",
    "Policy": "unseen.governance.policy",
    "PrivUnit": "unseen.dp.privunit",
    "Progress": "unseen_client.steps",
    "Query": "unseen_client.retrieval.query",
    "Quota": "unseen_client.access",
    "Receipt": "unseen.audit.receipt",
    "Record": "unseen_client.records",
    "Refusal": "unseen_client.report",
    "ServerInfo": "unseen_client.report",
    "ServerStatus": "unseen_client.status",
    "StoreWentBack": "unseen_client.report",
    "SubjectExport": "unseen_client.governed",
    "TLS": "unseen_client.transport",
    "Tag": "unseen_client.describing.tagger",
    "Tagged": "unseen_client.report",
    "TokenInfo": "unseen_client.access",
    "Vocabulary": "unseen_client.describing.vocabulary",
    "WayBack": "unseen_client.dicom.crosswalk",
    "open_language_model": "unseen_client.describing.language_model",
}
"""Where a name lives; every other one is an error."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'unseen_client' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "unseen.errors")), name)


def __dir__() -> list[str]:
    return sorted(__all__)
