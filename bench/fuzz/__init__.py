"""Fuzzing of every parser: with atheris for coverage in ``make fuzz``, with a plain seeded mutator in ``make test``."""
