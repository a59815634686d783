"""Medical images: DICOM objects de-identified and made searchable at your site; a hit is a study, by its pseudonym.

The objects are pydicom's own test files (MIT): a CT and an MR slice and others. It needs `unseen[deid]`. Not a medical
device: the bundled model knows photographs, not disease.
"""

import os
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file

from unseen_client import Client

SERVER = os.environ.get("UNSEEN_SERVER", "127.0.0.1:7443")
OBJECTS = ("CT_small.dcm", "MR_small.dcm", "693_J2KI.dcm")


def path_of(name: str) -> Path:
    return Path(str(get_testdata_file(name)))


with Client(SERVER) as client:
    client.create_collection("example-scans", model="bundled+dicom")
    report = client.enrol_dicom("example-scans", [path_of(name) for name in OBJECTS])
    print(report)
    for refused in report.refused:
        print("refused:", refused.source, refused.reason)

    names = [str(pydicom.dcmread(path_of(name)).get("PatientName", "")) for name in OBJECTS]
    for record in client.list("example-scans"):
        words = " ".join([record.name, record.caption, record.link, *record.extra.values()])
        assert not any(name and name in words for name in names), "no record names a patient"

    again = client.search_image("example-scans", path_of("MR_small_bigendian.dcm"), top_k=1)[0]
    print(f"{again.score:.2f}", again.record.name, again.record.extra["study"])
    assert again.record.extra["modality"] == "MR"
    assert again.score > 0.9, "the same slice, stored in another way, finds itself"
    client.delete_collection("example-scans")
