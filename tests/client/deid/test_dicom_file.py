"""DICOM objects through `unseen deid`'s pipeline: real children, real models, whole files in and out."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image, ImageDraw, ImageFont
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from tests.core.deid.dicom.planting import as_file, base_object, finish, planted
from unseen.deid.dicom.options import Option
from unseen.errors import ImageRefused, InvalidConfiguration
from unseen_client.child_limits import CPU_S_IN_ALL
from unseen_client.deid import attributes, frames, frames_child
from unseen_client.deid.attributes import Attributes, memory_for
from unseen_client.deid.deidentifier import Deidentifier
from unseen_client.deid.dicom_file import DicomPipeline
from unseen_client.deid.dicom_settings import DicomSettings, LookForText
from unseen_client.deid.frames import Frames

KEY = bytes(range(32))
FOLDER = Path(pydicom.__file__).parent / "data/test_files"
NAME = "DOE^JANE 4711"


@pytest.fixture(scope="module")
def pipeline() -> Iterator[DicomPipeline]:
    running = DicomPipeline(DicomSettings(site_key=KEY))
    yield running
    running.close()


def lettering(height: int, width: int, texts: dict[tuple[int, int], str]) -> np.ndarray:
    picture = Image.new("L", (width, height))
    for place, text in texts.items():
        ImageDraw.Draw(picture).text(place, text, fill=255, font=ImageFont.load_default(20))
    return np.asarray(picture)


def ultrasound(
    frame_count: int = 1, kind: str = "u1", colour: bool = False, texts: tuple[str, ...] = (NAME,)
) -> tuple[pydicom.Dataset, np.ndarray]:
    """An ultrasound with a name burned into every frame, or another in each; and where the letters are."""
    chance = np.random.default_rng(11)
    speckle = chance.integers(20, 60, (frame_count, 192, 320)).astype(kind)
    ink = (
        np.stack(
            [
                lettering(192, 320, {(30, 60 + 40 * (at % len(texts))): texts[at % len(texts)]})
                for at in range(frame_count)
            ]
        )
        > 127
    )
    pixels = np.where(ink, 235, speckle).astype(kind)
    dataset = base_object("US")
    stored = np.repeat(pixels[..., None], 3, axis=3) if colour else pixels
    dataset.Rows, dataset.Columns = 192, 320
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = (3, "RGB") if colour else (1, "MONOCHROME2")
    if colour:
        dataset.PlanarConfiguration = 0
    if frame_count > 1:
        dataset.NumberOfFrames = frame_count
    bits = 8 * stored.dtype.itemsize
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.BurnedInAnnotation = "YES"
    dataset.PixelData = stored.tobytes()
    dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    return dataset, ink


def read(data: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(data))


def test_what_does_not_fit_the_memory_is_refused(pipeline: DicomPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: bytes) -> None:
        raise MemoryError

    for wanted in ("placed", "words_beside"):
        monkeypatch.setattr(pipeline._attributes, wanted, full)
    for use in (pipeline.placed, pipeline.words, lambda data: pipeline.words_beside(b"", [data])):
        with pytest.raises(ImageRefused, match="does not fit the memory"):
            use(b"")


def test_words_of_a_picture_are_refused_with_what_to_do(pipeline: DicomPipeline) -> None:
    with pytest.raises(ImageRefused, match="give one, or enrol it as a picture"):
        pipeline.words(as_file(ultrasound()[0]))


@pytest.mark.parametrize(("kind", "colour"), [("u1", False), ("u1", True), ("u2", False)])
def test_burned_in_text_is_gone_and_every_other_pixel_is_as_it_was(
    pipeline: DicomPipeline, kind: str, colour: bool
) -> None:
    source, ink = ultrasound(kind=kind, colour=colour)
    cleaned = pipeline.clean(as_file(source))
    dataset = read(cleaned.data)
    before, after = source.pixel_array, dataset.pixel_array
    changed = (after != before).any(axis=2) if colour else after != before
    assert not (after[ink[0]] == before[ink[0]]).any()
    assert 0 < changed.mean() < 0.2
    assert (after[changed] == before.min() * (not colour)).all()
    assert dataset.BurnedInAnnotation == "NO"
    assert "113101" in [item.CodeValue for item in dataset.DeidentificationMethodCodeSequence]
    assert (cleaned.suffix, cleaned.covered) == (".dcm", len(cleaned.facts["pixels"]["lines"]))


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_pixels_are_looked_at_and_written_plain(pipeline: DicomPipeline, syntax: str) -> None:
    source, ink = ultrasound()
    before = source.pixel_array
    compressed = pydicom.dcmread(BytesIO(as_file(source)))
    compressed.compress(syntax, generate_instance_uid=False) if syntax == RLELossless else _as_jpeg_2000(compressed)
    dataset = read(pipeline.clean(as_file(compressed)).data)
    assert dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    after = dataset.pixel_array
    changed = after != before
    assert not (after[ink[0]] == before[ink[0]]).any()
    assert changed.mean() < 0.2


def _as_jpeg_2000(dataset: pydicom.Dataset) -> None:
    buffer = BytesIO()
    Image.fromarray(dataset.pixel_array).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
    dataset.PixelData = pydicom.encaps.encapsulate([buffer.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless


def test_text_in_any_frame_is_covered_in_every_frame(pipeline: DicomPipeline) -> None:
    source, ink = ultrasound(3, texts=(NAME, "KIM^ANN 0815"))
    cleaned = pipeline.clean(as_file(source))
    before, after = source.pixel_array, read(cleaned.data).pixel_array
    assert not after[:, ink.any(axis=0)].max() > 60
    assert {line["frame"] for line in cleaned.facts["pixels"]["lines"]} == {1, 2}
    changed = (after != before).any(axis=0)
    assert changed.mean() < 0.3
    np.testing.assert_array_equal(after[:, ~changed], before[:, ~changed])


def test_a_clean_picture_keeps_its_bytes_and_is_said_to_be_clean(pipeline: DicomPipeline) -> None:
    source, _ = ultrasound(texts=("",))
    cleaned = pipeline.clean(as_file(source))
    assert read(cleaned.data).PixelData == source.PixelData
    assert read(cleaned.data).BurnedInAnnotation == "NO"
    assert cleaned.covered == 0


def test_a_slice_that_a_scanner_computed_is_not_looked_at_and_nothing_is_claimed(pipeline: DicomPipeline) -> None:
    cleaned = pipeline.clean((FOLDER / "CT_small.dcm").read_bytes())
    assert cleaned.facts["pixels"] == "not looked at"
    assert "BurnedInAnnotation" not in read(cleaned.data)
    assert read(cleaned.data).PixelData == read((FOLDER / "CT_small.dcm").read_bytes()).PixelData


def test_text_is_looked_for_nowhere_or_everywhere_when_somebody_says_so() -> None:
    source, _ = ultrasound()
    never = DicomPipeline(DicomSettings(site_key=KEY, text=LookForText.NEVER))
    always = DicomPipeline(DicomSettings(site_key=KEY, text=LookForText.ALWAYS))
    try:
        untouched = read(never.clean(as_file(source)).data)
        assert untouched.PixelData == source.PixelData
        assert untouched.BurnedInAnnotation == "YES"
        assert always.clean((FOLDER / "CT_small.dcm").read_bytes()).facts["pixels"]["frames"] == 1
    finally:
        never.close()
        always.close()


def test_marks_stay_when_they_are_kept() -> None:
    source, ink = ultrasound(texts=("5.0 cm",))
    keeping = DicomPipeline(DicomSettings(site_key=KEY, keep_marks=True))
    try:
        cleaned = keeping.clean(as_file(source))
    finally:
        keeping.close()
    assert (read(cleaned.data).pixel_array[ink[0]] == source.pixel_array[ink[0]]).all()
    assert cleaned.facts["pixels"]["marks_kept"] == 1


def test_what_comes_out_is_the_same_in_every_run_and_differs_between_sites(tmp_path: Path) -> None:
    data = as_file(ultrasound()[0])
    outputs = []
    for home in (tmp_path / "one", tmp_path / "one", tmp_path / "two"):
        running = DicomPipeline(DicomSettings(home=home))
        outputs.append((running.clean(data).data, running.description()["site_key_mark"]))
        running.close()
    assert outputs[0] == outputs[1]
    assert read(outputs[0][0]).StudyInstanceUID != read(outputs[2][0]).StudyInstanceUID
    assert outputs[0][1] != outputs[2][1]


def test_no_planted_identifier_is_in_output_or_report(pipeline: DicomPipeline) -> None:
    for modality in ("CT", "US"):
        source = planted(modality, 77)
        cleaned = pipeline.clean(source.data)
        assert source.left_in(cleaned.data) == []
        assert source.left_in(json.dumps(cleaned.facts).encode()) == []


def test_options_reach_the_child(pipeline: DicomPipeline) -> None:
    data = as_file(ultrasound()[0])
    keeping = DicomPipeline(DicomSettings(frozenset({Option.RETAIN_UIDS}), text=LookForText.NEVER, site_key=KEY))
    try:
        kept = keeping.clean(data)
    finally:
        keeping.close()
    assert read(kept.data).StudyInstanceUID == read(data).StudyInstanceUID
    assert read(pipeline.clean(data).data).StudyInstanceUID != read(data).StudyInstanceUID
    assert kept.facts["attributes"]["options"] == ["uids"]


def test_a_dry_run_shows_the_frame_with_boxes(pipeline: DicomPipeline) -> None:
    preview = pipeline.preview(as_file(ultrasound()[0]))
    picture = Image.open(BytesIO(preview.data))
    assert (picture.format, picture.size, preview.suffix) == ("PNG", (320, 192), ".png")
    assert (np.asarray(picture) == (230, 30, 30)).all(axis=2).any()
    assert Image.open(BytesIO(pipeline.preview((FOLDER / "rtplan.dcm").read_bytes()).data)).format == "PNG"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("MR_truncated.dcm", "cut short"), ("rtplan_truncated.dcm", "cut short"), ("reportsi.dcm", "structured report")],
)
def test_a_refusal_says_why_and_the_child_serves_the_next(pipeline: DicomPipeline, name: str, reason: str) -> None:
    with pytest.raises(ImageRefused, match=reason):
        pipeline.clean((FOLDER / name).read_bytes())
    assert pipeline.clean((FOLDER / "CT_small.dcm").read_bytes()).data


def test_an_image_that_was_cut_before_its_pixels_is_refused_and_a_plan_needs_none(pipeline: DicomPipeline) -> None:
    """Cut between two elements a file parses; it would come out as a valid object without a picture."""
    for name in ("CT_small.dcm", "MR_small.dcm"):
        whole = (FOLDER / name).read_bytes()
        with pytest.raises(ImageRefused, match="no pixels"):
            pipeline.clean(whole[: whole.index(b"\xe0\x7f\x10\x00OW")])
    assert pipeline.clean((FOLDER / "rtplan.dcm").read_bytes()).data


def test_pixels_that_do_not_decode_are_refused_where_they_must_be_looked_at(pipeline: DicomPipeline) -> None:
    source, _ = ultrasound()
    compressed = pydicom.dcmread(BytesIO(as_file(source)))
    compressed.compress(RLELossless)
    data = bytearray(as_file(compressed))
    start = data.index(b"\xe0\x7f\x10\x00") + 100
    data[start : start + 8000] = b"\x80" * 8000  # a run-length code that says nothing
    with pytest.raises(ImageRefused, match="pixels"):
        pipeline.clean(bytes(data))


# ---- children -------------------------------------------------------------------------------------------------------


def test_the_limits_hold_in_both_children() -> None:
    cleaner, decoder = Attributes(KEY, frozenset(), 1), Frames(1)
    data = as_file(ultrasound()[0])
    decoder.decode(cleaner.deidentify(data)[0])
    for pool in (cleaner._children, decoder._children):
        with pool.one(attributes.MEMORY_BYTES) as child:
            assert child.limits == {"memory", "cpu", "files"}
            assert resource.prlimit(child.process_id, resource.RLIMIT_AS) == (512 << 20, 512 << 20)
            assert resource.prlimit(child.process_id, resource.RLIMIT_FSIZE) == (0, 0)
            soft, hard = resource.prlimit(child.process_id, resource.RLIMIT_CPU)
            assert (soft <= 2 * frames_child.CPU_S_PER_OBJECT, hard) == (True, CPU_S_IN_ALL)
    cleaner.close()
    decoder.close()


def test_the_child_that_decodes_never_holds_the_key_or_a_name() -> None:
    source = planted("US", 5)
    key = random.Random(8).randbytes(32)
    cleaner, decoder = Attributes(key, frozenset(), 1), Frames(1)
    decoder.decode(cleaner.deidentify(source.data)[0])
    with decoder._children.one(attributes.MEMORY_BYTES) as child:
        held = memory_of(child.process_id)
    assert key not in held
    assert key.hex().encode() not in held
    assert b"unseen_client.deid.frames_child" in held, "this is the memory of the child"
    assert [place for place, fragment in source.fragments if len(fragment) >= 9 and fragment in held] == []
    cleaner.close()
    decoder.close()


def memory_of(process_id: int) -> bytes:
    """Everything that is mapped writable in a process."""
    held = []
    with Path(f"/proc/{process_id}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{process_id}/maps").read_text().splitlines():
            bounds, rights = line.split()[:2]
            start, end = (int(bound, 16) for bound in bounds.split("-"))
            if rights.startswith("rw"):
                try:
                    memory.seek(start)
                    held.append(memory.read(end - start))
                except OSError:
                    continue
    return b"".join(held)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_a_child_that_dies_costs_one_object(how: signal.Signals) -> None:
    cleaner = Attributes(KEY, frozenset(), 1)
    data = (FOLDER / "CT_small.dcm").read_bytes()
    cleaner.deidentify(data)
    with cleaner._children.one(attributes.MEMORY_BYTES) as child:
        os.kill(child.process_id, how)
        os.waitid(os.P_PID, child.process_id, os.WEXITED | os.WNOWAIT)
    with pytest.raises(ImageRefused, match="broke the process"):
        cleaner.deidentify(data)
    assert cleaner.deidentify(data)[0]
    cleaner.close()


def test_an_object_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaner = Attributes(KEY, frozenset(), 1)
    data = (FOLDER / "CT_small.dcm").read_bytes()
    cleaner.deidentify(data)
    with cleaner._children.one(attributes.MEMORY_BYTES) as child:
        os.kill(child.process_id, signal.SIGSTOP)
    monkeypatch.setattr(attributes, "TIMEOUT_S", 0.5)
    started = time.monotonic()
    with pytest.raises(ImageRefused, match="over 0"):
        cleaner.deidentify(data)
    assert time.monotonic() - started < 60
    monkeypatch.undo()
    assert cleaner.deidentify(data)[0]
    cleaner.close()


def test_an_object_that_computes_too_long_is_stopped_and_the_next_one_served() -> None:
    source = base_object("CT")
    source.Rows, source.Columns, source.NumberOfFrames = 1024, 1024, 20
    source.PixelData = bytes(1024 * 1024 * 2 * 20)
    data = as_file(source)
    decoder = Frames(1)
    decoder.decode(data)
    with decoder._children.one(memory_for(len(data), frames.COPIES)) as child:
        ticks = Path(f"/proc/{child.process_id}/stat").read_text().split()[13:15]
        most_s = sum(map(int, ticks)) // os.sysconf("SC_CLK_TCK") + 2
        resource.prlimit(child.process_id, resource.RLIMIT_CPU, (most_s, most_s))
    with pytest.raises(ImageRefused, match="too many seconds of computing"):
        decode_many(decoder, data, 500)
    assert decoder.decode(data).stored.shape == (20, 1024, 1024)
    decoder.close()


def decode_many(decoder: Frames, data: bytes, times: int) -> None:
    for _ in range(times):
        decoder.decode(data)


def test_no_child_is_left_behind() -> None:
    cleaner = Attributes(KEY, frozenset(), 1)
    cleaner.deidentify((FOLDER / "CT_small.dcm").read_bytes())
    with cleaner._children.one(attributes.MEMORY_BYTES) as child:
        process_id = child.process_id
    cleaner.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)


def test_a_large_object_gets_memory_in_proportion_and_no_more() -> None:
    assert memory_for(1 << 20) == 512 << 20
    assert memory_for(200 << 20) == (256 + 800) << 20


def test_an_object_of_a_hundred_megabytes_passes() -> None:
    source = base_object("CT")
    source.Rows, source.Columns, source.NumberOfFrames = 1024, 1024, 50
    source.PixelData = bytes(1024 * 1024 * 2 * 50)
    cleaner = Attributes(KEY, frozenset(), 1)
    data, report = cleaner.deidentify(as_file(source))
    assert len(data) > 100 << 20
    assert report["has_pixels"]
    cleaner.close()


def test_frames_beyond_the_limit_are_refused_before_they_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "MOST_BYTES", 1000)
    decoder = Frames(1)
    with pytest.raises(ImageRefused, match="MiB when decoded"):
        decoder.decode((FOLDER / "CT_small.dcm").read_bytes())
    decoder.close()


# ---- settings and whole runs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"options": frozenset({"no such option"})},
        {"options": frozenset({Option.RETAIN_LONGITUDINAL_FULL_DATES, Option.RETAIN_LONGITUDINAL_MODIFIED_DATES})},
        {"text": "sometimes"},
        {"site_key": b"short"},
    ],
)
def test_senseless_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfiguration):
        DicomSettings(**wrong)


def test_settings_do_not_print_the_key() -> None:
    assert KEY.hex() not in repr(DicomSettings(site_key=KEY))
    assert repr(KEY) not in repr(DicomSettings(site_key=KEY))


def test_a_folder_of_a_study_stays_together_across_runs(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "series"
    folder.mkdir(parents=True)
    for at in range(4):
        dataset = base_object("CT", seed=9)
        dataset.SOPInstanceUID = f"1.2.3.{at}"
        dataset.PatientID, dataset.StudyDate = "4711", "20200131"
        (folder / f"IM{at:04}").write_bytes(as_file(dataset))
    settings = DicomSettings(frozenset({Option.RETAIN_LONGITUDINAL_MODIFIED_DATES}), home=tmp_path / "home")
    with Deidentifier(dicom=settings, workers=2) as deidentifier:
        assert deidentifier.run(tmp_path / "in" / "series" / "IM0003", tmp_path / "first.dcm").complete
    with Deidentifier(dicom=settings, workers=2) as deidentifier:
        report = deidentifier.run(tmp_path / "in", tmp_path / "out")
        again = deidentifier.run(tmp_path / "in", tmp_path / "out")
    outputs = [pydicom.dcmread(path) for path in [tmp_path / "first.dcm", *(tmp_path / "out").rglob("*.dcm")]]
    assert len(outputs) == 5
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "PatientID", "StudyDate"):
        assert len({str(getattr(dataset, keyword)) for dataset in outputs}) == 1
    assert len({dataset.SOPInstanceUID for dataset in outputs}) == 4
    assert outputs[0].StudyDate != "20200131"
    assert report.complete
    assert {one.outcome.value for one in again.files} == {"already done"}
    done = subprocess.run(
        ["dcmdump", "+E", *map(str, (tmp_path / "out").rglob("*.dcm"))], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_finish_makes_files_with_names_in_every_place() -> None:
    assert finish(base_object("US"), [], random.Random(0), ExplicitVRLittleEndian).fragments
