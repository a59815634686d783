"""Run inside a network namespace of its own: an Orthanc that sends to a node by C-STORE and is pulled from by DICOMweb.

    unshare --net python orthanc_child.py FOLDER

FOLDER holds *.dcm. Two queues are filled, FOLDER/stored by Orthanc's C-STORE and FOLDER/pulled by `pull_studies`; what
the pull reports is printed as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from tests.core.deid.dicom.orthanc_child import PORT, ask, loopback_up, wait_until_it_listens
from unseen_client.gateway.node_process import NodeProcess
from unseen_client.gateway.node_settings import NodeSettings
from unseen_client.gateway.pull import Pacs, pull_studies
from unseen_client.gateway.queue import Queue

KEY = bytes(range(32))
MANY = 1 << 30
PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


def main(folder: Path) -> None:
    loopback_up()
    node = NodeProcess(NodeSettings(port=0, senders=("ORTHANC",)), folder / "stored", KEY, MANY)
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": PORT,
        "DicomServerEnabled": False,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [PLUGIN],
        "DicomModalities": {"unseen": ["UNSEEN", "127.0.0.1", node.port]},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    command = ["Orthanc", str(folder / "orthanc.json")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_it_listens(process)
        ids = [json.loads(ask("POST", "/instances", path.read_bytes()))["ID"] for path in sorted(folder.glob("*.dcm"))]
        ask("POST", "/modalities/unseen/store", json.dumps({"Resources": ids, "Synchronous": True}).encode())
        queue = Queue(folder / "pulled", KEY, MANY)
        pacs = Pacs(f"http://127.0.0.1:{PORT}/dicom-web")
        report = pull_studies(pacs, ["PatientID=4711-1"], 10, queue.put)
    finally:
        process.terminate()
        process.wait(timeout=30)
        node.close()
    print(json.dumps(asdict(report)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
