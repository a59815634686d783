"""The methods of the contract, by the paths that go over the wire."""

from __future__ import annotations

from unseen.v1 import (
    access_pb2,
    audit_pb2,
    collections_pb2,
    governance_pb2,
    index_pb2,
    info_pb2,
    operations_pb2,
    search_pb2,
)
from unseen_client.steps import Rpc

GET_SERVER_INFO = Rpc(
    "/unseen.v1.InfoService/GetServerInfo", info_pb2.GetServerInfoRequest, info_pb2.GetServerInfoResponse
)
CREATE_COLLECTION = Rpc(
    "/unseen.v1.CollectionService/CreateCollection",
    collections_pb2.CreateCollectionRequest,
    collections_pb2.CreateCollectionResponse,
    leaves_receipt=True,
)
GET_COLLECTION = Rpc(
    "/unseen.v1.CollectionService/GetCollection",
    collections_pb2.GetCollectionRequest,
    collections_pb2.GetCollectionResponse,
)
LIST_COLLECTIONS = Rpc(
    "/unseen.v1.CollectionService/ListCollections",
    collections_pb2.ListCollectionsRequest,
    collections_pb2.ListCollectionsResponse,
)
DELETE_COLLECTION = Rpc(
    "/unseen.v1.CollectionService/DeleteCollection",
    collections_pb2.DeleteCollectionRequest,
    collections_pb2.DeleteCollectionResponse,
    leaves_receipt=True,
)
REPLACE_COLLECTION = Rpc(
    "/unseen.v1.CollectionService/ReplaceCollection",
    collections_pb2.ReplaceCollectionRequest,
    collections_pb2.ReplaceCollectionResponse,
    leaves_receipt=True,
)
ENROL_ROWS = Rpc("/unseen.v1.IndexService/EnrolRows", index_pb2.EnrolRowsRequest, index_pb2.EnrolRowsResponse, True)
ERASE_ROWS = Rpc("/unseen.v1.IndexService/EraseRows", index_pb2.EraseRowsRequest, index_pb2.EraseRowsResponse, True)
SYNC_CATALOGUE = Rpc(
    "/unseen.v1.IndexService/SyncCatalogue", index_pb2.SyncCatalogueRequest, index_pb2.SyncCatalogueResponse
)
SEARCH = Rpc("/unseen.v1.SearchService/Search", search_pb2.SearchRequest, search_pb2.SearchResponse, True)
GET_ACCESS = Rpc("/unseen.v1.AccessService/GetAccess", access_pb2.GetAccessRequest, access_pb2.GetAccessResponse)
CREATE_TOKEN = Rpc(
    "/unseen.v1.AccessService/CreateToken", access_pb2.CreateTokenRequest, access_pb2.CreateTokenResponse, True
)
LIST_TOKENS = Rpc("/unseen.v1.AccessService/ListTokens", access_pb2.ListTokensRequest, access_pb2.ListTokensResponse)
REVOKE_TOKEN = Rpc(
    "/unseen.v1.AccessService/RevokeToken", access_pb2.RevokeTokenRequest, access_pb2.RevokeTokenResponse, True
)
GET_TREE_HEAD = Rpc("/unseen.v1.AuditService/GetTreeHead", audit_pb2.GetTreeHeadRequest, audit_pb2.GetTreeHeadResponse)
PROVE_INCLUSION = Rpc(
    "/unseen.v1.AuditService/ProveInclusion", audit_pb2.ProveInclusionRequest, audit_pb2.ProveInclusionResponse
)
EXPORT_LEAVES = Rpc(
    "/unseen.v1.AuditService/ExportLeaves", audit_pb2.ExportLeavesRequest, audit_pb2.ExportLeavesResponse
)
GET_STATUS = Rpc(
    "/unseen.v1.OperatorService/GetStatus", operations_pb2.GetStatusRequest, operations_pb2.GetStatusResponse
)
SET_POLICY = Rpc(
    "/unseen.v1.GovernanceService/SetPolicy", governance_pb2.SetPolicyRequest, governance_pb2.SetPolicyResponse
)
GET_POLICY = Rpc(
    "/unseen.v1.GovernanceService/GetPolicy", governance_pb2.GetPolicyRequest, governance_pb2.GetPolicyResponse
)
ACCEPT_POLICY = Rpc(
    "/unseen.v1.GovernanceService/AcceptPolicy", governance_pb2.AcceptPolicyRequest, governance_pb2.AcceptPolicyResponse
)
GET_POLICY_HISTORY = Rpc(
    "/unseen.v1.GovernanceService/GetPolicyHistory",
    governance_pb2.GetPolicyHistoryRequest,
    governance_pb2.GetPolicyHistoryResponse,
)
RECORD_CONSENT = Rpc(
    "/unseen.v1.GovernanceService/RecordConsent",
    governance_pb2.RecordConsentRequest,
    governance_pb2.RecordConsentResponse,
)
WITHDRAW_CONSENT = Rpc(
    "/unseen.v1.GovernanceService/WithdrawConsent",
    governance_pb2.WithdrawConsentRequest,
    governance_pb2.WithdrawConsentResponse,
)
LIST_CONSENTS = Rpc(
    "/unseen.v1.GovernanceService/ListConsents", governance_pb2.ListConsentsRequest, governance_pb2.ListConsentsResponse
)
ERASE_SUBJECT = Rpc(
    "/unseen.v1.GovernanceService/EraseSubject", governance_pb2.EraseSubjectRequest, governance_pb2.EraseSubjectResponse
)
EXPORT_SUBJECT = Rpc(
    "/unseen.v1.GovernanceService/ExportSubject",
    governance_pb2.ExportSubjectRequest,
    governance_pb2.ExportSubjectResponse,
)
LIST_CERTIFICATES = Rpc(
    "/unseen.v1.GovernanceService/ListCertificates",
    governance_pb2.ListCertificatesRequest,
    governance_pb2.ListCertificatesResponse,
)
SET_HOLD = Rpc("/unseen.v1.GovernanceService/SetHold", governance_pb2.SetHoldRequest, governance_pb2.SetHoldResponse)
LIST_HOLDS = Rpc(
    "/unseen.v1.GovernanceService/ListHolds", governance_pb2.ListHoldsRequest, governance_pb2.ListHoldsResponse
)
BREAK_GLASS = Rpc(
    "/unseen.v1.GovernanceService/BreakGlass", governance_pb2.BreakGlassRequest, governance_pb2.BreakGlassResponse
)
LIST_BREAK_GLASS = Rpc(
    "/unseen.v1.GovernanceService/ListBreakGlass",
    governance_pb2.ListBreakGlassRequest,
    governance_pb2.ListBreakGlassResponse,
)
CREATE_BACKUP = Rpc(
    "/unseen.v1.OperatorService/CreateBackup",
    operations_pb2.CreateBackupRequest,
    operations_pb2.CreateBackupResponse,
    leaves_receipt=True,
)

ALL = (
    GET_SERVER_INFO,
    GET_ACCESS,
    CREATE_TOKEN,
    LIST_TOKENS,
    REVOKE_TOKEN,
    CREATE_COLLECTION,
    GET_COLLECTION,
    LIST_COLLECTIONS,
    DELETE_COLLECTION,
    REPLACE_COLLECTION,
    ENROL_ROWS,
    ERASE_ROWS,
    SYNC_CATALOGUE,
    SEARCH,
    GET_TREE_HEAD,
    PROVE_INCLUSION,
    EXPORT_LEAVES,
    GET_STATUS,
    CREATE_BACKUP,
    SET_POLICY,
    GET_POLICY,
    ACCEPT_POLICY,
    GET_POLICY_HISTORY,
    RECORD_CONSENT,
    WITHDRAW_CONSENT,
    LIST_CONSENTS,
    ERASE_SUBJECT,
    EXPORT_SUBJECT,
    LIST_CERTIFICATES,
    SET_HOLD,
    LIST_HOLDS,
    BREAK_GLASS,
    LIST_BREAK_GLASS,
)
