"""A plug-in for SGLang (entry point group sglang.srt.plugins): whoever empties its cache waits until all is on disk.

SGLang forgets what waits for the storage when its cache is emptied, and tells nobody when it has stored a page.
"""

import time


def enable():
    import cpu_only
    from sglang.srt.mem_cache.unified_radix_cache import UnifiedRadixCache

    cpu_only.enable()
    reset = UnifiedRadixCache.reset

    def patient(self):
        # SGLang also resets a cache that is being made.
        while getattr(self, "ongoing_write_through", None) or getattr(self, "ongoing_backup", None):
            self.check_hicache_events()
            time.sleep(0.001)
        storage = getattr(getattr(self, "cache_controller", None), "storage_backend", None)
        if storage is not None:
            storage.flush()
        reset(self)

    UnifiedRadixCache.reset = patient


def enable_spoiled():
    """The same, with the mistake of the controls."""
    import spoiled

    enable()
    spoiled.spoil_blocks()
