"""Every command, by name. Each one's work is in a file of its own and loaded when it runs."""

from __future__ import annotations

import typer

from unseen_client.cli import (
    adapt,
    adapters,
    audit,
    backup,
    budget,
    collections,
    consent,
    deid,
    demo,
    describing,
    evaluate,
    exceptional,
    gateway,
    keys,
    medical,
    models,
    policy,
    rights,
    rows,
    sbom,
    search,
    serve,
    server_keys,
    status,
    tokens,
)

EPILOG = """\b
First steps:
  unseen serve --data ./index --master-key ./master.key &
  unseen create photos
  unseen enrol photos ~/Pictures
  unseen search photos --text "a dog on a beach"

\b
Exit codes:
  0 done                          4 done in part, some images refused
  1 failed                        5 no such collection or row
  2 wrong command or value        6 record key missing, or wrong passphrase
  3 server did not answer         7 not let in: another token is needed
  8 the policy does not allow it  130 interrupted
"""

app = typer.Typer(
    name="unseen",
    help="Image search in which the server answers without seeing.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.command("serve", context_settings=serve.CONTEXT_SETTINGS)(serve.serve)
app.command("server-keys", context_settings=serve.CONTEXT_SETTINGS)(server_keys.server_keys)
app.command("backup")(backup.backup)
app.command("restore", context_settings=serve.CONTEXT_SETTINGS)(backup.restore)
app.command("doctor", context_settings=serve.CONTEXT_SETTINGS)(backup.doctor)
app.command("create")(collections.create)
app.command("enrol")(rows.enrol)
app.command("enrol-dicom")(medical.enrol_dicom)
app.add_typer(gateway.app, name="gateway")
app.command("search")(search.search)
app.command("tag")(describing.tag)
app.command("ask")(describing.ask)
app.command("deid")(deid.deid)
app.command("list")(rows.list_rows)
app.command("erase")(rows.erase)
app.command("pack")(rows.pack)
app.command("reveal")(medical.reveal)
app.command("reveal-grant")(medical.grant_reveal)
app.command("collections")(collections.show)
app.command("delete")(collections.delete)
app.command("info")(collections.info)
app.command("budget")(budget.budget)
app.command("eval")(evaluate.evaluate)
app.command("adapt")(adapt.adapt)
app.add_typer(adapters.app, name="adapters")
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")
app.add_typer(policy.app, name="policy")
app.add_typer(consent.app, name="consent")
app.add_typer(rights.subjects, name="subject")
app.add_typer(rights.certificates, name="certificate")
app.add_typer(exceptional.holds, name="hold")
app.add_typer(exceptional.emergencies, name="emergency")
app.add_typer(tokens.app, name="tokens")
app.add_typer(audit.app, name="audit")
app.command("status")(status.status)
app.command("sbom")(sbom.sbom)
app.command("demo", context_settings=demo.CONTEXT_SETTINGS)(demo.demo)
