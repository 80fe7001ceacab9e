// One budget in bytes, shared by pools of slots of different sizes.

internal import KVFormat

/// All page memory of a tier. The sum of the memory behind all slots, in use or free, never passes the capacity: what
/// one pool has free goes back to the system before another pool grows. Not thread-safe: the tier's mutex guards it.
struct PageArena {
    /// The budget, bytes.
    let capacity: Int
    /// One pool for each pair of slot size and page size.
    private(set) var pools: [PagePool] = []
    /// Bytes of memory behind the slots of all pools.
    private(set) var residentBytes = 0

    /// Makes an arena with nothing reserved.
    init(capacity: Int) { self.capacity = capacity }

    /// The index of the pool for pages of `layout`, made at the first call.
    ///
    /// - Throws: `StoreError.system` when the system has no address space left.
    mutating func pool(for layout: KVLayout) throws(StoreError) -> Int {
        let slotBytes = PagePool.slotBytes(for: layout)
        let same = { (pool: PagePool) in pool.slotBytes == slotBytes && pool.runs.pageSize == layout.pageSize }
        if let index = pools.firstIndex(where: same) { return index }
        pools.append(try PagePool(for: layout, capacity: capacity))
        return pools.count - 1
    }

    /// Takes a slot of pool `index`; nil when the budget has no room for one more: then a page must be evicted first.
    ///
    /// - Complexity: constant; one system call a slot when memory must move from another pool.
    mutating func take(from index: Int) -> Int32? {
        if let slot = pools[index].takeFree() { return slot }
        let slotBytes = pools[index].slotBytes
        while residentBytes + slotBytes > capacity {
            guard reclaim(otherThan: index) else { return nil }
        }
        residentBytes += slotBytes
        return pools[index].takeUntouched()
    }

    /// Takes `slot` of pool `index` out of use.
    mutating func give(_ slot: Int32, to index: Int) { pools[index].give(slot) }

    private mutating func reclaim(otherThan index: Int) -> Bool {
        for other in pools.indices where other != index && pools[other].discardOne() {
            residentBytes -= pools[other].slotBytes
            return true
        }
        return false
    }

    /// Bytes of the slots in use.
    var usedBytes: Int { pools.reduce(0) { $0 + $1.used * $1.slotBytes } }

    /// Bytes of the token ids kept beside the slots that were ever in use.
    var runBytes: Int {
        pools.reduce(0) { $0 + Int($1.highWater) * $1.runs.pageSize * MemoryLayout<TokenID>.stride }
    }
}
