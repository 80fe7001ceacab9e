"""SGLang's own host pool and its own factory for storage back ends, without an engine around them."""

from types import SimpleNamespace

import cpu_only

cpu_only.enable()

import torch
from sglang.srt.mem_cache.hicache_storage import HiCacheStorageConfig
from sglang.srt.mem_cache.memory_pool import MHATokenToKVPool
from sglang.srt.mem_cache.pool_host.mha import MHATokenToKVPoolHost
from sglang.srt.mem_cache.storage import StorageBackendFactory

LAYERS, HEADS, WIDTH, TOKENS = 2, 2, 32, 512


def host_pool(page=16, layout="page_first_direct", dtype=torch.bfloat16, heads=HEADS):
    """A host pool of 512 tokens, filled with random numbers."""
    device = MHATokenToKVPool(
        size=TOKENS, page_size=page, dtype=dtype, head_num=heads, head_dim=WIDTH, layer_num=LAYERS, device="cpu",
        enable_memory_saver=False, enable_alt_stream=False)
    pool = MHATokenToKVPoolHost(
        device._mha_buffer_info(), 1.0, 0, page, layout, pin_memory=False, device_capacity_tokens=TOKENS, start_layer=0,
        end_layer=LAYERS)
    torch.manual_seed(7)
    pool.kv_buffer.copy_(torch.randn(pool.kv_buffer.shape))
    return pool


def storage_config(prefixstore, interface=1, **changes):
    fields = {
        "tp_rank": 0, "tp_size": 1, "pp_rank": 0, "pp_size": 1, "attn_cp_rank": 0, "attn_cp_size": 1,
        "is_mla_model": False, "enable_storage_metrics": False, "is_page_first_layout": False, "model_name": "model"}
    extra = {
        "backend_name": "prefixstore", "module_path": "prefixstore.adapters.sglang", "class_name": "PrefixStoreStorage",
        "interface_v1": interface, "prefixstore": prefixstore}
    return HiCacheStorageConfig(**{**fields, **changes}, extra_config=extra)


def options(**changes):
    """What of SGLang's options the adapter looks at."""
    return SimpleNamespace(**{
        "model_path": "", "dtype": "bfloat16", "kv_cache_dtype": "auto", "attention_backend": "torch_native",
        "load_format": "auto", "enable_lora": None, "lora_paths": None, **changes})


def attach(config, pool):
    """As SGLang attaches a storage back end."""
    storage = StorageBackendFactory.create_backend("dynamic", config, pool)
    storage.register_mem_pool_host(pool)
    storage.register_mem_host_pool_v2(pool, "kv")
    storage.on_host_pools_registered()
    return storage


def places(pool, first, count):
    """The places of `count` pages from a page on, as SGLang names them."""
    return torch.arange(first * pool.page_size, (first + count) * pool.page_size, dtype=torch.int64)


def page(pool, at):
    """The bytes of a page, in any layout."""
    return pool.get_data_page(at * pool.page_size).contiguous().view(torch.uint8).clone()
