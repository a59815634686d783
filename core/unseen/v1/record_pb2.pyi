from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Record(_message.Message):
    __slots__ = ("id", "name", "caption", "tags", "link", "thumbnail", "vector", "extra", "noise", "coordinates", "content", "given")
    class ExtraEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CAPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    LINK_FIELD_NUMBER: _ClassVar[int]
    THUMBNAIL_FIELD_NUMBER: _ClassVar[int]
    VECTOR_FIELD_NUMBER: _ClassVar[int]
    EXTRA_FIELD_NUMBER: _ClassVar[int]
    NOISE_FIELD_NUMBER: _ClassVar[int]
    COORDINATES_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    GIVEN_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    caption: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    link: str
    thumbnail: bytes
    vector: bytes
    extra: _containers.ScalarMap[str, str]
    noise: Noise
    coordinates: bytes
    content: bytes
    given: bytes
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., caption: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., link: _Optional[str] = ..., thumbnail: _Optional[bytes] = ..., vector: _Optional[bytes] = ..., extra: _Optional[_Mapping[str, str]] = ..., noise: _Optional[_Union[Noise, _Mapping]] = ..., coordinates: _Optional[bytes] = ..., content: _Optional[bytes] = ..., given: _Optional[bytes] = ...) -> None: ...

class Noise(_message.Message):
    __slots__ = ("mechanism", "version", "epsilon", "delta", "parameters", "unit", "neighbouring")
    class ParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    MECHANISM_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EPSILON_FIELD_NUMBER: _ClassVar[int]
    DELTA_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    NEIGHBOURING_FIELD_NUMBER: _ClassVar[int]
    mechanism: str
    version: int
    epsilon: float
    delta: float
    parameters: _containers.ScalarMap[str, float]
    unit: str
    neighbouring: str
    def __init__(self, mechanism: _Optional[str] = ..., version: _Optional[int] = ..., epsilon: _Optional[float] = ..., delta: _Optional[float] = ..., parameters: _Optional[_Mapping[str, float]] = ..., unit: _Optional[str] = ..., neighbouring: _Optional[str] = ...) -> None: ...
