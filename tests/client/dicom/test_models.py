"""Models of medicine on the road of DICOM objects, in small: BiomedCLIP's shape, and an encoder of pictures alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.client.dicom.objects import InMemory, as_file, slice_of
from tests.client.real_server import RealServer
from tests.core.deid.dicom.reports import report, text
from tests.core.embed.pulled.folders import model_folder
from tests.core.embed.pulled.open_clip_stand_ins import open_clip_stand_in
from tests.core.embed.pulled.samples import pictures
from unseen.embed import dicom_model
from unseen.embed.dicom_model import dicom_suffix, with_dicom
from unseen.embed.model import Registry
from unseen.embed.pulled.embedder import pulled_entry
from unseen.errors import InvalidConfiguration, ModelMismatch
from unseen_client import Client, Query
from unseen_client.deid.dicom_settings import DicomSettings
from unseen_client.dicom.prepare import DicomPreparer, centre_of
from unseen_client.models.inspect import check_model, reads
from unseen_client.models.shelf import FOLDER_NAME, ModelShelf, folder_name
from unseen_client.prepare import Preparer


def test_a_small_biomedclip_gives_pictures_and_reports_the_vectors_that_it_gives_by_itself(tmp_path: Path) -> None:
    upstream = open_clip_stand_in(tmp_path / "upstream", "BiomedCLIP")
    entry = pulled_entry(model_folder(upstream.folder, tmp_path / "ours"))
    registry = with_dicom(Registry([entry]))
    alone = entry.load(1)
    with Preparer(f"{entry.name}+dicom", registry=registry, workers=1) as preparer:
        assert preparer.model_id == entry.model_id + dicom_suffix()
        objects = DicomPreparer(preparer, DicomSettings(site_key=bytes(range(32))), workers=1)
        try:
            picture = InMemory(as_file(slice_of(1)))
            words = InMemory(as_file(report(1, text("Jane has no nodule."))))
            (made,) = objects.pictures(picture, lambda _: (0,)).pictures
            said = objects.report(words, objects.placed(words))
            looked = objects._pipeline.looked_at(picture.read(), lambda _: (0,))
            (seen,) = objects._views.pictures(looked.data, (0,), looked.mask)
        finally:
            objects.close()
    looks = [alone.image(look) for one in seen.looks for look in (one, centre_of(one))]
    together = np.sum(looks, axis=0)
    np.testing.assert_allclose(made.vector, together / np.linalg.norm(together), atol=1e-5)
    assert said.text == "Chest Report\nFinding: [NAME] has no nodule."
    np.testing.assert_allclose(said.vector, alone.text(said.text), atol=1e-5)


def test_an_encoder_of_pictures_alone_enrols_objects_finds_them_by_picture_and_takes_no_words(
    server: RealServer, home: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.core.embed.pulled.onnx_stand_in import vision_onnx_stand_in

    upstream = vision_onnx_stand_in(tmp_path / "upstream")
    entry = pulled_entry(model_folder(upstream.folder, tmp_path / "ours", "encoder"))
    alone = entry.load(1)
    for pixels in pictures():
        np.testing.assert_allclose(alone.image(pixels), upstream.picture(pixels), atol=1e-5)
    held = home / FOLDER_NAME / folder_name(entry.model_id)
    held.parent.mkdir(mode=0o700, parents=True)
    home.chmod(0o700)
    (tmp_path / "ours").rename(held)
    on_shelf = ModelShelf(home).held("encoder")
    assert reads(on_shelf) == {"pictures": True, "words": False}
    assert check_model(on_shelf)[1:] == [f"a picture becomes {entry.dimension} numbers"]
    folder = tmp_path / "archive"
    folder.mkdir()
    for study in range(3):
        (folder / f"{study}.dcm").write_bytes(as_file(slice_of(study)))
    (folder / "report.dcm").write_bytes(as_file(report(1, text("no nodule"))))
    with Client(server.address, home=home) as client:
        client.create_collection(name, model="encoder+dicom")
        enrolled = client.enrol_dicom(name, folder)
        assert (enrolled.enrolled, len(enrolled.refused)) == (3, 1)
        assert "reads no words" in enrolled.refused[0].reason
        client.grant_reveal(name)
        ways = {record.id: client.reveal(name, record.id, reason="test") for record in client.list(name)}
        for study in range(3):
            uid = slice_of(study).StudyInstanceUID
            (best, *others) = client.search(name, Query.picture(folder / f"{study}.dcm"), top_k=3)
            assert best.score == pytest.approx(1, abs=0.02)
            assert ways[best.id].study == uid
            similar = client.similar_studies(name, str(uid), reason="test")
            assert {one.hit.id for one in similar} == {hit.id for hit in others} == ways.keys() - {best.id}
        with pytest.raises(InvalidConfiguration, match="reads no words"):
            client.search_text(name, "a nodule")
    monkeypatch.setattr(dicom_model, "TAILS_PERCENT", 2.0)
    with Client(server.address, home=home) as client, pytest.raises(ModelMismatch, match="other windows and borders"):
        client.enrol_dicom(name, folder)
