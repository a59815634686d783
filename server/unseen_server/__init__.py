"""Unseen's server: keeps sealed rows, answers encrypted queries. Holds no image, no model, no secret key, no SEAL."""
