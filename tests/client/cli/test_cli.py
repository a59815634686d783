"""The command line as scripts and people meet it: its output, its exit codes, its help. Each run is a process."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.client.real_server import ENVIRONMENT
from unseen_client.demo.stage import Stage

COMMANDS = ["serve", "create", "enrol", "search", "deid", "list", "erase", "pack", "collections", "delete", "info"]
COMMANDS += ["keys", "demo", "eval", "audit", "status", "tokens", "backup", "restore", "doctor"]


def output(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def vectors(tmp_path, unit_vectors):
    np.save(tmp_path / "vectors.npy", unit_vectors(12, 16))
    np.save(tmp_path / "query.npy", unit_vectors(12, 16)[4])
    (tmp_path / "ids.txt").write_text("\n".join(f"row {at}" for at in range(12)))
    return tmp_path


def test_a_whole_session_in_json(unseen, name, vectors):
    made = output(unseen("create", name, "--dimension", 16, "--json"))
    assert (made["name"], made["dimension"], made["model_id"], len(made["uid"])) == (name, 16, "none", 32)
    enrolled = output(unseen("enrol", name, vectors / "vectors.npy", "--ids", vectors / "ids.txt", "--json"))
    assert (enrolled["enrolled"], enrolled["refused"], enrolled["already"]) == (12, [], [])
    hits = output(unseen("search", name, "--vector", vectors / "query.npy", "-k", 3, "--json"))["hits"]
    assert (hits[0]["rank"], hits[0]["id"]) == (1, "row 4")
    assert hits[0]["score"] == pytest.approx(1, abs=0.02)
    like = output(unseen("search", name, "--like", "row 4", "-k", 1, "--json"))["hits"]
    assert like[0]["id"] == hits[1]["id"]
    assert output(unseen("erase", name, "row 4", "row 5", "--json")) == {"erased": 2}
    assert [row["id"] for row in output(unseen("list", name, "--limit", 5, "--json"))["rows"]] == [
        "row 0", "row 1", "row 2", "row 3", "row 6"
    ]  # fmt: skip
    assert {one["name"]: one["rows"] for one in output(unseen("collections", "--json"))["collections"]}[name] == 10
    assert output(unseen("info", "--json"))["max_rows_per_enrolment"] >= 1000
    assert output(unseen("delete", name, "--yes", "--json")) == {"deleted": name}
    assert unseen("list", name).returncode == 5


def test_brackets_in_records_are_shown_as_they_stand(unseen, name, vectors):
    ids = ["[/b]", "[red]roe[/red]", ":smile:", *(f"row {at}" for at in range(9))]
    (vectors / "ids.txt").write_text("\n".join(ids))
    unseen("create", name, "--dimension", 16)
    assert unseen("enrol", name, vectors / "vectors.npy", "--ids", vectors / "ids.txt").returncode == 0
    shown = unseen("search", name, "--vector", vectors / "query.npy", "-k", 12)
    assert shown.returncode == 0, shown.stderr
    for one in ids:
        assert one in shown.stdout


def test_a_session_in_words(unseen, name, vectors, protection):
    assert f"created {name}" in unseen("create", name, "--dimension", 16, "--protection", protection).stdout
    assert "12 enrolled" in unseen("enrol", name, vectors / "vectors.npy", "--ids", vectors / "ids.txt").stdout
    shown = unseen("search", name, "--vector", vectors / "query.npy", "-k", 3).stdout
    assert re.search(r"1\s+(0\.9|1\.0)\d+\s+row 4", shown)
    assert "12 rows" in unseen("collections").stdout
    assert "row 11" in unseen("list", name).stdout


def test_keys_travel_under_a_passphrase(unseen, server, name, vectors, tmp_path):
    unseen("create", name, "--dimension", 16)
    unseen("enrol", name, vectors / "vectors.npy", "--ids", vectors / "ids.txt")
    file, other = tmp_path / "photos.unseen-key", {"UNSEEN_HOME": str(tmp_path / "other")}
    assert unseen("list", name, **other).returncode == 6
    assert unseen("keys", "export", name, file, UNSEEN_PASSPHRASE="").returncode == 2
    assert output(unseen("keys", "export", name, file, "--json", UNSEEN_PASSPHRASE="long enough"))["exported"] == name
    assert unseen("keys", "import", file, UNSEEN_PASSPHRASE="not the one", **other).returncode == 6
    assert (
        output(unseen("keys", "import", file, "--json", UNSEEN_PASSPHRASE="long enough", **other))["imported"] == name
    )
    assert len(output(unseen("list", name, "--json", **other))["rows"]) == 12
    assert name in unseen("keys", "list", **other).stdout


def test_images_enrol_with_records_and_a_refused_one_gives_its_own_exit_code(unseen, name, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    from PIL import Image

    rng = np.random.default_rng(1)
    for at in range(2):
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), np.uint8)).save(photos / f"noise{at}.png")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    (tmp_path / "records.json").write_text(json.dumps({"noise0.png": {"caption": "the first", "tags": ["noise"]}}))
    unseen("create", name)
    done = unseen("enrol", name, photos, "--records", tmp_path / "records.json", "--tag", "test", "--json")
    assert done.returncode == 4, done.stderr
    report = json.loads(done.stdout)
    assert (report["enrolled"], report["refused"][0]["code"]) == (2, "IMAGE_REFUSED")
    assert report["refused"][0]["source"].endswith("broken.jpg")
    rows = {row["name"]: row for row in output(unseen("list", name, "--json"))["rows"]}
    assert (rows["noise0.png"]["caption"], rows["noise0.png"]["tags"]) == ("the first", ["noise", "test"])
    assert rows["noise1.png"]["tags"] == ["test"]
    assert rows["noise0.png"]["thumbnail_bytes"] > 100
    hits = output(unseen("search", name, "--image", photos / "noise0.png", "-k", 1, "--json"))["hits"]
    assert hits[0]["name"] == "noise0.png"
    assert len(output(unseen("search", name, "--text", "an animal", "--json"))["hits"]) == 2
    again = output_of_partly(unseen("enrol", name, photos, "--json"))
    assert (again["enrolled"], len(again["already"])) == (0, 2)


def output_of_partly(done):
    assert done.returncode == 4
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["search", "nowhere", "--text", "x", "--image", "y.jpg"], 5),
        (["search", "nowhere", "--words", "x", "--where", "tag is dog"], 2),
        (["search", "nowhere", "--words", "x", "--facet", "visual"], 2),
        (["create", "fine", "--dimension", "16", "--metric", "hamming"], 2),
        (["create", "fine", "--metric", "l2"], 2),
        (["search", "nowhere"], 2),
        (["search", "nowhere", "--like", "x"], 5),
        (["search", "nowhere", "--like", "x", "--top-k", "0"], 2),
        (["create", "Bad Name!", "--dimension", "16"], 2),
        (["create", "fine", "--dimension", "3"], 2),
        (["create", "fine", "--dimension", "16", "--parameters", "unheard-of"], 1),
        (["delete", "nowhere", "--yes"], 5),
        (["delete", "nowhere", "--json"], 2),
        (["enrol", "nowhere", "/nonexistent-folder/vectors.npy"], 2),
        (["keys", "export", "nowhere", "file"], 6),
        (["keys", "import", "/nonexistent"], 2),
        (["collections", "--server", "127.0.0.1:1", "--timeout", "0.3"], 3),
        (["collections", "--server", "nonsense"], 2),
        (["collections", "--server", "10.1.2.3:7443"], 2),
        (["unheard-of"], 2),
    ],
)
def test_exit_codes_are_those_of_the_help(unseen, arguments, code):
    done = unseen(*arguments, UNSEEN_PASSPHRASE="long enough")
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr


@pytest.mark.parametrize(
    ("sources", "options", "named"),
    [
        (["v.npy", "--ids", "i.txt"], ["--every", "2"], "--every"),
        (["v.npy", "--ids", "i.txt"], ["--deid-report", "r.jsonl", "--root", "."], "--root, --deid-report"),
        (["a.jpg", "--records", "c.json"], ["--every", "2"], "--every"),
        (["a.jpg", "--records", "c.json"], ["--vector", "text"], "--vector"),
        (["a.jpg"], ["--ids", "i.txt"], "--ids"),
    ],
)
def test_an_option_that_would_say_nothing_is_refused_by_its_name(unseen, sources, options, named):
    done = unseen("enrol", "nowhere", *sources, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"got {named} with " in done.stderr


def test_errors_in_json_are_one_object_with_a_stable_code(unseen):
    done = unseen("search", "nowhere", "--like", "x", "--json")
    assert json.loads(done.stderr)["error"]["code"] == "COLLECTION_NOT_FOUND"


HELP = """
import contextlib, io, json, sys
from unseen_client.cli import main
shown = {}
for command in json.loads(sys.argv[1]):
    sys.argv = ["unseen", *command.split(), "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        main()
    shown[command] = said.getvalue()
print(json.dumps(shown))
"""


def helps(*commands: str) -> dict[str, str]:
    """What each command says to --help: one process asks them all."""
    program = [sys.executable, "-c", HELP, json.dumps(commands)]
    done = subprocess.run(program, capture_output=True, text=True, env=ENVIRONMENT, check=True)
    return json.loads(done.stdout)


def test_help_teaches_every_command_with_an_example_and_names_the_exit_codes(unseen):
    top = unseen("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", top, re.MULTILINE), command
    assert "..." not in top.partition("Commands:")[2], "a summary was cut"
    assert "3 server did not answer" in top
    plain = set(COMMANDS) - {"serve", "demo", "keys", "audit", "tokens", "restore", "doctor"}
    tokens = {f"tokens {name}" for name in ("create", "list", "revoke", "whoami")}
    audit = {f"audit {name}" for name in ("check", "head", "receipts", "prove", "verify", "export", "accept")}
    alone = {"budget", "adapt", "adapters add", "adapters list", "adapters show", "gateway run"}
    keys = {f"keys {name}" for name in ("list", "export", "import")}
    shown = helps(*sorted(plain | tokens | audit | alone | keys))
    for command, text in shown.items():
        assert f"  unseen {command}" in text, command
        if command not in tokens:
            assert "--json" in text, command
    for command in plain:
        assert ("UNSEEN_SERVER" in shown[command]) == (command != "deid"), command
    for command in tokens:
        assert "UNSEEN_TOKEN_FILE" in shown[command], command


def test_help_loads_nothing_heavy(unseen):
    code = (
        "import sys\nfrom unseen_client.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = ('numpy', 'grpc', 'tenseal', 'rich', 'google.protobuf', 'cryptography')\n"
        "print([one for one in heavy if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, env=ENVIRONMENT, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_serve_starts_the_server_with_the_options_passed_on_and_passes_signals(tmp_path):
    command = [sys.executable, "-c", "from unseen_client.cli import main; main()", "serve"]
    options = ["--data", tmp_path / "data", "--listen", "127.0.0.1:0", "--master-key", tmp_path / "key"]
    with subprocess.Popen([*command, *map(str, options)], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as server:
        assert "listening on 127.0.0.1:" in server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        assert server.wait(120) == 0
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


POISON = "import pathlib; pathlib.Path({marker!r}).write_text('ran')"


def test_serve_runs_no_code_that_lies_in_the_working_directory(tmp_path):
    marker, folder = tmp_path / "marker", tmp_path / "downloads"
    (folder / "unseen_server").mkdir(parents=True)
    for module in ("unseen_server/__init__.py", "unseen_server/__main__.py", "apsw.py"):
        (folder / module).write_text(POISON.format(marker=str(marker)))
    command = [sys.executable, "-P", "-c", "from unseen_client.cli import main; main()", "serve", "--help"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, env=ENVIRONMENT, timeout=120, check=False
    )
    assert not marker.exists()
    assert (done.returncode, "--master-key" in done.stdout) == (0, True), done.stderr


def test_the_stage_of_the_demo_runs_no_code_that_lies_in_the_working_directory(tmp_path, monkeypatch):
    marker = tmp_path / "marker"
    (tmp_path / "apsw.py").write_text(POISON.format(marker=str(marker)))
    monkeypatch.chdir(tmp_path)
    with Stage() as stage:
        stage.start()
        assert stage.process_id > 0
    assert not marker.exists()


def test_serve_help_is_the_servers_own():
    command = [sys.executable, "-c", "from unseen_client.cli import main; main()", "serve", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=True)
    assert "--master-key" in done.stdout
