"""Makes the calls of ``Client`` of those of ``AsyncClient``: the same methods, types and words, without waiting.

    python scripts/blocking_calls.py            # writes client/unseen_client/calls/blocking
    python scripts/blocking_calls.py --check    # says whether it is as it would be written; exit code 1 if not

Nothing is made at run time, so editors and type checkers see both. Needs ruff, as `make format` does.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CALLS = ROOT / "client/unseen_client/calls"
WORDS = (
    (r"\basync def\b", "def"),
    (r"\bawait ", ""),
    (r"\bcalls\.aio\b", "calls.blocking"),
    (r"Async(?=Client\b|Calls\b)", ""),
)
SORT_IMPORTS, FORMAT = ("check", "--select", "I", "--fix-only", "--quiet"), ("format",)
QUOTES = '"""'
MADE = "Made of calls/aio by scripts/blocking_calls.py: change that and run it."


def main() -> None:
    """Write every file, or with --check name those that differ."""
    wanted = {CALLS / "blocking" / path.name: blocking(path) for path in sorted((CALLS / "aio").glob("*.py"))}
    others = set((CALLS / "blocking").glob("*.py")) - set(wanted)
    differ = sorted(others | {path for path, text in wanted.items() if not path.exists() or path.read_text() != text})
    if "--check" in sys.argv[1:]:
        sys.exit("\n".join(f"{path.relative_to(ROOT)}: run scripts/blocking_calls.py" for path in differ) or 0)
    for path in others:
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text)


def blocking(path: Path) -> str:
    """The text of a file of calls for asyncio, as that of the blocking ones."""
    text = path.read_text()
    for pattern, word in WORDS:
        text = re.sub(pattern, word, text)
    if text:
        first, rest = text.split("\n", 1)
        text = f"{first.removesuffix(QUOTES)}\n\n{MADE}\n{QUOTES}\n{rest}"
    for work in SORT_IMPORTS, FORMAT:
        command = [sys.executable, "-m", "ruff", *work, "--stdin-filename", str(CALLS / "blocking" / path.name), "-"]
        text = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout
    return text


if __name__ == "__main__":
    main()
