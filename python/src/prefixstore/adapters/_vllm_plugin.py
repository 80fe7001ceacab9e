"""Makes the names of this adapter known to vLLM, which calls `register` when it starts: see "Plugins" in its manual."""

from __future__ import annotations

import logging

# A name below "vllm": its settings for logs hold for this module too.
_logger = logging.getLogger("vllm.prefixstore")
_MODULE = "prefixstore.adapters.vllm"


def register() -> None:
    """Registers "PrefixStoreConnector" and the tier "prefixstore". Imports neither; never raises; twice does no harm."""
    try:
        from vllm.distributed.kv_transfer.kv_connector.factory import KVConnectorFactory
        from vllm.v1.kv_offload.tiering.factory import SecondaryTierFactory

        if "PrefixStoreConnector" not in KVConnectorFactory._registry:
            KVConnectorFactory.register_connector("PrefixStoreConnector", _MODULE, "PrefixStoreConnector")
        if "prefixstore" not in SecondaryTierFactory._registry:
            SecondaryTierFactory.register_tier("prefixstore", _MODULE, "PrefixStoreTier")
    except Exception as problem:
        _logger.warning(
            "PrefixStore is not available in this vLLM, whose tiered offloading is missing or differs (%s). "
            "docs/engines/vllm.md names the versions that it is tested with.", problem)
