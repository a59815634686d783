from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetTreeHeadRequest(_message.Message):
    __slots__ = ("known_size",)
    KNOWN_SIZE_FIELD_NUMBER: _ClassVar[int]
    known_size: int
    def __init__(self, known_size: _Optional[int] = ...) -> None: ...

class GetTreeHeadResponse(_message.Message):
    __slots__ = ("head", "consistency")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    CONSISTENCY_FIELD_NUMBER: _ClassVar[int]
    head: str
    consistency: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, head: _Optional[str] = ..., consistency: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ProveInclusionRequest(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: int
    def __init__(self, index: _Optional[int] = ...) -> None: ...

class ProveInclusionResponse(_message.Message):
    __slots__ = ("head", "inclusion")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    INCLUSION_FIELD_NUMBER: _ClassVar[int]
    head: str
    inclusion: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, head: _Optional[str] = ..., inclusion: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ExportLeavesRequest(_message.Message):
    __slots__ = ("first_index", "since_ms")
    FIRST_INDEX_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    first_index: int
    since_ms: int
    def __init__(self, first_index: _Optional[int] = ..., since_ms: _Optional[int] = ...) -> None: ...

class ExportLeavesResponse(_message.Message):
    __slots__ = ("begin", "page", "head")
    BEGIN_FIELD_NUMBER: _ClassVar[int]
    PAGE_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    begin: ExportBegin
    page: ExportPage
    head: str
    def __init__(self, begin: _Optional[_Union[ExportBegin, _Mapping]] = ..., page: _Optional[_Union[ExportPage, _Mapping]] = ..., head: _Optional[str] = ...) -> None: ...

class ExportBegin(_message.Message):
    __slots__ = ("first_index", "subtrees")
    FIRST_INDEX_FIELD_NUMBER: _ClassVar[int]
    SUBTREES_FIELD_NUMBER: _ClassVar[int]
    first_index: int
    subtrees: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, first_index: _Optional[int] = ..., subtrees: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ExportPage(_message.Message):
    __slots__ = ("leaves",)
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    leaves: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, leaves: _Optional[_Iterable[bytes]] = ...) -> None: ...
