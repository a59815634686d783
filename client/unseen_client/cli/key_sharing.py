"""Commands that hand a collection's key to another device, and that take it away again by making a new one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from unseen_client.cli.link import Json, Link, linked
from unseen_client.cli.outcome import say, telling

Home = Annotated[Path | None, typer.Option(envvar="UNSEEN_HOME", help="Folder of record keys on this device.")]
Name = Annotated[str, typer.Argument(help="The collection's name, or its uid where names repeat.", show_default=False)]


def device(*, home: Home = None, as_json: Json = False) -> None:
    """Print this device's public key: whoever holds a collection's key can share it to that.

    \b
    Example:
      unseen keys device > alice.device
    """
    from unseen_client.home import default_home
    from unseen_client.keys.device_key import device_key
    from unseen_client.keys.vault import Vault

    with telling(as_json):
        where = home or default_home()
        public = device_key(where, Vault(where)).public
        say(as_json, {"public_key": public.text, "fingerprint": public.fingerprint}, public.text)


def share(
    *,
    name: Name,
    file: Annotated[
        Path | None, typer.Argument(help="A new file for it; by default NAME-DEVICE.unseen-shared.")
    ] = None,
    to: Annotated[str, typer.Option("--to", help="The other device's public key, or a file with it.")],
    label: Annotated[str, typer.Option("--as", help="Whose device it is, for your own list.")] = "",
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Wrap a collection's key to one other device. The file may travel in the open.

    Whoever has that device reads and changes the collection as you do. Compare the device's fingerprint with them
    before, and the key's id after: the file does not prove who made it.

    \b
    Example:
      unseen keys share photos --to alice.device --as Alice
    """
    from unseen_client.home import default_home, write_new_private
    from unseen_client.keys.device_key import DevicePublicKey
    from unseen_client.keys.given_keys import GivenKeys
    from unseen_client.keys.keystore import KeyStore
    from unseen_client.keys.shared_key import share_key

    with telling(as_json):
        where, public = home or default_home(), DevicePublicKey.parse(to)
        store = KeyStore(where)
        key = store.named(name)
        path = file or Path(Path(f"{key.name}-{public.fingerprint}.unseen-shared").name)  # a name may say a folder
        write_new_private(path, share_key(key, public))
        GivenKeys(where, store.vault).note(key, "device", public.fingerprint, label, time.time())
        fields: dict[str, object] = {
            "shared": key.name,
            "key_id": key.key_id,
            "device": public.fingerprint,
            "file": str(path),
        }
        words = (
            f"{path} holds key {key.key_id} of {key.name} for device {public.fingerprint}; there: unseen keys accept"
        )
        say(as_json, fields, words)


def accept(
    *,
    file: Annotated[Path, typer.Argument(help="A file that `unseen keys share` wrote for this device.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take in a key that was shared to this device. Compare its id with whoever sent it.

    \b
    Example:
      unseen keys accept photos-0123456789abcdef.unseen-shared
    """
    from unseen_client.home import default_home
    from unseen_client.keys.device_key import device_key
    from unseen_client.keys.keystore import KeyStore
    from unseen_client.keys.shared_key import accept_key

    with telling(as_json):
        where = home or default_home()
        store = KeyStore(where)
        key = accept_key(file, device_key(where, store.vault))
        store.put(key)
        fields: dict[str, object] = {
            "accepted": key.name,
            "collection_uid": key.collection_uid.hex(),
            "key_id": key.key_id,
        }
        say(as_json, fields, f"this device can now read {key.name}: key {key.key_id}, compare it with who sent it")


@linked
def rotate(
    *, name: Annotated[str, typer.Argument(help="The collection's name.", show_default=False)], link: Link
) -> None:
    """Give an owner-encrypted collection new keys: whoever has the old ones reads nothing that is there from then on.

    The rows go through this device and are encrypted anew, beside the old ones, which are searched until then and
    destroyed at the end. Run it again after a stop: it goes on. Other devices need the new key: unseen keys share.

    \b
    Example:
      unseen keys rotate secret
    """
    with link.client() as client:
        rows = client.rotate_keys(name, progress=not link.json)
    say(
        link.json,
        {"rotated": name, "rows": rows},
        f"{name} has new keys, its {rows} rows are under them, and the old ones open nothing there any more. Share the "
        "new key with who may have it, and make a new export",
    )
