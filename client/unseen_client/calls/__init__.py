"""The calls of both clients: ``aio`` is written by hand, ``blocking`` made of it by scripts/blocking_calls.py."""
