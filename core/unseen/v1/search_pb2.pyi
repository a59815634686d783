from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SearchRequest(_message.Message):
    __slots__ = ("header", "query")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    header: SearchHeader
    query: bytes
    def __init__(self, header: _Optional[_Union[SearchHeader, _Mapping]] = ..., query: _Optional[bytes] = ...) -> None: ...

class SearchHeader(_message.Message):
    __slots__ = ("collection_uid", "parameter_id", "packing_factor", "purpose")
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_ID_FIELD_NUMBER: _ClassVar[int]
    PACKING_FACTOR_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    collection_uid: bytes
    parameter_id: str
    packing_factor: int
    purpose: str
    def __init__(self, collection_uid: _Optional[bytes] = ..., parameter_id: _Optional[str] = ..., packing_factor: _Optional[int] = ..., purpose: _Optional[str] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("header", "blocks")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    header: SearchReplyHeader
    blocks: bytes
    def __init__(self, header: _Optional[_Union[SearchReplyHeader, _Mapping]] = ..., blocks: _Optional[bytes] = ...) -> None: ...

class SearchReplyHeader(_message.Message):
    __slots__ = ("epoch", "slots", "blocks", "partial", "extents", "side_blocks")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    EXTENTS_FIELD_NUMBER: _ClassVar[int]
    SIDE_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    slots: int
    blocks: int
    partial: bool
    extents: _containers.RepeatedCompositeFieldContainer[ExtentRun]
    side_blocks: int
    def __init__(self, epoch: _Optional[int] = ..., slots: _Optional[int] = ..., blocks: _Optional[int] = ..., partial: bool = ..., extents: _Optional[_Iterable[_Union[ExtentRun, _Mapping]]] = ..., side_blocks: _Optional[int] = ...) -> None: ...

class ExtentRun(_message.Message):
    __slots__ = ("first", "count")
    FIRST_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    first: int
    count: int
    def __init__(self, first: _Optional[int] = ..., count: _Optional[int] = ...) -> None: ...
