"""Hostile messages to a real server: right ones with one or a few things broken, for every method of the contract."""
