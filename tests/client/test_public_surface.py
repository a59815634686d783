"""What ``unseen_client`` exports is exactly what is promised, and it is loaded only when used."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import unseen.errors
import unseen_client
from unseen_client import AsyncClient, Client
from unseen_client.calls.protocol import Protocol

PUBLIC = {
    "Access",
    "Agreement",
    "AsyncClient",
    "BudgetReport",
    "Client",
    "BackupMade",
    "CollectionInfo",
    "DeidReport",
    "Describing",
    "DicomEnrolReport",
    "Duplicate",
    "DeidSettings",
    "Deidentifier",
    "Consent",
    "ConsentStatus",
    "Emergency",
    "EnrolReport",
    "Erasure",
    "Gaussian",
    "Hit",
    "Hold",
    "LanguageModel",
    "MetricVonMisesFisher",
    "PhotoOutput",
    "Policy",
    "PrivUnit",
    "Progress",
    "Query",
    "Quota",
    "LogCheck",
    "Receipt",
    "Record",
    "Refusal",
    "ServerInfo",
    "ServerStatus",
    "OnlyKeyHere",
    "StoreWentBack",
    "SubjectExport",
    "TLS",
    "Tag",
    "Tagged",
    "TokenInfo",
    "Vocabulary",
    "WayBack",
    "open_language_model",
}

METHODS = {
    "ask": "(self, name, id, question, model, *, picture=None)",
    "audit_accept": "(self)",
    "audit_check": "(self)",
    "audit_export": "(self, write, *, since=None, against=())",
    "audit_prove": "(self, receipt)",
    "audit_receipts": "(self)",
    "access": "(self, collection=None)",
    "backup": "(self, place)",
    "budget": "(self)",
    "close": "(self)",
    "collection": "(self, name)",
    "count": "(self, name)",
    "create_collection": (
        "(self, name, *, model=None, dimension=None, parameters=None, keep_vectors=True, metric='cosine', longest=1.0, "
        "protection='sealed')"
    ),
    "create_token": "(self, name, roles, *, tenant=None, collections=None, expires='90d', quota=None)",
    "delete_collection": "(self, name)",
    "enrol_dicom": (
        "(self, name, paths, *, pictures_per_volume=8, every_object=False, reports_beside=False, text='risky', "
        "tags=(), noise=None, subject=None, consent=None, purpose=None, progress=False)"
    ),
    "enrol_from": (
        "(self, name, sources, *, tags=(), root=None, vector='image', every_s=1.0, noise=None, subject=None, "
        "consent=None, purpose=None, describing=None, deid_report=None, progress=False)"
    ),
    "enrol_texts": (
        "(self, name, texts, *, records=None, noise=None, subject=None, consent=None, purpose=None, progress=False)"
    ),
    "enrol_images": (
        "(self, name, paths, *, records=None, noise=None, subject=None, consent=None, purpose=None, describing=None, "
        "deid_report=None, progress=False)"
    ),
    "enrol_vectors": (
        "(self, name, ids, vectors, *, records=None, "
        "noise=None, subject=None, consent=None, purpose=None, progress=False)"
    ),
    "erase": "(self, name, ids, *, certificate=None)",
    "pack": "(self, name)",
    "get": "(self, name, id)",
    "grant_reveal": "(self, name, *, account=None, days=30)",
    "list": "(self, name, *, limit=None, offset=0)",
    "list_collections": "(self)",
    "list_tokens": "(self)",
    "reveal": "(self, name, id, *, reason)",
    "revoke_token": "(self, uid)",
    "rewrite": "(self, words, model)",
    "rotate_keys": "(self, name, *, progress=False)",
    "search": (
        "(self, name, query, *, top_k=10, where=None, min_score=None, temperature=None, rerank=False, "
        "candidates=None, purpose=None)"
    ),
    "search_image": "(self, name, path, *, top_k=10, purpose=None)",
    "search_like": "(self, name, id, *, top_k=10, purpose=None)",
    "search_text": "(self, name, text, *, top_k=10, purpose=None)",
    "search_vector": "(self, name, vector, *, top_k=10, purpose=None)",
    "similar_studies": "(self, name, study, *, reason, top_k=10, purpose=None)",
    "server_info": "(self)",
    "set_budget": "(self, *, per_subject=None, per_device=None, delta=None)",
    "status": "(self)",
    "tag": "(self, name, paths, vocabulary, *, most_chance=0.02, progress=False)",
    "tag_rows": "(self, name, vocabulary, *, ids=None, most_chance=0.02)",
    "accept_policy": "(self, name, *, new_key=None)",
    "certificates": "(self, name)",
    "consents": "(self, name, *, subject=None)",
    "emergencies": "(self, name)",
    "end_emergency": "(self, name, *, grantee='')",
    "erase_subject": "(self, name, subject, *, certificate=None)",
    "export_subject": "(self, name, subject)",
    "holds": "(self, name)",
    "lift_hold": "(self, name, reason_code)",
    "open_emergency": "(self, name, reason_code, *, hours=1.0, grantee='')",
    "policy": "(self, name, *, version=0)",
    "policy_history": "(self, name)",
    "processing_activities": "(self)",
    "record_consent": "(self, name, subject, *, purposes=None, valid_for=None, method='', language='en')",
    "set_hold": "(self, name, reason_code, *, subject=None)",
    "set_policy": "(self, name, terms, *, key='controller')",
    "withdraw_consent": "(self, name, *, subject=None, consent=None)",
}


def error_names():
    return {name for name, one in vars(unseen.errors).items() if inspect.isclass(one) and issubclass(one, Exception)}


def test_all_is_exact():
    assert sorted(unseen_client.__all__) == sorted(PUBLIC | error_names()) == dir(unseen_client)


@pytest.mark.parametrize("name", unseen_client.__all__)
def test_every_exported_name_is_there(name):
    assert getattr(unseen_client, name).__name__ == name


def test_any_other_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        unseen_client.no_such_name  # noqa: B018


def without_annotations(function):
    signature = inspect.signature(function)
    bare = [one.replace(annotation=inspect.Parameter.empty) for one in signature.parameters.values()]
    return str(inspect.Signature(bare))


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_the_methods_are_those_of_the_public_contract(kind):
    public = {name: one for base in kind.__mro__[:-1] for name, one in vars(base).items() if name[0] != "_"}
    assert {name: without_annotations(one) for name, one in public.items()} == METHODS


def test_both_clients_have_the_same_methods_with_the_same_signatures():
    for name in [*METHODS, "__init__"]:
        blocking, awaited = getattr(Client, name), getattr(AsyncClient, name)
        assert inspect.signature(blocking) == inspect.signature(awaited), name
        assert inspect.iscoroutinefunction(awaited) == (name != "__init__"), name
        assert inspect.getdoc(blocking), name
        if name != "__init__":
            assert inspect.getdoc(blocking) == inspect.getdoc(awaited), name


def test_defaults_of_the_flows_are_those_that_users_meet():
    repeated = 0
    for name in METHODS.keys() & vars(Protocol).keys():
        of_users = inspect.signature(getattr(Client, name)).parameters
        for parameter in inspect.signature(getattr(Protocol, name)).parameters.values():
            if parameter.default is not inspect.Parameter.empty and parameter.name in of_users:
                repeated += 1
                assert parameter.default == of_users[parameter.name].default, (name, parameter.name)
    assert repeated > 10


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, unseen_client; print([one for one in sys.modules if one in ('numpy', 'grpc', 'tenseal', 'PIL')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=".")
    assert done.stdout.strip() == "[]"
