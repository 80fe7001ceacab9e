"""The version of this package. It is the library's: `python/build-wheel` refuses to build when the two differ."""

__version__ = "0.1.0"
