"""The gateway's commands: run it, see what it refused, pull studies from a PACS."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unseen.errors import InvalidConfiguration
from unseen_client.cli.basis_options import BasisOptions
from unseen_client.cli.collections import Name
from unseen_client.cli.link import Home, Json, Link, linked
from unseen_client.cli.outcome import PARTLY, say, telling
from unseen_client.cli.spread import spread

if TYPE_CHECKING:
    from unseen_client.gateway.gateway import GatewaySettings

app = typer.Typer(
    help="A DICOM node beside a PACS that enrols what it is sent.", no_args_is_help=True, rich_markup_mode=None
)
QueueFolder = Annotated[
    Path | None,
    typer.Option(
        "--queue", help="Folder of the queue, on another disk than the keys; `gateway` beside them if left out."
    ),
]


@dataclass(frozen=True)
class NodeOptions:
    """The DICOM node."""

    sender: Annotated[
        list[str] | None, typer.Option(help="Application entity title of who may send, one at least; may be repeated.")
    ] = None
    title: Annotated[str, typer.Option(help="Application entity title of this node.")] = "UNSEEN"
    listen: Annotated[str, typer.Option(help="HOST:PORT to take DICOM associations on.")] = "127.0.0.1:11112"
    dicom_cert: Annotated[Path | None, typer.Option(help="PEM file of this node's certificate.")] = None
    dicom_key: Annotated[Path | None, typer.Option(help="PEM file of the certificate's key.")] = None
    dicom_ca: Annotated[Path | None, typer.Option(help="PEM file of who signed the senders' certificates.")] = None
    insecure_dicom: Annotated[bool, typer.Option(help="Take DICOM from other machines in the clear.")] = False
    associations: Annotated[int, typer.Option(help="Most at once.")] = 8
    largest_mib: Annotated[int, typer.Option(help="Largest object, in MiB.")] = 128
    queue_gib: Annotated[float, typer.Option(help="Most that waits or is in quarantine; more is not accepted.")] = 20.0
    quarantine_days: Annotated[float, typer.Option(help="What was refused is destroyed after so many days.")] = 90.0
    quarantine_gib: Annotated[
        float,
        typer.Option(help="Most that is in quarantine, half of the queue at most; the oldest is destroyed first."),
    ] = 5.0
    rest_port: Annotated[int, typer.Option(help="Port of 127.0.0.1 for other programs of this machine.")] = 11180
    frames: Annotated[int, typer.Option(min=0, help="Most frames of one object that become rows; 0 for all.")] = 8
    text: Annotated[str, typer.Option(help="Cover burned-in text in risky objects, or always.")] = "risky"


@app.command("run")
@spread(basis=BasisOptions, node=NodeOptions)
@linked
def run(
    *,
    name: Name,
    queue: QueueFolder = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag for every row; may be repeated.")] = None,
    node: NodeOptions,
    basis: BasisOptions,
    link: Link,
) -> None:
    """Take objects by C-STORE, and enrol them, until ended.

    An object is accepted once it is on the disk, sealed. Then it is de-identified, embedded and enrolled as by
    enrol-dicom, every slice for itself. While the server is away objects wait; when the queue is full senders are told
    to come again (A700). What is refused goes into quarantine with the reason.

    Programs of this machine ask http://127.0.0.1:11180 for /health, /metrics, /similar and post to /studies, with the
    token of the file gateway-token in the folder of keys. Not a medical device: docs/medical.md.

    \b
    Examples:
      unseen gateway run scans --sender PACS
      unseen gateway run scans --sender PACS --listen 10.0.0.5:2762 \\
          --dicom-cert node.pem --dicom-key node.key --dicom-ca senders.pem --queue /var/lib/unseen-queue
    """
    import signal
    import threading

    from unseen_client.gateway.gateway import run as run_gateway

    settings = _settings(node, basis, link, queue, tag)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def ready(dicom_port: int, rest_port: int) -> None:
        fields: dict[str, object] = {"dicom_port": dicom_port, "rest_port": rest_port, "queue": str(settings.folder)}
        say(link.json, fields, f"listening on {settings.node.host}:{dicom_port}, REST on 127.0.0.1:{rest_port}")

    with link.client() as client:
        run_gateway(client, name, settings, stop, ready)


def _settings(
    node: NodeOptions, basis: BasisOptions, link: Link, queue: Path | None, tag: list[str] | None
) -> GatewaySettings:
    from unseen_client.gateway.gateway import GatewaySettings
    from unseen_client.gateway.node_settings import NodeSettings
    from unseen_client.gateway.quarantine import Bounds
    from unseen_client.gateway.queue import require_size
    from unseen_client.home import default_home

    host, _, port = node.listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()):
        raise typer.BadParameter(f"got {node.listen!r}, expected HOST:PORT", param_hint="--listen")
    if node.text not in {"risky", "always"}:
        raise typer.BadParameter(f"got {node.text!r}, expected risky or always", param_hint="--text")
    return GatewaySettings(
        NodeSettings(
            title=node.title,
            host=host.strip("[]"),
            port=int(port),
            senders=tuple(node.sender or ()),
            certificate=str(node.dicom_cert or ""),
            key=str(node.dicom_key or ""),
            authority=str(node.dicom_ca or ""),
            insecure_no_tls=node.insecure_dicom,
            associations=node.associations,
            largest_mib=node.largest_mib,
        ),
        home=link.home or default_home(),
        queue=queue,
        queue_bytes=require_size(node.queue_gib),
        quarantine=Bounds(node.quarantine_days, require_size(node.quarantine_gib, "quarantine")),
        rest_port=node.rest_port,
        text=node.text,
        frames=node.frames,
        tags=tuple(tag or ()),
        subject=basis.subject,
        consent=basis.consent,
        purpose=tuple(basis.purpose or ()),
    )


@app.command("quarantine")
def quarantine(
    *,
    queue: QueueFolder = None,
    release: Annotated[list[str] | None, typer.Option(help="Let this object wait again; may be repeated.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Destroy this object; may be repeated.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """List what the gateway refused, with the reason; release or destroy some of it.

    Nothing is kept for ever: the oldest is destroyed after --quarantine-days and beyond --quarantine-gib of `unseen
    gateway run`.

    \b
    Examples:
      unseen gateway quarantine
      unseen gateway quarantine --release 01795731814933013400-0f2a9c7e5b1d8843
    """
    from datetime import UTC, datetime

    from unseen_client.gateway.gateway import QUEUE_NAME, open_queue
    from unseen_client.gateway.quarantine import DAY_S, Bounds
    from unseen_client.home import default_home

    def moment(at_s: float) -> str:
        return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")

    with telling(as_json):
        where = home or default_home()
        held = open_queue(where, queue or where / QUEUE_NAME)
        for name in release or ():
            held.release(name)
        for name in drop or ():
            held.drop(name)
        kept = Bounds.read(held.folder)
        found = [
            {
                "name": one.name,
                "sender": one.sender,
                "accepted": moment(one.accepted_at_s),
                "kept_until": moment(one.refused_at_s + kept.days * DAY_S),
                "size_bytes": one.size_bytes,
                "code": one.code,
                "reason": one.reason,
            }
            for one in held.refused()
        ]
        lines = [f"{one['name']}\t{one['accepted']}\t{one['sender']}\t{one['reason']}" for one in found]
        told = f"kept for {kept.days:g} days and up to {kept.most_bytes / (1 << 30):.3g} GiB, then destroyed"
        fields: dict[str, object] = {"refused": found, "kept_days": kept.days, "kept_bytes": kept.most_bytes}
        say(as_json, fields, "\n".join([*lines, told]) if lines else "nothing is in quarantine")


@app.command("pull")
def pull(
    *,
    pacs: Annotated[str, typer.Option(envvar="UNSEEN_PACS", metavar="URL", help="DICOMweb address of the PACS.")],
    query: Annotated[list[str], typer.Option(metavar="KEY=VALUE", help="Which studies (QIDO-RS); may be repeated.")],
    most: Annotated[int, typer.Option(min=1, help="Most studies of one call.")] = 100,
    pacs_token_file: Annotated[Path | None, typer.Option(help="File with a bearer token for the PACS.")] = None,
    pacs_ca: Annotated[Path | None, typer.Option(help="PEM file of who signed the PACS.")] = None,
    insecure_pacs: Annotated[bool, typer.Option(help="Talk to a PACS on another machine in the clear.")] = False,
    queue: QueueFolder = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Fetch studies from a PACS by DICOMweb (QIDO-RS, WADO-RS) into the gateway's queue.

    A gateway that runs enrols them; without one they wait. Asking twice changes nothing.

    \b
    Example:
      unseen gateway pull --pacs https://pacs.example/dicom-web --query StudyDate=20260101-20260131 \\
          --query ModalitiesInStudy=CT
    """
    from unseen_client.gateway.gateway import QUEUE_NAME, open_queue
    from unseen_client.gateway.node_process import NEEDS
    from unseen_client.home import default_home

    with telling(as_json):
        try:
            from unseen_client.gateway.pull import Pacs, pull_studies
        except ModuleNotFoundError as error:
            raise InvalidConfiguration(f"DICOMweb needs the package {error.name}: pip install {NEEDS}") from error
        where = home or default_home()
        source = Pacs(pacs, pacs_token_file, pacs_ca, insecure_pacs)
        report = pull_studies(source, query, most, open_queue(where, queue or where / QUEUE_NAME).put)
        fields: dict[str, object] = {"studies": report.studies, "objects": report.objects, "failed": report.failed}
        say(as_json, fields, f"{report.objects} objects of {report.studies} studies wait; {report.failed} not fetched")
        if report.failed:
            raise SystemExit(PARTLY)
