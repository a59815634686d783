"""Names that no tag knows, by what stands at them: a title before, a degree behind, a line that says who signed.

A name that stands alone in a sentence follows no rule and is not found.
For the device only. Holds no text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from unseen.deid.words.known import PARTICLES
from unseen.deid.words.letters import Word, folded, words
from unseen.deid.words.lists import word_list
from unseen.deid.words.span import Category, Span

MOST_NAME_WORDS: Final = 5
_TITLE: Final = re.compile(
    r"\b(?:[Dd]rs?|DRS?|[Pp]rof|PROF|[Mm]rs|MRS|Mr|mr|Ms|Mx|Miss|Herrn?|HERR|Hr|Frau|FRAU|Mme|Mlle|Dott(?:ssa|\.ssa)?|Sig(?:ra|\.ra)?|"
    r"Srta|Sra|Dhr|Mevr|(?:[Dd]octor|[Dd]oktor|[Dd]octeur|[Pp]rofess(?:or|eur)|Nurse|Sister|Schwester|Pfleger|Monsieur|"
    r"Madame|Señora?|Signora?|Doña)(?=\s[^\W\da-zß-öø-ÿ_]))\b\.?(?!\w)|\b(?:MR|MS|Sr|Fr|M)\.(?=\s?[^\W\da-zß-öø-ÿ_])"
)
"""MR and MS without a full stop are a scanner and a disease; so are 8 Fr and Sr no people."""
_BY: Final = re.compile(
    r"\b(?:signed(?:\selectronically|\soff)?|dictated|reported|read|reviewed|approved|verified|authenticated|interpreted|"
    r"transcribed|performed|authored|prepared|attested|finali[sz]ed|validated|requested|ordered|referred|seen|examined|"
    r"entered|typed|edited|countersigned|co-signed|cosigned)\s(?:electronically\s)?by\b[\s:]{0,3}|"
    r"\b(?:discussed|spoke|communicated|shared|reviewed)\swith\b[\s:]{0,3}|\b(?:telephoned|notified|paged|called|informed)\b[\s:]{1,3}"
    r"(?:to\s)?|\b(?:befundet|diktiert|unterschrieben|freigegeben|signiert|validiert|vidiert|erstellt|untersucht|besprochen)\s"
    r"(?:von|durch|mit)\b[\s:]{0,3}|\b(?:gez\.|gezeichnet)[\s:]{0,3}|\b(?:signé|dicté|validé|rédigé|lu)\spar\b[\s:]{0,3}|"
    r"\b(?:firmado|dictado|informado|validado)\spor\b[\s:]{0,3}|\b(?:firmato|refertato|dettato)\sda\b[\s:]{0,3}|"
    r"\b(?:getekend|gedicteerd)\sdoor\b[\s:]{0,3}",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(
    r"(?<![\w-])(?:(?:patient|pt|pat)(?:'?s)?\.?(?:\sname)?|(?:first|last|family|given|maiden|full)?\s?name|vorname|nachname|familienname|"
    r"(?:referring|ordering|requesting|attending|consulting|reading|primary\scare|interpreting|performing|responsible)?\s?"
    r"(?:physician|doctor|provider|radiologist|clinician|consultant|surgeon|practitioner|resident|fellow|registrar)(?:\(s\)|s)?|"
    r"attending|technologist|technician|radiographer|sonographer|operator|author|dictator|transcriptionist|transcriber|signature|signed|"
    r"electronically\ssigned|cc|copies\sto|copy\sto|to|dear|next\sof\skin|"
    r"patientin|arzt|ärztin|überweiser|zuweiser|einsender|radiologe|radiologin|mtra|untersucher|befunder|unterschrift|"
    r"nom|prénom|médecin|radiologue|paciente|nombre|apellidos|médico|paziente|cognome|nome|medico|naam|arts|patiënt)"
    r"\s?[:=][ \t]*",
    re.IGNORECASE,
)
_DEGREE: Final = re.compile(
    r"\b(?:M\.\s?D\.|MD|Ph\.?\s?D\.?|D\.\s?O\.|DO|FRCR|FRCPC?|FRCS|FRANZCR|FACR|FFR|MRCP|MBBS|MBChB|MB\sBCh|BMBS|R\.?N\.?|RT\(R\)|PA-C|NP)(?!\w)"
)
_NO_NAME: Final = word_list("no_name")
"""Words of sentences that may stand where a name does."""
_IN_NAME: Final = re.compile(r"\.?[ \t]{0,3}\n?[ \t]{0,3}['-]?[ \t]{0,2}")
_IN_LINE: Final = re.compile(r"[.,]{0,2}[ \t]{0,3}['-]?[ \t]{0,2}")
_BEFORE_DEGREE: Final = re.compile(r"\.?,?[ \t]{1,3}")
_SHORT_FORMS: Final = word_list("short_forms")
"""Behind these a full stop ends no sentence."""


def spans(text: str) -> Iterator[Span]:
    """Where a normalised text names people by these rules; they may overlap."""
    whole = words(text)
    at_start = {word.start: at for at, word in enumerate(whole)}
    starts = sorted(at_start)
    for form, gap, strict in ((_TITLE, _IN_NAME, False), (_BY, _IN_LINE, True), (_LABEL, _IN_LINE, False)):
        for hit in form.finditer(text):
            first = _next(starts, hit.end())
            if first is not None and text[hit.end() : first].strip(" \t\n'([,.-") == "":
                yield from _name_from(text, whole, at_start[first], gap, strict)
    for hit in _DEGREE.finditer(text):
        if hit.start() in at_start:
            yield from _name_before(text, whole, at_start[hit.start()])


def _next(starts: Sequence[int], at: int) -> int | None:
    """The first of sorted starts that is not before a place."""
    found = bisect_left(starts, at)
    return starts[found] if found < len(starts) else None


def _name_from(text: str, whole: Sequence[Word], first: int, gap: re.Pattern[str], strict: bool) -> Iterator[Span]:
    """The name that begins with a word: that word, and what goes on like a name.

    strict: a small word of sentences is no name; where a title stands before it, whatever it is.
    """
    if not whole[first].text[0].isalpha() or (strict and whole[first].text.casefold() in _NO_NAME):
        return
    last = first
    while last + 1 < len(whole) and last + 1 - first < MOST_NAME_WORDS:
        here, following = whole[last], whole[last + 1]
        between = text[here.stop : following.start]
        ends = between.startswith(".") and len(here.text) > 1 and here.text.casefold() not in _SHORT_FORMS
        is_heading = "\n" in between and text.startswith(":", following.stop)
        if ends or is_heading or not gap.fullmatch(between):
            break
        in_small_letters = gap is _IN_LINE and here.text.islower() and following.text.casefold() not in _NO_NAME
        if not _is_part(following) and not in_small_letters:
            break
        last += 1
    yield Span(whole[first].start, whole[last].stop, Category.NAME)


def _name_before(text: str, whole: Sequence[Word], degree: int) -> Iterator[Span]:
    """The name that stands before a degree."""
    first = degree
    while first and degree - first < MOST_NAME_WORDS - 1:
        before = whole[first - 1]
        if not _BEFORE_DEGREE.fullmatch(text, before.stop, whole[first].start) or not _is_part(before):
            break
        first -= 1
    if first < degree:
        yield Span(whole[first].start, whole[degree].start, Category.NAME)


def _is_part(word: Word) -> bool:
    """Whether a word looks like a part of a name: a capital, a particle, or a script that has no capitals."""
    first = word.text[0]
    return first.isupper() or folded(word.text) in PARTICLES or (first.isalpha() and first.lower() == first.upper())
