"""Run inside a network namespace of its own: start Orthanc, let it anonymise files, stop it.

    unshare --net python orthanc_child.py FOLDER

FOLDER holds 0.dcm, 1.dcm, ...; beside each appears 0.dcm.out. Orthanc listens on every address, whatever its
configuration says, so it must never run where anybody can reach it: the script refuses outside a namespace.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

PORT = 8042
SIOCSIFFLAGS, IFF_UP, IFF_RUNNING = 0x8914, 0x1, 0x40
START_DEADLINE_S = 180.0


def loopback_up() -> None:
    """Bring up the namespace's only interface."""
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        raise SystemExit("this is no network namespace of its own: start through `unshare --net`")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING))


def ask(method: str, path: str, body: bytes) -> bytes:
    """One request to Orthanc's REST interface."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=120)
    connection.request(method, path, body)
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise SystemExit(f"{method} {path}: {response.status}")
    return content


def wait_until_it_listens(process: subprocess.Popen[bytes]) -> None:
    """Return when the port accepts connections."""
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", PORT)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("Orthanc did not start")


def main(folder: Path) -> None:
    loopback_up()
    configuration = folder / "orthanc.json"
    configuration.write_text(
        json.dumps(
            {
                "StorageDirectory": str(folder / "storage"),
                "IndexDirectory": str(folder / "storage"),
                "HttpPort": PORT,
                "DicomServerEnabled": False,
                "RemoteAccessAllowed": False,
                "AuthenticationEnabled": False,
                "Plugins": [],
            }
        )
    )
    process = subprocess.Popen(["Orthanc", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_it_listens(process)
        for path in sorted(folder.glob("*.dcm")):
            stored = json.loads(ask("POST", "/instances", path.read_bytes()))
            path.with_suffix(".dcm.out").write_bytes(ask("POST", f"/instances/{stored['ID']}/anonymize", b"{}"))
    finally:
        process.terminate()
        process.wait(timeout=120)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
