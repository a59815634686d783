"""Many readers or one writer, and a waiting writer goes before the readers that come after it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from unseen_server.readers_writer import ReadersWriterLock


def test_readers_share_the_lock() -> None:
    lock = ReadersWriterLock()
    both_in = threading.Barrier(2, timeout=30)

    def read() -> None:
        with lock.reading():
            both_in.wait()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(read) for _ in range(2)]:
            done.result()


def test_writers_and_readers_never_meet() -> None:
    lock = ReadersWriterLock()
    inside = {"readers": 0, "writers": 0}
    count = threading.Lock()
    meetings: list[dict[str, int]] = []

    def enter(role: str) -> None:
        with lock.reading() if role == "readers" else lock.writing():
            with count:
                inside[role] += 1
                if inside["writers"] > 1 or (inside["writers"] and inside["readers"]):
                    meetings.append(dict(inside))
            with count:
                inside[role] -= 1

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(enter, "writers" if n % 3 == 0 else "readers") for n in range(900)]:
            done.result()
    assert meetings == []


def test_waiting_writer_goes_before_a_later_reader() -> None:
    lock = ReadersWriterLock()
    order: list[str] = []

    def write() -> None:
        with lock.writing():
            order.append("writer")

    def read() -> None:
        with lock.reading():
            order.append("reader")

    with ThreadPoolExecutor(2) as pool:
        with lock.reading():
            writer = pool.submit(write)
            while not lock._writers_waiting:
                pass
            reader = pool.submit(read)
            assert order == []
        writer.result()
        reader.result()
    assert order == ["writer", "reader"]


def test_lock_is_free_again_after_an_error() -> None:
    lock = ReadersWriterLock()
    for enter in (lock.reading, lock.writing):
        try:
            with enter():
                raise ValueError
        except ValueError:
            pass
    with lock.writing():
        pass
