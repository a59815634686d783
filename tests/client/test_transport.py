"""The edge of the client: what it refuses to talk to, how gRPC's errors become Unseen's, and TLS both ways."""

from __future__ import annotations

import datetime as dt
import ipaddress

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.contract import methods_of_the_contract
from unseen import wire
from unseen.errors import (
    DeadlineExceeded,
    InvalidConfiguration,
    LimitExceeded,
    MethodUnknown,
    NotAuthenticated,
    NotPermitted,
    PackingChanged,
    ServerBusy,
    ServerUnavailable,
    UnseenError,
)
from unseen_client import TLS, Client, rpcs
from unseen_client.bearer import TokenBearer
from unseen_client.transport import channel_credentials, is_loopback, require_address, translated


def test_the_method_table_is_the_contract():
    """Every method of every service, by its path and types, and nothing else."""
    methods = {
        f"/{one.containing_service.full_name}/{one.name}": (one.input_type.name, one.output_type.name)
        for one in methods_of_the_contract()
    }
    assert {rpc.path: (rpc.request_type.DESCRIPTOR.name, rpc.reply_type.DESCRIPTOR.name) for rpc in rpcs.ALL} == methods


class Failure(grpc.RpcError):
    def __init__(self, status, details="", metadata=()):
        self._parts = status, details, metadata

    def code(self):
        return self._parts[0]

    def details(self):
        return self._parts[1]

    def trailing_metadata(self):
        return self._parts[2]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, ServerUnavailable),
        (grpc.StatusCode.CANCELLED, ServerUnavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, LimitExceeded),
        (grpc.StatusCode.UNIMPLEMENTED, MethodUnknown),
        (grpc.StatusCode.UNAUTHENTICATED, NotAuthenticated),
        (grpc.StatusCode.PERMISSION_DENIED, NotPermitted),
        (grpc.StatusCode.INTERNAL, UnseenError),
    ],
)
def test_every_bare_status_becomes_an_error_that_names_the_server(status, kind):
    error = translated(Failure(status), "10.0.0.1:7443")
    assert type(error) is kind
    assert "10.0.0.1:7443" in str(error)


def test_no_status_is_forgotten():
    for status in grpc.StatusCode:
        assert isinstance(translated(Failure(status, None, None), "s:1"), UnseenError)


def test_the_code_that_the_server_names_wins_over_the_status():
    failure = Failure(grpc.StatusCode.UNAVAILABLE, "ask again", ((wire.CODE_METADATA_KEY, "PACKING_CHANGED"),))
    error = translated(failure, "s:1")
    assert (type(error), str(error)) == (PackingChanged, "ask again")


@pytest.mark.parametrize("details", ["Received RST_STREAM with error code 2", "Stream removed", "GOAWAY received"])
def test_a_stream_that_breaks_in_the_middle_counts_as_unavailable(details):
    assert isinstance(translated(Failure(grpc.StatusCode.INTERNAL, details), "s:1"), ServerUnavailable)


@pytest.mark.parametrize("server", ["", "host", "host:", ":7443", "host:http", "host:70000", "http://host"])
def test_what_is_no_address_is_refused(server):
    with pytest.raises(InvalidConfiguration, match="HOST:PORT"):
        require_address(server)


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("127.0.0.1:1", True),
        ("127.9.9.9:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/run/unseen", True),
        ("10.0.0.1:1", False),
        ("localhost.example.org:1", False),
        ("127.0.0.1.example.org:1", False),
        ("0.0.0.0:1", False),
    ],
)
def test_only_this_machine_is_this_machine(server, expected):
    assert is_loopback(server) is expected


def test_another_machine_needs_tls_or_an_explicit_word(home):
    with pytest.raises(InvalidConfiguration, match="TLS"):
        Client("10.0.0.1:7443", home=home)
    Client("10.0.0.1:7443", home=home, insecure_no_tls=True).close()


@pytest.mark.parametrize("insecure_no_tls", [False, True])
def test_a_token_never_travels_in_the_clear_to_another_machine(home, insecure_no_tls):
    for server in ("10.0.0.1:7443", "search.example.org:7443"):
        with pytest.raises(InvalidConfiguration, match="TLS"):
            channel_credentials(server, None, TokenBearer("secret"), insecure_no_tls)
        with pytest.raises(InvalidConfiguration, match="TLS"):
            Client(server, token=lambda: "secret", home=home, insecure_no_tls=insecure_no_tls)
        assert channel_credentials(server, TLS(), TokenBearer("secret"), insecure_no_tls=False) is not None
    assert channel_credentials("127.0.0.1:7443", None, TokenBearer("secret"), insecure_no_tls) is None


def test_the_time_that_a_server_names_comes_with_its_error():
    def waits(*metadata):
        failure = Failure(
            grpc.StatusCode.RESOURCE_EXHAUSTED, "wait", ((wire.CODE_METADATA_KEY, "SERVER_BUSY"), *metadata)
        )
        error = translated(failure, "s:1")
        assert isinstance(error, ServerBusy)
        return error.retry_after_s

    assert waits((wire.RETRY_METADATA_KEY, "2.5")) == 2.5
    for nonsense in ("", "soon", "-1", "nan", "inf", "1e300"):
        assert waits((wire.RETRY_METADATA_KEY, nonsense)) is None
    assert waits() is None


def test_grpcs_own_limit_of_calls_counts_as_busy():
    failure = Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")
    assert isinstance(translated(failure, "s:1"), ServerBusy)


def test_tls_files_are_checked_before_anything_is_sent(tmp_path):
    with pytest.raises(InvalidConfiguration, match="PEM"):
        TLS(ca=tmp_path / "absent").credentials()
    with pytest.raises(InvalidConfiguration, match="key="):
        TLS(cert=tmp_path / "absent").credentials()


# TLS against the real server


class Authority:
    """A certificate authority for one test."""

    def __init__(self, folder, name):
        self._folder, self._name = folder, name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(name, self._key, is_authority=True)
        self.file = self._write(f"{name}-ca.pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, common_name):
        """Certificate and key files."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(common_name, key, is_authority=False)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        cert_file = self._write(f"{self._name}-{common_name}.pem", certificate.public_bytes(serialization.Encoding.PEM))
        return cert_file, self._write(f"{self._name}-{common_name}.key", pem)

    def _sign(self, common_name, key, is_authority):
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self._name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        return builder.add_extension(names, critical=False).sign(self._key, hashes.SHA256())

    def _write(self, name, data):
        path = self._folder / name
        path.write_bytes(data)
        path.chmod(0o600)
        return path


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path, "ours")


@pytest.fixture
def tls_server(own_server, authority):
    certificate, key = authority.issue("server")
    return own_server("--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", authority.file)


def test_a_client_with_a_certificate_searches_over_tls_and_others_get_nowhere(
    tls_server, authority, tmp_path, home, unit_vectors
):
    certificate, key = authority.issue("device")
    with Client(tls_server.address, tls=TLS(authority.file, certificate, key), home=home) as client:
        client.create_collection("secured", dimension=16)
        client.enrol_vectors("secured", ["a"], unit_vectors(1))
        assert client.search_vector("secured", unit_vectors(1)[0])[0].id == "a"
    stranger = Authority(tmp_path, "theirs")
    theirs = stranger.issue("device")
    for tls in (
        None,
        TLS(authority.file),
        TLS(stranger.file, certificate, key),
        TLS(authority.file, *theirs),
    ):
        with (
            Client(tls_server.address, tls=tls, home=home, timeout_s=0.7) as client,
            pytest.raises((ServerUnavailable, DeadlineExceeded)),
        ):
            client.count("secured")
