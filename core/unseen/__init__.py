"""Unseen: the ideas shared by the device and the server. No network, no clock, no global state."""

import os

# onnxruntime's Linux wheels report their use to its maker from the moment they are imported: a session id in the
# temporary folder and a connection out. Asked to stop later, they have begun. So it is said here, before any import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
