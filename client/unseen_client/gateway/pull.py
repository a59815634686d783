"""Studies fetched from a PACS by DICOMweb, into the queue: QIDO-RS names them, WADO-RS gives them (PS3.18 10.4, 10.6).

Runs at the edge of the site. An object is fetched for itself and goes into the queue as the bytes that came; of the
answers only the JSON of the query is parsed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from dicomweb_client.api import DICOMwebClient

from unseen.errors import InvalidConfiguration, InvalidInput, ServerUnavailable
from unseen_client.deid.dicom_file import LARGEST_FILE_BYTES
from unseen_client.deid.kinds import Kind, kind_of
from unseen_client.dicom.uid import is_uid
from unseen_client.gateway.stow import parts_of
from unseen_client.transport import is_loopback

STUDY, SERIES, INSTANCE = "0020000D", "0020000E", "00080018"
ACCEPTED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""As it is stored: nothing is decoded on the way for us."""
PAGE = 100
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Pacs:
    """A DICOMweb server of this site, and how to reach it; InvalidConfiguration."""

    url: str
    token_file: Path | None = None
    authority: Path | None = None
    insecure_no_tls: bool = False

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or any(map(str.isspace, self.url)):
            raise InvalidConfiguration(f"got the PACS address {self.url!r}, expected https://HOST/PATH")
        if parts.scheme == "http" and not self.insecure_no_tls and not is_loopback(f"{parts.hostname}:80"):
            raise InvalidConfiguration(
                "without TLS everybody on the way sees the studies; give an https address, or --insecure-pacs where "
                "the network is trusted"
            )

    def session(self) -> requests.Session:
        """Connections to it; InvalidConfiguration."""
        session = requests.Session()
        session.trust_env = False  # no proxies, no passwords of ~/.netrc
        session.max_redirects = 0  # studies are asked for at this address, and at none that an answer names
        if self.authority is not None:
            session.verify = str(self.authority)
        if self.token_file is not None:
            try:
                session.headers["Authorization"] = f"Bearer {self.token_file.read_text().strip()}"
            except OSError as error:
                raise InvalidConfiguration(f"cannot read {self.token_file}: {error.strerror}") from error
        return session


@dataclass(frozen=True)
class Pulled:
    """What became of a pull."""

    studies: int
    objects: int
    """In the queue now."""
    failed: int
    """Objects that the PACS named and did not give."""


def pull_studies(pacs: Pacs, query: Sequence[str], most: int, put: Callable[[bytes, str], object]) -> Pulled:
    """Fetch the studies that a query names, at most ``most``.

    Raises InvalidInput, InvalidConfiguration, ServerUnavailable, StoreFailed.
    """
    filters, base = _filters(query), pacs.url.rstrip("/")
    studies = objects = failed = 0
    sender = f"the PACS {urlsplit(pacs.url).hostname}"
    with pacs.session() as session:
        client = DICOMwebClient(base, session=session, timeout=TIMEOUT_S)
        client.set_http_retry_params(retry=True, max_attempts=3, wait_exponential_multiplier=200)
        try:
            for study in _studies(client, filters, most):
                studies += 1
                for url in _instances(client, base, study):
                    data = _fetched(session, url)
                    if data is None:
                        failed += 1
                    else:
                        put(data, sender)
                        objects += 1
        except requests.TooManyRedirects as error:
            raise InvalidConfiguration(
                f"the PACS sends us on to another address, where nothing is asked, after {objects} objects; they wait. "
                "Give the address that it answers at, and run it again"
            ) from error
        except requests.RequestException as error:
            raise ServerUnavailable(
                f"the PACS did not answer ({type(error).__name__}) after {objects} objects; they wait, run it again"
            ) from error
    return Pulled(studies, objects, failed)


def _filters(query: Sequence[str]) -> dict[str, str]:
    filters = {}
    for one in query:
        key, sign, value = one.partition("=")
        if not sign or not key.isalnum() or not value:
            raise InvalidInput(f"got {one!r}, expected KEY=VALUE with an attribute's keyword or tag")
        filters[key] = value
    return filters


def _studies(client: Any, filters: dict[str, str], most: int) -> Iterator[str]:
    """UIDs of studies, at most so many."""

    def page(at: int) -> Any:
        return client.search_for_studies(search_filters=filters, limit=min(PAGE, most), offset=at)

    return islice(_each(page, lambda one: _value(one, STUDY)), most)


def _instances(client: Any, base: str, study: str) -> Iterator[str]:
    """Where the PACS has each instance of a study."""

    def page(at: int) -> Any:
        return client.search_for_instances(study_instance_uid=study, offset=at)

    def place(one: Any) -> str:
        series, instance = _value(one, SERIES), _value(one, INSTANCE)
        return f"{base}/studies/{study}/series/{series}/instances/{instance}" if series and instance else ""

    return _each(page, place)


def _each(page: Callable[[int], Any], name: Callable[[Any], str]) -> Iterator[str]:
    """What a query names, each once, page after page until one says nothing new.

    dicomweb-client would go on until a page is empty, which a PACS that does not know of offsets never gives.
    """
    seen: set[str] = set()
    at = 0
    while True:
        records = page(at)
        named = map(name, records) if isinstance(records, list) else ()
        new = [one for one in dict.fromkeys(named) if one and one not in seen]
        if not new:
            return
        at += len(records)
        seen.update(new)
        yield from new


def _fetched(session: requests.Session, url: str) -> bytes | None:
    """One object as the bytes that came; None where the PACS gives none.

    dicomweb-client would parse it here and write it anew.
    """
    with session.get(url, headers={"Accept": ACCEPTED}, timeout=TIMEOUT_S, stream=True) as answer:
        if answer.status_code != requests.codes.ok:
            return None
        body = bytearray()
        for piece in answer.iter_content(1 << 20):
            body += piece
            if len(body) > LARGEST_FILE_BYTES:
                return None
    try:
        parts = parts_of(answer.headers.get("Content-Type", ""), bytes(body))
    except InvalidInput:
        return None
    data = bytes(parts[0]) if len(parts) == 1 else b""
    return data if kind_of(data) is Kind.DICOM else None


def _value(attributes: Any, tag: str) -> str:
    """A UID of DICOM JSON (PS3.18 annex F); empty for what is none, for it becomes part of an address."""
    try:
        value = attributes[tag]["Value"][0]
    except (KeyError, IndexError, TypeError):
        return ""
    return value if isinstance(value, str) and is_uid(value) else ""
