"""Unseen: the ideas shared by the device and the server. No network, no clock, no global state."""
