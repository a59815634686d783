from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "store_uid", "parameter_ids", "max_rows_per_enrolment", "max_message_bytes", "max_record_bytes", "signing_keys", "audit_origin")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STORE_UID_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_IDS_FIELD_NUMBER: _ClassVar[int]
    MAX_ROWS_PER_ENROLMENT_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_RECORD_BYTES_FIELD_NUMBER: _ClassVar[int]
    SIGNING_KEYS_FIELD_NUMBER: _ClassVar[int]
    AUDIT_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    version: str
    store_uid: bytes
    parameter_ids: _containers.RepeatedScalarFieldContainer[str]
    max_rows_per_enrolment: int
    max_message_bytes: int
    max_record_bytes: int
    signing_keys: _containers.RepeatedScalarFieldContainer[bytes]
    audit_origin: str
    def __init__(self, version: _Optional[str] = ..., store_uid: _Optional[bytes] = ..., parameter_ids: _Optional[_Iterable[str]] = ..., max_rows_per_enrolment: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., max_record_bytes: _Optional[int] = ..., signing_keys: _Optional[_Iterable[bytes]] = ..., audit_origin: _Optional[str] = ...) -> None: ...
