"""The adapter of LMCache with the mistake of the controls, for LMCache's server to load."""

import spoiled
from prefixstore.adapters.lmcache import PrefixStoreClient

__all__ = ["PrefixStoreClient"]

spoiled.spoil_blocks()
