"""The methods of the contract, by the paths that go over the wire."""

from __future__ import annotations

from unseen.v1 import access_pb2, audit_pb2, collections_pb2, index_pb2, info_pb2, operations_pb2, search_pb2
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
    ENROL_ROWS,
    ERASE_ROWS,
    SYNC_CATALOGUE,
    SEARCH,
    GET_TREE_HEAD,
    PROVE_INCLUSION,
    EXPORT_LEAVES,
    GET_STATUS,
)
