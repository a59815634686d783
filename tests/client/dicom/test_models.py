"""A model of medicine on the road of DICOM objects: BiomedCLIP's shape in small, saved by the upstream library."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.client.dicom.objects import InMemory, as_file, slice_of
from tests.core.deid.dicom.reports import report, text
from tests.core.embed.pulled.folders import model_folder
from tests.core.embed.pulled.open_clip_stand_ins import open_clip_stand_in
from unseen.embed.dicom_model import dicom_suffix, with_dicom
from unseen.embed.model import Registry
from unseen.embed.pulled.embedder import pulled_entry
from unseen_client.deid.dicom_settings import DicomSettings
from unseen_client.dicom.prepare import DicomPreparer, centre_of
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
