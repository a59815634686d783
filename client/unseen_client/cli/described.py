"""Files that a command line names, and what a JSON file says of each. Read on the device; nothing of it leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from unseen.errors import InvalidInput
from unseen.json_text import read_json

if TYPE_CHECKING:
    from unseen_client.records import Record

TEXT_FIELDS = ("id", "name", "caption", "link")


def image_files(paths: Sequence[Path]) -> list[Path]:
    """Files as named; from folders every image, at any depth, in order."""
    from unseen_client.bring.sources import IMAGE_SUFFIXES, images_in

    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += images_in(path)
        else:
            found.append(path)
    if not found:
        raise InvalidInput(f"no images in {', '.join(map(str, paths))}; looked for {', '.join(sorted(IMAGE_SUFFIXES))}")
    return found


def described_files(files: Sequence[Path], tags: Sequence[str], records: Path | None) -> list[Record]:
    """One record per file, from the JSON file and the tags given for all."""
    described = read_records(records) if records else {}
    return [
        described_file(described.get(str(file), described.get(file.name, {})), tags, str(records)) for file in files
    ]


def described_file(fields: dict[str, object], tags: Sequence[str], source: str) -> Record:
    """One record from its JSON fields; raises InvalidInput for a field that records do not have."""
    from unseen_client.records import Record

    own_id, name, caption, link = (str(fields.get(key, "")) for key in TEXT_FIELDS)
    own_tags, extra = fields.get("tags", []), fields.get("extra", {})
    if set(fields) - {*TEXT_FIELDS, "tags", "extra"} or not isinstance(own_tags, list) or not isinstance(extra, dict):
        raise InvalidInput(
            f"{source}: a record may have {', '.join(TEXT_FIELDS)}, a list of tags, and an object of extra fields; "
            f"got {', '.join(fields)}"
        )
    all_tags = (*map(str, own_tags), *tags)
    all_extra = {str(key): str(value) for key, value in extra.items()}
    return Record(id=own_id, name=name, caption=caption, link=link, tags=all_tags, extra=all_extra)


def read_records(path: Path) -> dict[str, dict[str, object]]:
    """A JSON object of records' fields by path, file name or id; raises InvalidInput."""
    try:
        described = read_json(read_text(path))
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: {error}") from error
    if isinstance(described, dict) and all(isinstance(fields, dict) for fields in described.values()):
        return described
    raise InvalidInput(f'{path} needs one JSON object: {{"beach.jpg": {{"caption": "..."}}}}')


def read_text(path: Path) -> str:
    """A text file; raises InvalidInput."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot read {path} as text; give a UTF-8 file") from error
