from unseen.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SetPolicyRequest(_message.Message):
    __slots__ = ("request_id", "collection_uid", "policy")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    collection_uid: bytes
    policy: bytes
    def __init__(self, request_id: _Optional[bytes] = ..., collection_uid: _Optional[bytes] = ..., policy: _Optional[bytes] = ...) -> None: ...

class SetPolicyResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: bytes
    def __init__(self, receipt: _Optional[bytes] = ...) -> None: ...

class GetPolicyRequest(_message.Message):
    __slots__ = ("collection_uid", "version")
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    collection_uid: bytes
    version: int
    def __init__(self, collection_uid: _Optional[bytes] = ..., version: _Optional[int] = ...) -> None: ...

class GetPolicyResponse(_message.Message):
    __slots__ = ("policy",)
    POLICY_FIELD_NUMBER: _ClassVar[int]
    policy: PolicyVersion
    def __init__(self, policy: _Optional[_Union[PolicyVersion, _Mapping]] = ...) -> None: ...

class PolicyVersion(_message.Message):
    __slots__ = ("policy", "receipt")
    POLICY_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    policy: bytes
    receipt: bytes
    def __init__(self, policy: _Optional[bytes] = ..., receipt: _Optional[bytes] = ...) -> None: ...

class AcceptPolicyRequest(_message.Message):
    __slots__ = ("request_id", "collection_uid", "policy_digest")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    collection_uid: bytes
    policy_digest: bytes
    def __init__(self, request_id: _Optional[bytes] = ..., collection_uid: _Optional[bytes] = ..., policy_digest: _Optional[bytes] = ...) -> None: ...

class AcceptPolicyResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: bytes
    def __init__(self, receipt: _Optional[bytes] = ...) -> None: ...

class GetPolicyHistoryRequest(_message.Message):
    __slots__ = ("collection_uid", "first_version", "skipped_acceptances")
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    FIRST_VERSION_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_ACCEPTANCES_FIELD_NUMBER: _ClassVar[int]
    collection_uid: bytes
    first_version: int
    skipped_acceptances: int
    def __init__(self, collection_uid: _Optional[bytes] = ..., first_version: _Optional[int] = ..., skipped_acceptances: _Optional[int] = ...) -> None: ...

class GetPolicyHistoryResponse(_message.Message):
    __slots__ = ("policies", "acceptances", "more")
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    ACCEPTANCES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    policies: _containers.RepeatedCompositeFieldContainer[PolicyVersion]
    acceptances: _containers.RepeatedCompositeFieldContainer[Acceptance]
    more: bool
    def __init__(self, policies: _Optional[_Iterable[_Union[PolicyVersion, _Mapping]]] = ..., acceptances: _Optional[_Iterable[_Union[Acceptance, _Mapping]]] = ..., more: bool = ...) -> None: ...

class Acceptance(_message.Message):
    __slots__ = ("caller", "version", "at")
    CALLER_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    caller: str
    version: int
    at: int
    def __init__(self, caller: _Optional[str] = ..., version: _Optional[int] = ..., at: _Optional[int] = ...) -> None: ...

class RecordConsentRequest(_message.Message):
    __slots__ = ("request_id", "collection_uid", "consent")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    collection_uid: bytes
    consent: bytes
    def __init__(self, request_id: _Optional[bytes] = ..., collection_uid: _Optional[bytes] = ..., consent: _Optional[bytes] = ...) -> None: ...

class RecordConsentResponse(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: bytes
    def __init__(self, receipt: _Optional[bytes] = ...) -> None: ...

class WithdrawConsentRequest(_message.Message):
    __slots__ = ("request_id", "collection_uid", "record_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    collection_uid: bytes
    record_id: bytes
    def __init__(self, request_id: _Optional[bytes] = ..., collection_uid: _Optional[bytes] = ..., record_id: _Optional[bytes] = ...) -> None: ...

class WithdrawConsentResponse(_message.Message):
    __slots__ = ("receipt", "epoch", "consent")
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    receipt: bytes
    epoch: int
    consent: bytes
    def __init__(self, receipt: _Optional[bytes] = ..., epoch: _Optional[int] = ..., consent: _Optional[bytes] = ...) -> None: ...

class ListConsentsRequest(_message.Message):
    __slots__ = ("collection_uid", "subject")
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    collection_uid: bytes
    subject: bytes
    def __init__(self, collection_uid: _Optional[bytes] = ..., subject: _Optional[bytes] = ...) -> None: ...

class ListConsentsResponse(_message.Message):
    __slots__ = ("consents",)
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    consents: _containers.RepeatedCompositeFieldContainer[ConsentEntry]
    def __init__(self, consents: _Optional[_Iterable[_Union[ConsentEntry, _Mapping]]] = ...) -> None: ...

class ConsentEntry(_message.Message):
    __slots__ = ("consent", "state", "ended_at")
    CONSENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    consent: bytes
    state: str
    ended_at: int
    def __init__(self, consent: _Optional[bytes] = ..., state: _Optional[str] = ..., ended_at: _Optional[int] = ...) -> None: ...

class EraseSubjectRequest(_message.Message):
    __slots__ = ("request_id", "collection_uid", "subject")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    collection_uid: bytes
    subject: bytes
    def __init__(self, request_id: _Optional[bytes] = ..., collection_uid: _Optional[bytes] = ..., subject: _Optional[bytes] = ...) -> None: ...

class EraseSubjectResponse(_message.Message):
    __slots__ = ("certificate", "epoch")
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    certificate: bytes
    epoch: int
    def __init__(self, certificate: _Optional[bytes] = ..., epoch: _Optional[int] = ...) -> None: ...

class ExportSubjectRequest(_message.Message):
    __slots__ = ("collection_uid", "subject")
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    collection_uid: bytes
    subject: bytes
    def __init__(self, collection_uid: _Optional[bytes] = ..., subject: _Optional[bytes] = ...) -> None: ...

class ExportSubjectResponse(_message.Message):
    __slots__ = ("consents", "rows", "holds", "policies")
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    consents: _containers.RepeatedCompositeFieldContainer[ConsentEntry]
    rows: _containers.RepeatedCompositeFieldContainer[SubjectRow]
    holds: _containers.RepeatedCompositeFieldContainer[Hold]
    policies: _containers.RepeatedCompositeFieldContainer[PolicyVersion]
    def __init__(self, consents: _Optional[_Iterable[_Union[ConsentEntry, _Mapping]]] = ..., rows: _Optional[_Iterable[_Union[SubjectRow, _Mapping]]] = ..., holds: _Optional[_Iterable[_Union[Hold, _Mapping]]] = ..., policies: _Optional[_Iterable[_Union[PolicyVersion, _Mapping]]] = ...) -> None: ...

class SubjectRow(_message.Message):
    __slots__ = ("entry", "record_id", "purposes", "withheld")
    ENTRY_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    PURPOSES_FIELD_NUMBER: _ClassVar[int]
    WITHHELD_FIELD_NUMBER: _ClassVar[int]
    entry: _types_pb2.CatalogueEntry
    record_id: bytes
    purposes: _containers.RepeatedScalarFieldContainer[str]
    withheld: bool
    def __init__(self, entry: _Optional[_Union[_types_pb2.CatalogueEntry, _Mapping]] = ..., record_id: _Optional[bytes] = ..., purposes: _Optional[_Iterable[str]] = ..., withheld: bool = ...) -> None: ...

class ListCertificatesRequest(_message.Message):
    __slots__ = ("collection_uid",)
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    collection_uid: bytes
    def __init__(self, collection_uid: _Optional[bytes] = ...) -> None: ...

class ListCertificatesResponse(_message.Message):
    __slots__ = ("certificates",)
    CERTIFICATES_FIELD_NUMBER: _ClassVar[int]
    certificates: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, certificates: _Optional[_Iterable[bytes]] = ...) -> None: ...

class SetHoldRequest(_message.Message):
    __slots__ = ("request_id", "collection_uid", "subject", "reason_code", "lift")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    LIFT_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    collection_uid: bytes
    subject: bytes
    reason_code: str
    lift: bool
    def __init__(self, request_id: _Optional[bytes] = ..., collection_uid: _Optional[bytes] = ..., subject: _Optional[bytes] = ..., reason_code: _Optional[str] = ..., lift: bool = ...) -> None: ...

class SetHoldResponse(_message.Message):
    __slots__ = ("hold",)
    HOLD_FIELD_NUMBER: _ClassVar[int]
    hold: Hold
    def __init__(self, hold: _Optional[_Union[Hold, _Mapping]] = ...) -> None: ...

class Hold(_message.Message):
    __slots__ = ("subject", "reason_code", "set_by", "set_at", "lifted_at")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    SET_BY_FIELD_NUMBER: _ClassVar[int]
    SET_AT_FIELD_NUMBER: _ClassVar[int]
    LIFTED_AT_FIELD_NUMBER: _ClassVar[int]
    subject: bytes
    reason_code: str
    set_by: str
    set_at: int
    lifted_at: int
    def __init__(self, subject: _Optional[bytes] = ..., reason_code: _Optional[str] = ..., set_by: _Optional[str] = ..., set_at: _Optional[int] = ..., lifted_at: _Optional[int] = ...) -> None: ...

class ListHoldsRequest(_message.Message):
    __slots__ = ("collection_uid",)
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    collection_uid: bytes
    def __init__(self, collection_uid: _Optional[bytes] = ...) -> None: ...

class ListHoldsResponse(_message.Message):
    __slots__ = ("holds",)
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    holds: _containers.RepeatedCompositeFieldContainer[Hold]
    def __init__(self, holds: _Optional[_Iterable[_Union[Hold, _Mapping]]] = ...) -> None: ...

class BreakGlassRequest(_message.Message):
    __slots__ = ("request_id", "collection_uid", "grantee", "reason_code", "seconds", "end")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    GRANTEE_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    collection_uid: bytes
    grantee: str
    reason_code: str
    seconds: int
    end: bool
    def __init__(self, request_id: _Optional[bytes] = ..., collection_uid: _Optional[bytes] = ..., grantee: _Optional[str] = ..., reason_code: _Optional[str] = ..., seconds: _Optional[int] = ..., end: bool = ...) -> None: ...

class BreakGlassResponse(_message.Message):
    __slots__ = ("grant",)
    GRANT_FIELD_NUMBER: _ClassVar[int]
    grant: EmergencyGrant
    def __init__(self, grant: _Optional[_Union[EmergencyGrant, _Mapping]] = ...) -> None: ...

class EmergencyGrant(_message.Message):
    __slots__ = ("grantee", "reason_code", "granted_by", "granted_at", "ends_at", "active", "searches")
    GRANTEE_FIELD_NUMBER: _ClassVar[int]
    REASON_CODE_FIELD_NUMBER: _ClassVar[int]
    GRANTED_BY_FIELD_NUMBER: _ClassVar[int]
    GRANTED_AT_FIELD_NUMBER: _ClassVar[int]
    ENDS_AT_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    SEARCHES_FIELD_NUMBER: _ClassVar[int]
    grantee: str
    reason_code: str
    granted_by: str
    granted_at: int
    ends_at: int
    active: bool
    searches: int
    def __init__(self, grantee: _Optional[str] = ..., reason_code: _Optional[str] = ..., granted_by: _Optional[str] = ..., granted_at: _Optional[int] = ..., ends_at: _Optional[int] = ..., active: bool = ..., searches: _Optional[int] = ...) -> None: ...

class ListBreakGlassRequest(_message.Message):
    __slots__ = ("collection_uid",)
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    collection_uid: bytes
    def __init__(self, collection_uid: _Optional[bytes] = ...) -> None: ...

class ListBreakGlassResponse(_message.Message):
    __slots__ = ("grants",)
    GRANTS_FIELD_NUMBER: _ClassVar[int]
    grants: _containers.RepeatedCompositeFieldContainer[EmergencyGrant]
    def __init__(self, grants: _Optional[_Iterable[_Union[EmergencyGrant, _Mapping]]] = ...) -> None: ...
