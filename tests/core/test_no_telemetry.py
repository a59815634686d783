"""No library that a device loads reports its use to anyone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

LOAD_THE_MODELS = """
from unseen_client.prepare import Preparer
with Preparer() as preparer:
    preparer.text("a cat")
    import onnxruntime
    assert "onnxruntime" in str(onnxruntime)
"""


def test_loading_models_starts_no_telemetry(tmp_path: Path) -> None:
    """onnxruntime's reporting begins with a session id in the temporary folder; none appears."""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", LOAD_THE_MODELS], env={**environment, "TMPDIR": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []
