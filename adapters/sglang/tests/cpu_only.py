"""Lets SGLang's HiCache run on a machine without a GPU. For tests alone: nothing of it belongs to the adapter.

Importing it defines the operations of torchvision that its CUDA build lacks beside PyTorch for the CPU, and a kernel that
SGLang imports from vLLM on such a machine and does not call: it computes with PyTorch there. `enable` is a plug-in of
SGLang (entry point group sglang.srt.plugins), which every process of the engine calls. It replaces

- the pinning of host memory, which needs CUDA, by nothing;
- the copies between host and device of the I/O back end "direct", which are CUDA kernels, by copies of PyTorch.

The radix tree, the controller with its threads, the host pool with its layouts and the storage calls are SGLang's own.
"""

import importlib.machinery
import sys
import tempfile
import types
from pathlib import Path

import torch

for operation in ("nms", "qnms"):
    try:
        torch.library.define(f"torchvision::{operation}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    except RuntimeError:
        pass  # This process has defined it before.


def _never(*_, **__):
    raise AssertionError("this kernel is imported and not called")


for name in ("vllm", "vllm._custom_ops"):
    module = sys.modules.setdefault(name, types.ModuleType(name))
    module.__spec__ = module.__spec__ or importlib.machinery.ModuleSpec(name, None)
sys.modules["vllm"].__path__ = []
sys.modules["vllm._custom_ops"].rotary_embedding = _never


def plugin_folder(entry="cpu_only:enable"):
    """A folder for PYTHONPATH in which SGLang finds `enable`, or another function that calls it."""
    folder = Path(tempfile.mkdtemp(prefix="pfx-sglang-"))
    information = folder / "prefixstore_cpu_only-0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: prefixstore-cpu-only\nVersion: 0\n")
    (information / "entry_points.txt").write_text(f"[sglang.srt.plugins]\ncpu_only = {entry}\n")
    return folder


# The names of the arguments are SGLang's, which gives them by name.


def _same_layout(src_layers, dst_layers, src_indices, dst_indices, page_size):
    for source, target in zip(src_layers, dst_layers):
        target[dst_indices] = source[src_indices]


def _layers_to_pages(src_ptrs, dst_ptrs, src_indices, dst_indices, page_size):
    layers = len(src_ptrs) // len(dst_ptrs)
    page, place = dst_indices // page_size, dst_indices % page_size
    for side, target in enumerate(dst_ptrs):
        for layer in range(layers):
            target[page, layer, place] = src_ptrs[side * layers + layer][src_indices]


def _pages_to_layer(src_ptrs, dst_ptrs, src_indices, dst_indices, layer_id, page_size):
    page, place = src_indices // page_size, src_indices % page_size
    for source, target in zip(src_ptrs, dst_ptrs):
        target[dst_indices] = source[page, layer_id, place]


def enable():
    import sglang.srt.mem_cache.pool_host.common as common
    import sglang.srt.mem_cache.pool_host.mha as mha

    common._cuda_host_register = lambda *_, **__: None
    original = mha.MHATokenToKVPoolHost.__init__

    def unpinned(self, *arguments, **options):
        original(self, *arguments, **options)
        self.pin_memory = False

    mha.MHATokenToKVPoolHost.__init__ = unpinned
    mha.transfer_kv_direct = _same_layout
    mha.transfer_kv_all_layer_direct_lf_pf = _layers_to_pages
    mha.transfer_kv_per_layer_direct_pf_lf = _pages_to_layer
