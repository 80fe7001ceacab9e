"""For tests on a machine without a GPU: vLLM's tiered offloading with another copy between the device and the host.

vLLM starts its offloading on GPUs only, because its copy uses their streams. On a CPU device both ends of that copy are
plain memory. `CpuTieringSpec` is vLLM's TieringOffloadingSpec in which this one copy is replaced. Its scheduler, its host
memory, its promotion and its tiers are vLLM's own.
"""

import time

from vllm.v1.kv_offload.base import OffloadingWorker, TransferResult
from vllm.v1.kv_offload.cpu.shared_offload_region import SharedOffloadRegion
from vllm.v1.kv_offload.tiering.spec import TieringOffloadingSpec


class CpuWorker(OffloadingWorker):
    """Copies blocks at once, and reports them with the next question."""

    def __init__(self, kv_caches, region, blocks_per_chunk):
        assert blocks_per_chunk == 1 and len(kv_caches.group_data_refs) == 1, "one block per chunk, one group"
        self.region = region
        self.device = [cache.tensor.numpy() for cache in kv_caches.tensors]
        self.host = [region.create_next_worker_view(cache.page_size_bytes).numpy() for cache in kv_caches.tensors]
        self.results = []

    def submit_store(self, job_id, src_spec, dst_spec):
        return self._copy(job_id, self.device, src_spec.block_ids, self.host, dst_spec.block_ids)

    def submit_load(self, job_id, src_spec, dst_spec):
        return self._copy(job_id, self.host, src_spec.block_ids, self.device, dst_spec.block_ids)

    def _copy(self, job, sources, from_ids, targets, to_ids):
        begin = time.perf_counter()
        for source, target in zip(sources, targets):
            target[to_ids] = source[from_ids]
        size = len(from_ids) * sum(source.shape[1] for source in sources)
        self.results.append(TransferResult(job, True, size, time.perf_counter() - begin))
        return True

    def get_finished(self):
        results, self.results = self.results, []
        return results

    def wait(self, job_ids):
        pass  # nothing is ever under way

    def shutdown(self):
        self.device = self.host = None
        self.region.cleanup()


class CpuTieringSpec(TieringOffloadingSpec):
    """vLLM's spec, which makes a CpuWorker."""

    def get_worker(self, kv_caches):
        if not self._worker:
            region = SharedOffloadRegion(
                engine_id=self.config.engine_id, num_chunks=self.num_chunks, rank=self.config.parallel.rank,
                kv_bytes_per_chunk=self.kv_bytes_per_chunk, cpu_page_size=self.cpu_page_size_per_worker)
            self._worker = CpuWorker(kv_caches, region, self.blocks_per_chunk)
        return self._worker
