"""How far an encrypted score may lie from the exact one."""

MOST_COSINE_ERROR = 0.015
"""Eight standard deviations of the default set (docs/parameters.md): thousands of scores in each run stay below it."""
