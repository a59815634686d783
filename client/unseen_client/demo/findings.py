"""What a run of the demo found out, what of it is a fault, and how it is written down. Stays on the device."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path

from unseen_client.demo.compare import Agreement
from unseen_client.demo.material import Query
from unseen_client.demo.secrets import ENROLLED_INT16
from unseen_client.demo.tables import Call, Sighting
from unseen_client.report import EnrolReport, Hit

WORST_MEDIAN_RANK = 3
MOST_SCORE_DIFFERENCE = 0.02
"""Ten standard deviations of the scheme's error: more than that is not error but a fault."""
HITS_WRITTEN = 10


@dataclass(frozen=True)
class Answer:
    """One query with what came of it."""

    query: Query
    hits: list[Hit]
    """Every row, best first."""
    rank: int
    """The best place of a right answer, 1 being first."""
    agreement: Agreement
    call: Call
    picture: bytes | None
    """The query picture as the model saw it, faces covered; None for words."""
    covered: int = 0
    """Faces, or what might be one, covered in the query picture."""


@dataclass
class Findings:
    """What the demo has learned so far."""

    fixed_answers: bool
    """Whether right answers were fixed beforehand: not for pictures of your own."""
    report: EnrolReport
    calls: list[Call] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    sightings: list[Sighting] = field(default_factory=list)
    covered: list[tuple[float, bytes]] = field(default_factory=list)
    """The photographs in which something was covered: how sure the detector was of a face, and the covered picture."""

    @property
    def median_rank(self) -> float:
        return statistics.median(answer.rank for answer in self.answers)

    def deviation_of(self, pictures: bool) -> float:
        """Standard deviation of the score error over picture queries, or over word queries."""
        chosen = [answer.agreement.deviation for answer in self.answers if (answer.picture is not None) == pictures]
        return math.sqrt(statistics.fmean(d**2 for d in chosen)) if chosen else 0.0

    @property
    def overlap(self) -> float:
        return statistics.fmean(answer.agreement.overlap for answer in self.answers)

    @property
    def largest_difference(self) -> float:
        return max(answer.agreement.largest_difference for answer in self.answers)

    def faults(self) -> list[str]:
        """Every promise that did not hold, in words."""
        found = [f"{seen.kind}: leaked" for seen in self.sightings if seen.leaked]
        control = [seen for seen in self.sightings if seen.kind == ENROLLED_INT16]
        if not any(seen.received == seen.pieces for seen in control):
            found.append("the search for leaks is blind: it did not see the rows that were sent")
        if self.largest_difference > MOST_SCORE_DIFFERENCE:
            found.append(f"a score differs from plaintext by {self.largest_difference:.4f}")
        if self.fixed_answers and self.median_rank > WORST_MEDIAN_RANK:
            found.append(f"the median place of the right answers is {self.median_rank:g}, above {WORST_MEDIAN_RANK}")
        if self.fixed_answers and self.report.refused:
            found.append(f"{len(self.report.refused)} of the demo's own photographs were refused")
        return found

    def write(self, path: Path) -> None:
        """Everything as JSON, without pictures."""
        content = {
            "enrolled": self.report.enrolled,
            "refused": [asdict(refusal) for refusal in self.report.refused],
            "faces_covered": self.report.faces_covered,
            "median_rank": self.median_rank,
            "agreement": {
                "overlap_at_10": self.overlap,
                "largest_score_difference": self.largest_difference,
                "score_error_std_pictures": self.deviation_of(pictures=True),
                "score_error_std_words": self.deviation_of(pictures=False),
            },
            "queries": [_answer(answer) for answer in self.answers],
            "calls": [_call(call) for call in self.calls],
            "seen": [asdict(seen) for seen in self.sightings],
            "faults": self.faults(),
        }
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _answer(answer: Answer) -> dict[str, object]:
    return {
        "query": answer.query.text or str(answer.query.picture and answer.query.picture.name),
        "kind": "words" if answer.query.picture is None else "picture",
        "how": answer.query.how,
        "expected": answer.query.expected,
        "rank": answer.rank,
        "hits": [{"id": hit.id, "score": round(hit.score, 5)} for hit in answer.hits[:HITS_WRITTEN]],
        "agreement": asdict(answer.agreement),
        **_call(answer.call),
    }


def _call(call: Call) -> dict[str, object]:
    return {
        "call": call.name,
        "bytes_up": call.traffic.up,
        "bytes_down": call.traffic.down,
        "seconds": round(call.seconds, 4),
    }
