"""The card of an adapter: what it was taught with, what it tells of that, and what it is good for. Public.

It travels inside the adapter's file, so that the hash that names the model covers it, and as a page beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from unseen.errors import IntegrityError
from unseen.json_text import read_json
from unseen_client.adapt.plan import Plan
from unseen_client.adapt.task import Lesson

if TYPE_CHECKING:
    from unseen_client.adapt.course import Outcome

FORMAT = "unseen-adapter-card-1"
HARDENING_ABOVE = 8.0
"""An epsilon above it is not called private."""
UNIT = "one image with its label or caption"
NEIGHBOURING = "add or remove one"
MEASURES = {
    Lesson.LABELS: "part of held-out images whose own label is the nearest of all labels",
    Lesson.CAPTIONS: "part of public texts that are farther from a held-out image than its own caption, on average",
}
NOISE_SOURCE = (
    "exactly normal deviates (Karney, 2016) from AES-256 in counter mode under fresh keys of the operating system, "
    "added to integer sums of cut and rounded gradients; images drawn by coins from the same source. Opacus's secure "
    "mode is not used: the package that it needs is not available any more"
)


def card_fields(lesson: Lesson, about: str, names: tuple[str, ...], plan: Plan, outcome: Outcome) -> dict[str, object]:
    """Everything that is said of an adapter, as JSON has it."""
    return {
        "format": FORMAT,
        "about": about,
        "lesson": str(lesson),
        "labels": list(names),
        "images": {"learned_from": plan.learned_from, "held_out": plan.held_out},
        "privacy": {
            "unit": UNIT,
            "neighbouring": NEIGHBOURING,
            "epsilon": plan.epsilon,
            "delta": plan.delta,
            "accountant": f"privacy loss random variables, Opacus {version('opacus')}",
            "steps": plan.steps,
            "steps_begun": outcome.steps_counted,
            "sample_rate": plan.sample_rate,
            "noise_multiplier": plan.noise_multiplier,
            "clip_norm": plan.clip_norm,
            "held_out_releases": plan.evaluations,
            "held_out_deviation": plan.evaluation_deviation,
            "noise_source": NOISE_SOURCE,
            "public": "the number of images, the labels, this card",
        },
        "utility": {
            "measure": MEASURES[lesson],
            "before": outcome.before,
            "after": outcome.after,
            "deviation_of_each": plan.mean_deviation,
        },
    }


def card_json(fields: Mapping[str, object]) -> str:
    """The card as it lies in the file: the same text for the same card."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"))


def read_card(text: str) -> dict[str, Any]:
    """A card from anywhere, with everything that ``card_page`` says of it; raises IntegrityError.

    It came with somebody else's file: what could steer a terminal is refused.
    """
    try:
        card = read_json(text)
        _page("", card)
        if card["format"] != FORMAT or not all(map(str.isprintable, _texts(card))):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise IntegrityError("this adapter's card cannot be read; fetch the file again, or ask who made it") from None
    return dict(card)


def card_page(model: str, text: str) -> str:
    """The card for people, as Markdown; raises IntegrityError for a text that is no card."""
    return _page(model, read_card(text))


def _texts(value: object) -> Iterator[str]:
    """Every text in a card."""
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _texts(one)
        case dict():
            for name, one in value.items():
                yield from (name, *_texts(one))


def _page(model: str, card: Mapping[str, Any]) -> str:
    privacy, utility, images = card["privacy"], card["utility"], card["images"]
    epsilon, delta = privacy["epsilon"], privacy["delta"]
    labels = f"\n\nLabels: {', '.join(card['labels'])}." if card["labels"] else ""
    called = (
        "By its epsilon this is noise hardening, not privacy."
        if epsilon > HARDENING_ABOVE
        else f"Whatever somebody sees in this file is at most exp({epsilon:g}) times as likely with any one image "
        "among the taught ones as without it, or the other way round, but for a chance of delta."
    )
    return f"""# {model}

{card["about"]}{labels}

Taught on {images["learned_from"]} images with their {card["lesson"]}, tried on {images["held_out"]} others.

## Privacy

({epsilon:g}, {delta:g})-differential privacy. Unit: {privacy["unit"]}; {privacy["neighbouring"]}. {called}
Several images of one person add up, and so does every other adapter that was taught on the same images.
Public, and not protected: {privacy["public"]}.

DP-SGD: {privacy["steps"]} steps were accounted for, {privacy["steps_begun"]} begun; sample rate
{privacy["sample_rate"]:g}, noise multiplier {privacy["noise_multiplier"]:.4f}, gradients cut at
{privacy["clip_norm"]:g}; {privacy["accountant"]}. The scores below are of images that were not learned from:
{privacy["held_out_releases"]} releases, with Gaussian noise of deviation {privacy["held_out_deviation"]:.3g} on their
sum, were accounted for under the same epsilon and delta.

Noise: {privacy["noise_source"]}.

## Utility

{utility["measure"]}: {utility["before"]:.3f} before, {utility["after"]:.3f} after. Each is off by about
{utility["deviation_of_each"]:.3f}, by the noise on it; the second is the best of several.
"""
