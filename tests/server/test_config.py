"""The command line: unsafe or unclear wishes are refused with a sentence that says what to change."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unseen.errors import InvalidConfiguration
from unseen_server import app
from unseen_server.access.gate import Entry
from unseen_server.access.signed_tokens import JwtSettings
from unseen_server.certificates import TlsFiles
from unseen_server.config import Config, from_arguments
from unseen_server.hosts import is_loopback
from unseen_server.keys.choice import MasterKeyChoice

Make = Callable[..., Any]


def parse(tmp_path: Path, *options: str) -> Config:
    return from_arguments(["--data", str(tmp_path / "data"), "--master-key", str(tmp_path / "key"), *options])


def test_defaults_are_loopback_without_tls(tmp_path: Path) -> None:
    config = parse(tmp_path)
    assert (config.host, config.port, config.tls) == ("127.0.0.1", 7443, None)
    assert config.threads >= 1


@pytest.mark.parametrize(
    ("listen", "host"), [("[::1]:0", "::1"), ("localhost:0", "localhost"), ("127.9.9.9:0", "127.9.9.9")]
)
def test_loopback_addresses_need_no_tls(tmp_path: Path, listen: str, host: str) -> None:
    config = parse(tmp_path, "--listen", listen)
    assert config.host == host
    assert config.address(config.port) == listen


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "192.168.1.5", "search.example.org", "[2001:db8::1]"])
def test_address_that_others_reach_is_refused_without_tls(tmp_path: Path, host: str) -> None:
    with pytest.raises(InvalidConfiguration, match="--tls-cert"):
        parse(tmp_path, "--listen", f"{host}:7443")


def test_address_that_others_reach_is_taken_with_a_certificate_and_its_key(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("cert", "tls-key", "ca")]
    for file in files:
        file.touch()
    names = ("--tls-cert", "--tls-key", "--tls-client-ca")
    options = [word for pair in zip(names, map(str, files), strict=True) for word in pair]
    assert parse(tmp_path, "--listen", "0.0.0.0:7443", *options).tls == TlsFiles(*files)
    assert parse(tmp_path, "--listen", "0.0.0.0:7443", *options[:4]).tls == TlsFiles(*files[:2])
    for some in (options[:2], options[2:4], options[4:], options[:2] + options[4:]):
        with pytest.raises(InvalidConfiguration, match="both --tls-cert and --tls-key"):
            parse(tmp_path, "--listen", "0.0.0.0:7443", *some)
    files[1].unlink()
    with pytest.raises(InvalidConfiguration, match="not a file"):
        parse(tmp_path, *options)


@pytest.mark.parametrize(
    "listen", ["127.0.0.1", ":7443", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1"]
)
def test_listen_that_is_no_host_and_port_is_refused(tmp_path: Path, listen: str) -> None:
    with pytest.raises(InvalidConfiguration):
        parse(tmp_path, "--listen", listen)


@pytest.mark.parametrize("threads", ["0", "-1", "1025"])
def test_impossible_thread_counts_are_refused(tmp_path: Path, threads: str) -> None:
    with pytest.raises(InvalidConfiguration, match="threads"):
        parse(tmp_path, "--threads", threads)


def test_master_key_in_the_data_directory_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    for place in (
        data / "key",
        data / "deep" / "key",
        tmp_path / "other" / ".." / "data" / "key",
        tmp_path / "link" / "key",
    ):
        with pytest.raises(InvalidConfiguration, match="lies in the data directory"):
            from_arguments(["--data", str(data), "--master-key", str(place)])


def test_server_open_to_its_own_machine_is_for_loopback_only(tmp_path: Path) -> None:
    assert parse(tmp_path, "--auth", "loopback-open").entry is Entry.LOOPBACK_OPEN
    files = [tmp_path / name for name in ("cert", "tls-key")]
    for file in files:
        file.touch()
    tls = ("--tls-cert", str(files[0]), "--tls-key", str(files[1]))
    with pytest.raises(InvalidConfiguration, match="--auth"):
        parse(tmp_path, "--listen", "0.0.0.0:7443", "--auth", "loopback-open", *tls)


def test_signed_tokens_need_issuer_audience_and_keys(tmp_path: Path) -> None:
    options = (
        "--jwt-issuer",
        "https://issuer.example",
        "--jwt-audience",
        "unseen",
        "--jwt-keys",
        str(tmp_path / "keys"),
    )
    expected = JwtSettings("https://issuer.example", "unseen", tmp_path / "keys")
    assert parse(tmp_path, *options).signed_tokens == expected
    for some in (options[:2], options[:4], options[2:], options[4:]):
        with pytest.raises(InvalidConfiguration, match="all of --jwt-issuer"):
            parse(tmp_path, *some)


def test_quotas_are_finite_unless_told_otherwise_and_never_zero(tmp_path: Path) -> None:
    usual = parse(tmp_path).everybody
    assert all(number is not None and number > 0 for number in vars(usual).values())
    told = parse(tmp_path, "--bits-per-row-per-day", "9", "--searches-per-minute", "8")
    assert (told.everybody.bits_per_row_per_day, told.everybody.searches_per_minute) == (9, 8)
    assert told.everybody.calls_at_once == usual.calls_at_once
    for number in ("0", "-1", "many"):
        with pytest.raises(InvalidConfiguration, match="is not a whole number from 1 on; `unseen serve --help`"):
            parse(tmp_path, "--bits-per-row-per-day", number)


def test_unknown_option_stops_the_start_in_words(make_server: Make) -> None:
    server = make_server()
    result = subprocess.run(server.command("--no-such-option"), capture_output=True, text=True, check=False)
    assert result.returncode == 2
    expected = "unseen server: unrecognized arguments: --no-such-option; `unseen serve --help` explains every option\n"
    assert result.stderr == expected
    assert list(server.folder.iterdir()) == []


def test_names_that_resolve_elsewhere_are_not_loopback() -> None:
    assert not is_loopback("localhost.example.org")
    assert not is_loopback("")


def test_refused_start_exits_with_2_in_one_sentence_and_writes_nothing(make_server: Make) -> None:
    server = make_server("--listen", "0.0.0.0:0")
    result = subprocess.run(server.command(), capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("unseen server: 0.0.0.0 can be reached")
    assert len(result.stderr.splitlines()) == 1
    assert list(server.folder.iterdir()) == []


def test_port_that_is_taken_is_refused(make_server: Make) -> None:
    server = make_server().start()
    (server.folder / "second").mkdir()
    command = server.command("--listen", f"127.0.0.1:{server.port}", "--data", str(server.folder / "second/data"))
    command += ["--master-key", str(server.folder / "second/key")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "cannot be listened on" in result.stderr
    assert list((server.folder / "second").iterdir()) == [], "a refused start wrote something"


def test_data_directory_in_use_is_refused(make_server: Make) -> None:
    server = make_server().start()
    result = subprocess.run(server.command(), capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "in use by another server" in result.stderr


def refused(server: Any, *options: str) -> str:
    """The one sentence of a start that is refused and writes nothing."""
    before = sorted(server.folder.rglob("*"))
    result = subprocess.run(server.command(*options), capture_output=True, text=True, check=False)
    assert result.returncode == 2, result.stderr
    assert sorted(server.folder.rglob("*")) == before
    sentences = [line for line in result.stderr.splitlines() if line.startswith("unseen server: ")]
    assert len(sentences) == 1
    assert "Traceback" not in result.stderr
    return sentences[0]


def test_folder_of_others_is_refused_and_kept(make_server: Make) -> None:
    server = make_server()
    server.data.mkdir()
    (server.data / "holiday.jpg").write_bytes(b"a picture")
    sentence = refused(server)
    assert "holds no store, and is not empty (there is 'holiday.jpg')" in sentence
    assert "give --data the folder of a store, or an empty one" in sentence


def test_store_that_was_lost_is_not_replaced_by_a_new_one(make_server: Make) -> None:
    """Its audit log is still there: a new store beside it would look like one that nothing ever happened in."""
    server = make_server().start()
    assert server.stop() == 0
    for file in server.data.glob("unseen.sqlite*"):
        file.unlink()
    assert "(there is 'audit')" in refused(server)


def test_empty_disk_and_what_an_interrupted_first_start_left_are_no_ones(make_server: Make) -> None:
    server = make_server()
    server.data.mkdir()
    (server.data / "lost+found").mkdir()
    (server.data / "unseen.sqlite.unfinished").write_bytes(b"half of a store")
    server.start()
    assert server.stop() == 0


@pytest.mark.parametrize("option", ["--data", "--master-key"])
def test_path_that_the_system_does_not_take_is_refused_in_one_sentence(make_server: Make, option: str) -> None:
    server = make_server()
    assert "File name too long" in refused(server, option, str(server.folder / ("x" * 300)))


def test_tls_files_that_hold_no_certificate_are_refused_before_anything_is_written(make_server: Make) -> None:
    server = make_server()
    pem = server.folder / "no.pem"
    pem.write_text("no certificate\n")
    options = [word for name in ("--tls-cert", "--tls-key", "--tls-client-ca") for word in (name, str(pem))]
    assert "no.pem holds no certificate in PEM form" in refused(server, *options)
    assert "cannot be looked for" in refused(server, "--tls-cert", "x" * 300, *options[2:])


@pytest.mark.parametrize("look", ["exists", "read_bytes"])
async def test_file_that_the_system_withholds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    """As for a folder that the server's user may not enter; root, who runs tests in a container, may enter all."""

    def denied(path: Path) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    pem = tmp_path / "pem"
    tls = TlsFiles(pem, pem, pem) if look == "read_bytes" else None
    config = Config(tmp_path / "data", "127.0.0.1", 0, MasterKeyChoice.of_file(tmp_path / "key"), tls, 1)
    monkeypatch.setattr(Path, look, denied)
    with pytest.raises(InvalidConfiguration, match="Permission denied"):
        await app.start(config)
