from unseen.v1 import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateCollectionRequest(_message.Message):
    __slots__ = ("request_id", "name", "dimension", "parameter_id", "model_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    PARAMETER_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    name: str
    dimension: int
    parameter_id: str
    model_id: str
    def __init__(self, request_id: _Optional[bytes] = ..., name: _Optional[str] = ..., dimension: _Optional[int] = ..., parameter_id: _Optional[str] = ..., model_id: _Optional[str] = ...) -> None: ...

class CreateCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: _types_pb2.CollectionInfo
    def __init__(self, collection: _Optional[_Union[_types_pb2.CollectionInfo, _Mapping]] = ...) -> None: ...

class GetCollectionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: _types_pb2.CollectionInfo
    def __init__(self, collection: _Optional[_Union[_types_pb2.CollectionInfo, _Mapping]] = ...) -> None: ...

class ListCollectionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCollectionsResponse(_message.Message):
    __slots__ = ("collections",)
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    collections: _containers.RepeatedCompositeFieldContainer[_types_pb2.CollectionInfo]
    def __init__(self, collections: _Optional[_Iterable[_Union[_types_pb2.CollectionInfo, _Mapping]]] = ...) -> None: ...

class DeleteCollectionRequest(_message.Message):
    __slots__ = ("request_id", "collection_uid")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    collection_uid: bytes
    def __init__(self, request_id: _Optional[bytes] = ..., collection_uid: _Optional[bytes] = ...) -> None: ...

class DeleteCollectionResponse(_message.Message):
    __slots__ = ("certificate",)
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    certificate: bytes
    def __init__(self, certificate: _Optional[bytes] = ...) -> None: ...

class ReplaceCollectionRequest(_message.Message):
    __slots__ = ("request_id", "collection_uid", "replaced_uid", "replaced_epoch", "name")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_UID_FIELD_NUMBER: _ClassVar[int]
    REPLACED_UID_FIELD_NUMBER: _ClassVar[int]
    REPLACED_EPOCH_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    collection_uid: bytes
    replaced_uid: bytes
    replaced_epoch: int
    name: str
    def __init__(self, request_id: _Optional[bytes] = ..., collection_uid: _Optional[bytes] = ..., replaced_uid: _Optional[bytes] = ..., replaced_epoch: _Optional[int] = ..., name: _Optional[str] = ...) -> None: ...

class ReplaceCollectionResponse(_message.Message):
    __slots__ = ("collection", "certificate")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    collection: _types_pb2.CollectionInfo
    certificate: bytes
    def __init__(self, collection: _Optional[_Union[_types_pb2.CollectionInfo, _Mapping]] = ..., certificate: _Optional[bytes] = ...) -> None: ...
