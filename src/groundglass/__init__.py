"""A national registry of anonymised chest CT and the epidemic watch around it."""

__version__ = "0.1.0"
