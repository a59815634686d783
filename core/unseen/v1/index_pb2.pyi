from unseen.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EnrolRowsRequest(_message.Message):
    __slots__ = ("header", "batch", "block")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    header: EnrolHeader
    batch: EnrolBatch
    block: EncryptedBlock
    def __init__(self, header: _Optional[_Union[EnrolHeader, _Mapping]] = ..., batch: _Optional[_Union[EnrolBatch, _Mapping]] = ..., block: _Optional[_Union[EncryptedBlock, _Mapping]] = ...) -> None: ...

class EncryptedBlock(_message.Message):
    __slots__ = ("number", "known_epoch", "ciphertexts")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KNOWN_EPOCH_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXTS_FIELD_NUMBER: _ClassVar[int]
    number: int
    known_epoch: int
    ciphertexts: bytes
    def __init__(self, number: _Optional[int] = ..., known_epoch: _Optional[int] = ..., ciphertexts: _Optional[bytes] = ...) -> None: ...

class EnrolHeader(_message.Message):
    __slots__ = ("request_id", "collection_uid", "parameter_id", "model_id", "row_count", "policy_digest", "purposes", "moves")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    POLICY_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PURPOSES_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    collection_uid: bytes
    parameter_id: str
    model_id: str
    row_count: int
    policy_digest: bytes
    purposes: _containers.RepeatedScalarFieldContainer[str]
    moves: bool
    def __init__(self, request_id: _Optional[bytes] = ..., collection_uid: _Optional[bytes] = ..., parameter_id: _Optional[str] = ..., model_id: _Optional[str] = ..., row_count: _Optional[int] = ..., policy_digest: _Optional[bytes] = ..., purposes: _Optional[_Iterable[str]] = ..., moves: bool = ...) -> None: ...

class EnrolBatch(_message.Message):
    __slots__ = ("row_ids", "vectors", "sealed_records", "consents", "slots")
    ROW_IDS_FIELD_NUMBER: _ClassVar[int]
    VECTORS_FIELD_NUMBER: _ClassVar[int]
    SEALED_RECORDS_FIELD_NUMBER: _ClassVar[int]
    CONSENTS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    row_ids: bytes
    vectors: bytes
    sealed_records: _containers.RepeatedScalarFieldContainer[bytes]
    consents: bytes
    slots: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, row_ids: _Optional[bytes] = ..., vectors: _Optional[bytes] = ..., sealed_records: _Optional[_Iterable[bytes]] = ..., consents: _Optional[bytes] = ..., slots: _Optional[_Iterable[int]] = ...) -> None: ...

class EnrolRowsResponse(_message.Message):
    __slots__ = ("epoch", "repeated_request")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REPEATED_REQUEST_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    repeated_request: bool
    def __init__(self, epoch: _Optional[int] = ..., repeated_request: bool = ...) -> None: ...

class EraseRowsRequest(_message.Message):
    __slots__ = ("request_id", "collection_uid", "row_ids", "block")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    ROW_IDS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    collection_uid: bytes
    row_ids: bytes
    block: EncryptedBlock
    def __init__(self, request_id: _Optional[bytes] = ..., collection_uid: _Optional[bytes] = ..., row_ids: _Optional[bytes] = ..., block: _Optional[_Union[EncryptedBlock, _Mapping]] = ...) -> None: ...

class EraseRowsResponse(_message.Message):
    __slots__ = ("epoch", "repeated_request", "certificate")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REPEATED_REQUEST_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    repeated_request: bool
    certificate: bytes
    def __init__(self, epoch: _Optional[int] = ..., repeated_request: bool = ..., certificate: _Optional[bytes] = ...) -> None: ...

class SyncCatalogueRequest(_message.Message):
    __slots__ = ("collection_uid", "since_epoch")
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    SINCE_EPOCH_FIELD_NUMBER: _ClassVar[int]
    collection_uid: bytes
    since_epoch: int
    def __init__(self, collection_uid: _Optional[bytes] = ..., since_epoch: _Optional[int] = ...) -> None: ...

class SyncCatalogueResponse(_message.Message):
    __slots__ = ("epoch", "added", "erased_row_ids", "last")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    ERASED_ROW_IDS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    added: _containers.RepeatedCompositeFieldContainer[_types_pb2.CatalogueEntry]
    erased_row_ids: bytes
    last: bool
    def __init__(self, epoch: _Optional[int] = ..., added: _Optional[_Iterable[_Union[_types_pb2.CatalogueEntry, _Mapping]]] = ..., erased_row_ids: _Optional[bytes] = ..., last: bool = ...) -> None: ...
