from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("version", "component_versions", "uptime_s", "serving", "store", "memory", "audit", "traffic", "certificate", "governance")
    class ComponentVersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    UPTIME_S_FIELD_NUMBER: _ClassVar[int]
    SERVING_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    TRAFFIC_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    GOVERNANCE_FIELD_NUMBER: _ClassVar[int]
    version: str
    component_versions: _containers.ScalarMap[str, str]
    uptime_s: int
    serving: bool
    store: StoreStatus
    memory: MemoryStatus
    audit: AuditStatus
    traffic: TrafficStatus
    certificate: CertificateStatus
    governance: GovernanceStatus
    def __init__(self, version: _Optional[str] = ..., component_versions: _Optional[_Mapping[str, str]] = ..., uptime_s: _Optional[int] = ..., serving: bool = ..., store: _Optional[_Union[StoreStatus, _Mapping]] = ..., memory: _Optional[_Union[MemoryStatus, _Mapping]] = ..., audit: _Optional[_Union[AuditStatus, _Mapping]] = ..., traffic: _Optional[_Union[TrafficStatus, _Mapping]] = ..., certificate: _Optional[_Union[CertificateStatus, _Mapping]] = ..., governance: _Optional[_Union[GovernanceStatus, _Mapping]] = ...) -> None: ...

class StoreStatus(_message.Message):
    __slots__ = ("kind", "key_provider", "collections", "rows", "disk_free_bytes", "disk_bytes")
    KIND_FIELD_NUMBER: _ClassVar[int]
    KEY_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    key_provider: str
    collections: int
    rows: int
    disk_free_bytes: int
    disk_bytes: int
    def __init__(self, kind: _Optional[str] = ..., key_provider: _Optional[str] = ..., collections: _Optional[int] = ..., rows: _Optional[int] = ..., disk_free_bytes: _Optional[int] = ..., disk_bytes: _Optional[int] = ...) -> None: ...

class MemoryStatus(_message.Message):
    __slots__ = ("index_bytes", "resident_bytes", "mask_blocks_ready", "under_way_bytes", "under_way_limit_bytes")
    INDEX_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    MASK_BLOCKS_READY_FIELD_NUMBER: _ClassVar[int]
    UNDER_WAY_BYTES_FIELD_NUMBER: _ClassVar[int]
    UNDER_WAY_LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    index_bytes: int
    resident_bytes: int
    mask_blocks_ready: int
    under_way_bytes: int
    under_way_limit_bytes: int
    def __init__(self, index_bytes: _Optional[int] = ..., resident_bytes: _Optional[int] = ..., mask_blocks_ready: _Optional[int] = ..., under_way_bytes: _Optional[int] = ..., under_way_limit_bytes: _Optional[int] = ...) -> None: ...

class AuditStatus(_message.Message):
    __slots__ = ("leaves", "bytes", "head")
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    HEAD_FIELD_NUMBER: _ClassVar[int]
    leaves: int
    bytes: int
    head: str
    def __init__(self, leaves: _Optional[int] = ..., bytes: _Optional[int] = ..., head: _Optional[str] = ...) -> None: ...

class TrafficStatus(_message.Message):
    __slots__ = ("searches", "calls", "refused", "over_limit", "under_way")
    SEARCHES_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    OVER_LIMIT_FIELD_NUMBER: _ClassVar[int]
    UNDER_WAY_FIELD_NUMBER: _ClassVar[int]
    searches: int
    calls: int
    refused: int
    over_limit: int
    under_way: int
    def __init__(self, searches: _Optional[int] = ..., calls: _Optional[int] = ..., refused: _Optional[int] = ..., over_limit: _Optional[int] = ..., under_way: _Optional[int] = ...) -> None: ...

class CertificateStatus(_message.Message):
    __slots__ = ("expires_s",)
    EXPIRES_S_FIELD_NUMBER: _ClassVar[int]
    expires_s: int
    def __init__(self, expires_s: _Optional[int] = ...) -> None: ...

class GovernanceStatus(_message.Message):
    __slots__ = ("agreements", "holds", "emergencies", "clock_certain")
    AGREEMENTS_FIELD_NUMBER: _ClassVar[int]
    HOLDS_FIELD_NUMBER: _ClassVar[int]
    EMERGENCIES_FIELD_NUMBER: _ClassVar[int]
    CLOCK_CERTAIN_FIELD_NUMBER: _ClassVar[int]
    agreements: int
    holds: int
    emergencies: int
    clock_certain: bool
    def __init__(self, agreements: _Optional[int] = ..., holds: _Optional[int] = ..., emergencies: _Optional[int] = ..., clock_certain: bool = ...) -> None: ...
