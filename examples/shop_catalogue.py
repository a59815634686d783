"""A shop's catalogue: products with prices and texts, found by a customer's picture, which no server sees.

Photographs of clothes from Fashion-MNIST (MIT): Debian's package dataset-fashion-mnist, `make system` installs it.
"""

import csv
import gzip
import os
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from unseen_client import Client, Query

SERVER = os.environ.get("UNSEEN_SERVER", "127.0.0.1:7443")
DATA = Path("/usr/share/datasets/fashion-mnist")
KINDS = {1: "trousers", 8: "bag", 9: "ankle boot"}
EACH, ASKED = 4, 1
SIDE_PX = 112

if not DATA.exists():
    raise SystemExit("this example needs Debian's package dataset-fashion-mnist: make system")


def read(name: str, header_bytes: int) -> np.ndarray:
    with gzip.open(DATA / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header_bytes)


def write_products(folder: Path) -> list[tuple[str, str]]:
    """A picture for each product: the first ones are the catalogue's, the last the customers'. Gives name and kind."""
    labels = read("t10k-labels-idx1-ubyte.gz", 8)
    pixels = read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    products = []
    for label, kind in KINDS.items():
        for at in np.flatnonzero(labels == label)[: EACH + ASKED].tolist():
            Image.fromarray(pixels[at]).resize((SIDE_PX, SIDE_PX)).save(folder / f"{at}.png")
            products.append((f"{at}.png", kind))
    return products


def is_catalogue(at: int) -> bool:
    return at % (EACH + ASKED) < EACH


with tempfile.TemporaryDirectory() as name, Client(SERVER) as client:
    folder = Path(name)
    products = write_products(folder)
    with (folder / "products.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "price", "text", "id"])
        for at, (path, kind) in enumerate(products):
            if is_catalogue(at):
                table.writerow([path, kind, 10 + at, "", ""])
        table.writerow(["", "care", "", "Leather boots should be waxed before winter.", "care-boots"])

    client.create_collection("example-shop")
    report = client.enrol_from("example-shop", folder / "products.csv")
    assert report.enrolled == EACH * len(KINDS) + 1, report

    right, asked = 0, [one for at, one in enumerate(products) if not is_catalogue(at)]
    for path, kind in asked:
        hits = client.search("example-shop", Query.picture(folder / path), where="kind != text", top_k=3, rerank=True)
        right += sum(hit.record.extra["label"] == kind for hit in hits)
    precision = right / (3 * len(asked))
    print(f"of the three best products for a customer's picture {precision:.0%} are of its kind; by chance 33 %")
    assert precision > 0.5

    cheap = client.search("example-shop", Query.picture(folder / asked[0][0]), where=["label = bag", "price < 25"])
    assert {hit.record.extra["label"] for hit in cheap} == {"bag"}
    assert all(int(hit.record.extra["price"]) < 25 for hit in cheap)
    assert client.search("example-shop", Query.words("how to care for boots"), top_k=1)[0].id == "care-boots"
    client.delete_collection("example-shop")
