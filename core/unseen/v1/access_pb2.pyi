from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetAccessRequest(_message.Message):
    __slots__ = ("collection_name",)
    COLLECTION_NAME_FIELD_NUMBER: _ClassVar[int]
    collection_name: str
    def __init__(self, collection_name: _Optional[str] = ...) -> None: ...

class GetAccessResponse(_message.Message):
    __slots__ = ("access", "allowance", "bits_per_row_left")
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    ALLOWANCE_FIELD_NUMBER: _ClassVar[int]
    BITS_PER_ROW_LEFT_FIELD_NUMBER: _ClassVar[int]
    access: Access
    allowance: Allowance
    bits_per_row_left: int
    def __init__(self, access: _Optional[_Union[Access, _Mapping]] = ..., allowance: _Optional[_Union[Allowance, _Mapping]] = ..., bits_per_row_left: _Optional[int] = ...) -> None: ...

class CreateTokenRequest(_message.Message):
    __slots__ = ("request_id", "access", "allowance", "expires_at_s", "secret_hash", "certificate")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    ALLOWANCE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_S_FIELD_NUMBER: _ClassVar[int]
    SECRET_HASH_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    request_id: bytes
    access: Access
    allowance: Allowance
    expires_at_s: int
    secret_hash: bytes
    certificate: str
    def __init__(self, request_id: _Optional[bytes] = ..., access: _Optional[_Union[Access, _Mapping]] = ..., allowance: _Optional[_Union[Allowance, _Mapping]] = ..., expires_at_s: _Optional[int] = ..., secret_hash: _Optional[bytes] = ..., certificate: _Optional[str] = ...) -> None: ...

class CreateTokenResponse(_message.Message):
    __slots__ = ("token_uid",)
    TOKEN_UID_FIELD_NUMBER: _ClassVar[int]
    token_uid: bytes
    def __init__(self, token_uid: _Optional[bytes] = ...) -> None: ...

class ListTokensRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListTokensResponse(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedCompositeFieldContainer[Token]
    def __init__(self, tokens: _Optional[_Iterable[_Union[Token, _Mapping]]] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("token_uid", "request_id")
    TOKEN_UID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    token_uid: bytes
    request_id: bytes
    def __init__(self, token_uid: _Optional[bytes] = ..., request_id: _Optional[bytes] = ...) -> None: ...

class RevokeTokenResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Access(_message.Message):
    __slots__ = ("tenant", "name", "roles", "collections", "every_collection")
    TENANT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    EVERY_COLLECTION_FIELD_NUMBER: _ClassVar[int]
    tenant: str
    name: str
    roles: _containers.RepeatedScalarFieldContainer[str]
    collections: _containers.RepeatedScalarFieldContainer[str]
    every_collection: bool
    def __init__(self, tenant: _Optional[str] = ..., name: _Optional[str] = ..., roles: _Optional[_Iterable[str]] = ..., collections: _Optional[_Iterable[str]] = ..., every_collection: bool = ...) -> None: ...

class Allowance(_message.Message):
    __slots__ = ("calls_at_once", "bytes_per_minute", "searches_per_minute", "bits_per_row_per_day")
    CALLS_AT_ONCE_FIELD_NUMBER: _ClassVar[int]
    BYTES_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    SEARCHES_PER_MINUTE_FIELD_NUMBER: _ClassVar[int]
    BITS_PER_ROW_PER_DAY_FIELD_NUMBER: _ClassVar[int]
    calls_at_once: int
    bytes_per_minute: int
    searches_per_minute: int
    bits_per_row_per_day: int
    def __init__(self, calls_at_once: _Optional[int] = ..., bytes_per_minute: _Optional[int] = ..., searches_per_minute: _Optional[int] = ..., bits_per_row_per_day: _Optional[int] = ...) -> None: ...

class Token(_message.Message):
    __slots__ = ("uid", "access", "allowance", "made_at_s", "expires_at_s", "revoked_at_s", "made_by", "certificate")
    UID_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    ALLOWANCE_FIELD_NUMBER: _ClassVar[int]
    MADE_AT_S_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_S_FIELD_NUMBER: _ClassVar[int]
    REVOKED_AT_S_FIELD_NUMBER: _ClassVar[int]
    MADE_BY_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    uid: bytes
    access: Access
    allowance: Allowance
    made_at_s: int
    expires_at_s: int
    revoked_at_s: int
    made_by: str
    certificate: str
    def __init__(self, uid: _Optional[bytes] = ..., access: _Optional[_Union[Access, _Mapping]] = ..., allowance: _Optional[_Union[Allowance, _Mapping]] = ..., made_at_s: _Optional[int] = ..., expires_at_s: _Optional[int] = ..., revoked_at_s: _Optional[int] = ..., made_by: _Optional[str] = ..., certificate: _Optional[str] = ...) -> None: ...
