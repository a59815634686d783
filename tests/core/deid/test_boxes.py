from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from unseen.deid.boxes import LARGEST_OVERLAP, turned_back, without_doubles

Boxes = npt.NDArray[np.float64]


@given(turn=st.integers(0, 3), width=st.integers(1, 30), height=st.integers(1, 30), data=st.data())
def test_boxes_turn_back_like_pixels(turn: int, width: int, height: int, data: st.DataObject) -> None:
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    right, bottom = data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height))
    picture = np.zeros((height, width), bool)
    picture[top:bottom, left:right] = True
    turned = np.rot90(picture, turn)
    rows, columns = np.nonzero(turned)
    seen = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], float)
    back = turned_back(seen, turn, turned.shape[1], turned.shape[0])
    assert back.tolist() == [[left, top, right, bottom]]


def plain_without_doubles(boxes: Boxes, scores: Boxes) -> list[list[float]]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda index: -scores[index]):
        for j in kept:
            width = max(0.0, min(boxes[i][2], boxes[j][2]) - max(boxes[i][0], boxes[j][0]))
            height = max(0.0, min(boxes[i][3], boxes[j][3]) - max(boxes[i][1], boxes[j][1]))
            areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (boxes[i], boxes[j])]
            if width * height / (sum(areas) - width * height) >= LARGEST_OVERLAP:
                break
        else:
            kept.append(i)
    return [list(boxes[i]) for i in kept]


@settings(max_examples=60)
@given(st.lists(st.tuples(*[st.integers(0, 40)] * 2, *[st.integers(1, 30)] * 2), max_size=14))
def test_doubles_are_weeded_out_like_the_plain_way(places: list[tuple[int, ...]]) -> None:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in places], float).reshape(-1, 4)
    scores = np.linspace(1, 0.2, len(boxes))[::-1].copy()
    assert boxes[without_doubles(boxes, scores)].tolist() == plain_without_doubles(boxes, scores)
