from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class CollectionInfo(_message.Message):
    __slots__ = ("uid", "name", "dimension", "parameter_id", "model_id", "packing_factor", "rows", "slots", "epoch")
    UID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    PACKING_FACTOR_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    uid: bytes
    name: str
    dimension: int
    parameter_id: str
    model_id: str
    packing_factor: int
    rows: int
    slots: int
    epoch: int
    def __init__(self, uid: _Optional[bytes] = ..., name: _Optional[str] = ..., dimension: _Optional[int] = ..., parameter_id: _Optional[str] = ..., model_id: _Optional[str] = ..., packing_factor: _Optional[int] = ..., rows: _Optional[int] = ..., slots: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...

class CatalogueEntry(_message.Message):
    __slots__ = ("row_id", "slot", "epoch", "sealed_record")
    ROW_ID_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEALED_RECORD_FIELD_NUMBER: _ClassVar[int]
    row_id: bytes
    slot: int
    epoch: int
    sealed_record: bytes
    def __init__(self, row_id: _Optional[bytes] = ..., slot: _Optional[int] = ..., epoch: _Optional[int] = ..., sealed_record: _Optional[bytes] = ...) -> None: ...
