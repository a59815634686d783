"""The public calls: as flows (``protocol``), and as the methods of both clients that drive these.

``aio`` is written by hand, ``blocking`` made of it by scripts/blocking_calls.py.
"""
