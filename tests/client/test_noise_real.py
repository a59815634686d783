"""Noise against the real server: processes killed on the way, images, both clients, and the command line."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.client.crashing_enrolment import IDS, digest_as_kept, true_vectors
from tests.client.real_server import ENVIRONMENT, ROOT
from unseen.dp.privunit import PrivUnit
from unseen.errors import BudgetExceeded
from unseen_client import AsyncClient, Client

SCRIPT = Path(__file__).with_name("crashing_enrolment.py")


@pytest.mark.parametrize(
    ("point", "charged", "same"),
    [("charged", 2, False), ("kept", 1, True), ("unsent", 1, True), ("unacknowledged", 1, True)],
)
def test_a_killed_enrolment_is_never_charged_too_little_and_what_was_kept_is_sent_again(
    server, client, home, name, point, charged, same
):
    client.create_collection(name, dimension=16)
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ENVIRONMENT['PYTHONPATH']}:{ROOT}"}
    command = [sys.executable, str(SCRIPT), server.address, str(home), name, point]
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    drawn = re.findall(r"drawn (\w+)", killed.stdout)
    report = client.enrol_vectors(name, IDS, true_vectors(), noise=PrivUnit(8.0))
    assert len(report.ids if point != "unacknowledged" else report.already) == len(IDS)
    assert {one.spent.releases for one in client.budget().subjects.values()} == {charged}
    assert ([digest_as_kept(record.vector) for record in client.list(name)] == drawn) is same


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(3)
    made = []
    for at in range(2):
        blocks = rng.integers(0, 255, (4, 4, 3), np.uint8).repeat(32, 0).repeat(32, 1)
        made.append(tmp_path / f"{at}.png")
        Image.fromarray(blocks).save(made[-1])
    return made


def test_images_are_enrolled_with_noise_within_the_budget_only(server, home, name, pictures):
    with Client(server.address, home=home) as client:
        client.create_collection(name)
        with pytest.raises(BudgetExceeded):
            client.enrol_images(name, pictures[:1], noise=PrivUnit(epsilon=512), subject="anna")
        client.set_budget(per_subject=1024)
        assert client.enrol_images(name, pictures[:1], noise=PrivUnit(epsilon=512), subject="anna").enrolled == 1


async def test_the_awaited_client_enrols_with_noise_and_shows_the_budget(
    server, home, name, pictures, begin_noise_anew
):
    begin_noise_anew()
    async with AsyncClient(server.address, home=home) as client:
        await client.create_collection(name)
        await client.set_budget(per_subject=1024)
        assert (await client.enrol_images(name, pictures, noise="privunit:512", subject=["anna", "ben"])).enrolled == 2
        hits = await client.search_image(name, pictures[1])
        assert {hit.record.noise.epsilon for hit in hits} == {512}
        assert 0.8 < hits[0].score < 0.97  # PrivUnit at 512 keeps a cosine of 0.93
        assert list((await client.budget()).subjects) == ["anna", "ben"]


def test_the_example_of_the_page_runs(server, home, monkeypatch, capsys):
    page = (ROOT / "docs/differential-privacy.md").read_text()
    (block,) = [one for one in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL) if "Client(" in one]
    monkeypatch.setenv("UNSEEN_HOME", str(home))
    exec(compile(block.replace("127.0.0.1:7443", server.address), "docs/differential-privacy.md", "exec"), {})
    noise, left = capsys.readouterr().out.splitlines()
    assert noise == "privunit 64.0"
    assert float(left) == pytest.approx(0, abs=0.001)


def test_the_command_line_enrols_with_noise_and_accounts_for_it(unseen, name, pictures):
    assert unseen("create", name).returncode == 0
    nothing = unseen("budget")
    assert "unseen enrol NAME" in nothing.stdout
    assert "epsilon 0 spent" in nothing.stdout
    done = unseen("enrol", name, *pictures, "--noise", "privunit:64")
    assert done.returncode == 0, done.stderr
    hits = json.loads(unseen("search", name, "--image", pictures[0], "--json").stdout)["hits"]
    assert hits[0]["noise"] == {"mechanism": "privunit", "epsilon": 64.0, "delta": 0.0, "unit": "one image embedding"}
    shown = unseen("search", name, "--image", pictures[0]).stdout
    assert "privunit" in shown
    assert "noise: for one release of one image embedding, as the enrolling device says" in " ".join(shown.split())
    assert unseen("list", name).stdout.count("\tprivunit, epsilon 64\n") == 2
    told = json.loads(unseen("budget", "--json").stdout)
    assert (told["device"]["releases"], told["device"]["epsilon_budget"]) == (2, None)
    assert told["device"]["epsilon_spent"] == pytest.approx(128, rel=1e-3)
    assert {one["subject"] for one in told["subjects"]} == {hit["id"] for hit in hits}
    assert all(one["epsilon_left"] == pytest.approx(0, abs=0.001) for one in told["subjects"])


def test_the_command_line_refuses_above_the_budget_and_sets_one(unseen, name, tmp_path):
    vectors, ids = tmp_path / "vectors.npy", tmp_path / "ids.txt"
    np.save(vectors, true_vectors())
    ids.write_text("\n".join(IDS))
    enrol = ("enrol", name, vectors, "--ids", ids, "--subject", "anna", "--noise")
    assert unseen("create", name, "--dimension", "16").returncode == 0
    assert unseen("budget", "--per-subject", "100", "--per-device", "inf").returncode == 0
    refused = unseen(*enrol, "gaussian:64")
    assert refused.returncode == 1
    assert "a subject would have spent epsilon 1" in refused.stderr
    assert unseen("budget", "--per-subject", "200").returncode == 0
    assert unseen(*enrol, "privunit:64").returncode == 0
    told = unseen("budget", "--subject", "anna")
    assert re.search(r"anna\tepsilon 12[78]\S* spent at delta 1e-06\t7[23]\S* of 200 left\t2 releases", told.stdout)
    assert unseen("budget", "--subject", "ben").returncode == 5
    assert unseen(*enrol, "loud:8").returncode == 2
    assert unseen("budget", "--delta", "2").returncode == 2
