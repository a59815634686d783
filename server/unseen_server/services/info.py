"""InfoService: what this server is and takes."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from unseen import params
from unseen.v1 import info_pb2, info_pb2_grpc
from unseen_server import limits
from unseen_server.audit import Audit
from unseen_server.call import Call


class InfoService(info_pb2_grpc.InfoServiceServicer):
    """Facts that hold for every caller of a tenant."""

    def __init__(self, store_uid: bytes, audit: Audit) -> None:
        self._store_uid = store_uid
        self._audit = audit

    async def GetServerInfo(  # noqa: N802 - the contract's name
        self, request: info_pb2.GetServerInfoRequest, call: Call
    ) -> info_pb2.GetServerInfoResponse:
        """Tell version, store, parameter sets and limits."""
        published = (*params.PUBLISHED, *params.OWNER_PUBLISHED)
        return info_pb2.GetServerInfoResponse(
            version=release(),
            store_uid=self._store_uid,
            parameter_ids=[parameters.id for parameters in published if parameters.is_safe],
            max_rows_per_enrolment=limits.MAX_ROWS_PER_ENROLMENT,
            max_message_bytes=limits.MAX_MESSAGE_BYTES,
            max_record_bytes=limits.MAX_RECORD_BYTES,
            signing_keys=self._audit.public_keys,
            audit_origin=self._audit.origin_of(call.caller.tenant),
        )


def release() -> str:
    """The installed release, for people; 'unknown' when run from a source tree that is not installed."""
    try:
        return version("unseen")
    except PackageNotFoundError:
        return "unknown"
