"""The table of acts names every method of the contract, and only those."""

from __future__ import annotations

from google.protobuf.descriptor import MethodDescriptor

from tests.contract import methods_of_the_contract
from unseen.audit.leaf import Details
from unseen.entropy import random_uid
from unseen.v1 import collections_pb2, index_pb2, info_pb2, search_pb2
from unseen_server.acts import ACTS, Kind, details_of


def takes_a_request_id(method: MethodDescriptor) -> bool:
    header = method.input_type.fields_by_name.get("header")
    request = (header.message_type if header else None) or method.input_type
    return "request_id" in request.fields_by_name


def test_no_method_is_missing_from_the_table_and_none_has_two_meanings() -> None:
    methods = [method.name for method in methods_of_the_contract()]
    assert len(methods) >= 9
    assert len(set(methods)) == len(methods)
    assert set(ACTS) == set(methods)


def test_what_takes_a_request_id_is_a_change_and_every_change_takes_one() -> None:
    changes = {method for method, kind in ACTS.items() if kind is Kind.CHANGE}
    assert changes == {method.name for method in methods_of_the_contract() if takes_a_request_id(method)}


def test_details_are_uids_and_counts_and_nothing_of_another_length() -> None:
    uid, request_id = random_uid(), random_uid()
    enrolment = index_pb2.EnrolRowsRequest(
        header=index_pb2.EnrolHeader(collection_uid=uid, request_id=request_id, row_count=7)
    )
    assert details_of(enrolment) == Details(collection=uid, request_id=request_id, rows=7)
    erasure = index_pb2.EraseRowsRequest(collection_uid=uid, request_id=b"patient name", row_ids=bytes(48))
    assert details_of(erasure) == Details(collection=uid, rows=3)
    search = search_pb2.SearchRequest(header=search_pb2.SearchHeader(collection_uid=uid))
    assert details_of(search) == Details(collection=uid)
    assert details_of(collections_pb2.GetCollectionRequest(name="canary")) == Details()
    assert details_of(info_pb2.GetServerInfoRequest()) == Details()
