"""Hostile peers for `bench.gateway`: mutated objects by C-STORE, mutated streams of units, and what they cost."""

from __future__ import annotations

import random
import re
import socket
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any

import pydicom
from pydicom.uid import CTImageStorage
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE

from bench.process import cpu_seconds, peak_resident_bytes
from unseen_client.child_process import worker_count
from unseen_client.gateway.contexts import TRANSFER_SYNTAXES, VERIFICATION, storage_classes

MOST_WORKER_MIB = 512
LARGEST_SENT_BYTES = 64 << 20
MOST_INFLATED_BYTES = 1 << 20
EXPLICIT = "1.2.840.10008.1.2.1"


def inflated(data: bytes) -> Iterator[bytes]:
    """Whatever in some bytes is a zlib or gzip stream."""
    for found in re.finditer(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08", data):
        try:
            inner = zlib.decompressobj(47).decompress(data[found.start() :], MOST_INFLATED_BYTES)
        except zlib.error:
            continue
        if len(inner) > 8:
            yield inner


def send_objects(port: int, objects: Iterable[tuple[str, bytes]]) -> Counter[str]:
    """Store every hostile object, each followed by an echo in its association."""
    outcomes = Counter[str]()
    for at, (_, data) in enumerate(objects):
        if len(data) > LARGEST_SENT_BYTES:
            outcomes["too large to send"] += 1
            continue
        outcomes[_stored(port, at, data)] += 1
    return outcomes


def _stored(port: int, at: int, data: bytes) -> str:
    sop_class, syntax, content = _taken_apart(data)
    entity: Any = AE(ae_title="PYNETDICOM")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    entity.add_requested_context(sop_class, syntax)
    entity.add_requested_context(CTImageStorage, EXPLICIT)
    entity.add_requested_context(VERIFICATION)
    made: Any = entity.associate("127.0.0.1", port, ae_title="UNSEEN", max_pdu=0)
    if not made.is_established:
        return "no association"
    connection = made.dul.socket.socket if made.dul.socket else None
    accepted: dict[Any, Any] = {context.abstract_syntax: context.context_id for context in made.accepted_contexts}
    sop_class = sop_class if sop_class in accepted else CTImageStorage
    try:
        status = _send(made, accepted[sop_class], sop_class, f"1.2.826.0.1.3680043.10.511.7.{at}", content)
        survived = made.is_established and getattr(made.send_c_echo(), "Status", None) == 0
    except (RuntimeError, ValueError, AttributeError):
        status, survived = "no answer", False
    made.release() if made.is_established else made.abort()
    if connection is not None:
        connection.close()
    return f"{status}, the association {'survives' if survived else 'ends'}"


def _send(made: Any, context_id: int, sop_class: str, instance: str, content: bytes) -> str:
    """A C-STORE request with any bytes as its data set: pynetdicom's own call would have to parse them."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, instance
    request.DataSet = BytesIO(content)
    made._reactor_checkpoint.clear()
    while not made._is_paused:
        time.sleep(0.001)
    made.dimse.send_msg(request, context_id)
    _, answer = made.dimse.get_msg(block=True)
    made._reactor_checkpoint.set()
    return "no answer" if answer is None else f"status {answer.Status:04X}"


def _taken_apart(data: bytes) -> tuple[str, str, bytes]:
    """Class and syntax that a file says it has, and its data set; those of a CT slice where it says nothing."""
    try:
        stream = BytesIO(data)
        stream.seek(132)
        meta = pydicom.filereader._read_file_meta_info(stream)
        names = str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)
    except Exception:  # noqa: BLE001 - a mutant's header may be anything
        return str(CTImageStorage), EXPLICIT, data[132:] or b"\0\0"
    if names[1] not in TRANSFER_SYNTAXES or names[0] not in storage_classes():
        names = str(CTImageStorage), EXPLICIT
    return (*names, data[stream.tell() :] or b"\0\0")


def send_streams(port: int, count: int, seed: int) -> Counter[str]:
    """Mutated streams of a whole association; what the node does, and whether it answers somebody else then."""
    from tests.client.gateway.test_node import STORE, associate_request, command, data_unit

    chance, outcomes = random.Random(seed), Counter[str]()
    whole = associate_request() + data_unit(3, command(STORE)) + data_unit(0, bytes(8000)) + data_unit(2, bytes(8000))
    for at in range(count):
        stream = bytearray(whole)
        for _ in range(chance.choice([1, 3, 10])):
            where = chance.randrange(min(len(stream), chance.choice([300, len(stream)])))
            stream[where] = chance.randrange(256)
        if chance.random() < 0.2:
            del stream[chance.randrange(len(stream)) :]
        with socket.create_connection(("127.0.0.1", port), 10) as peer:
            peer.settimeout(90)
            try:
                peer.sendall(stream)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):
                    pass
                outcomes["closed"] += 1
            except TimeoutError:
                outcomes["left open"] += 1
            except OSError:
                outcomes["closed"] += 1
        if at % 50 == 49:
            outcomes["echoes in between, answered" if _echoed(port) else "echoes in between, not answered"] += 1
    return outcomes


def _echoed(port: int) -> bool:
    entity = AE(ae_title="PYNETDICOM")
    entity.add_requested_context(VERIFICATION)
    made = entity.associate("127.0.0.1", port, ae_title="UNSEEN")
    try:
        return bool(made.is_established and getattr(made.send_c_echo(), "Status", None) == 0)
    finally:
        made.release() if made.is_established else made.abort()


class Memory:
    """The most memory that each process below one ever had, looked at again and again for the length of a block."""

    def __init__(self, process_id: int) -> None:
        self._process_id = process_id
        self._peaks = Counter[str]()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def peaks_mib(self) -> dict[str, int]:
        """By what the process is."""
        return dict(self._peaks)

    def _look(self) -> None:
        while not self._stop.wait(0.2):
            for process_id, name in _below(self._process_id):
                try:
                    self._peaks[name] = max(self._peaks[name], peak_resident_bytes(process_id) >> 20)
                except (OSError, ProcessLookupError):
                    continue


def most_mib(process: str) -> int:
    """Memory that a process may take: the gateway works on several objects at once, every other one on one."""
    return MOST_WORKER_MIB * (worker_count(None) if process == "gateway" else 1)


def cpu_below(process_id: int) -> dict[str, float]:
    """Processor seconds of the gateway and its children so far, by what each is."""
    used: dict[str, float] = {}
    for one, name in _below(process_id):
        used[name] = used.get(name, 0.0) + cpu_seconds(one)
    return used


def _below(process_id: int) -> Iterator[tuple[int, str]]:
    """The gateway and its children, with the module that each runs."""
    yield process_id, "gateway"
    try:
        tasks = list(Path(f"/proc/{process_id}/task").glob("*/children"))
        children = {int(one) for task in tasks for one in task.read_text().split()}
    except OSError:
        return
    for child in children:
        try:
            line = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        modules = (part.decode() for part in line if part.startswith(b"unseen_client."))
        yield child, next(modules, "?").rpartition(".")[2]
