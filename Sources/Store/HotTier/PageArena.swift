// One budget in bytes, shared by pools of seats of different sizes.

internal import KVFormat

/// All page memory of a tier. The memory behind all seats, in use or free, never exceeds the capacity: free memory of
/// one pool is given back to the system before another pool grows. Not thread-safe: the tier's mutex guards it.
struct PageArena {
    /// The budget, bytes.
    let capacity: Int
    /// One pool for each pair of seat size and page size.
    private(set) var pools: [PagePool] = []
    /// Bytes of memory behind the seats of all pools.
    private(set) var residentBytes = 0

    /// Makes an arena with nothing reserved.
    init(capacity: Int) { self.capacity = capacity }

    /// The index of the pool for pages of `layout`, made at the first call.
    ///
    /// - Throws: `StoreError.system` when the system has no address space left.
    mutating func pool(for layout: KVLayout) throws(StoreError) -> Int {
        let seatBytes = PagePool.seatBytes(for: layout)
        let same = { (pool: PagePool) in pool.seatBytes == seatBytes && pool.runs.pageSize == layout.pageSize }
        if let index = pools.firstIndex(where: same) { return index }
        pools.append(try PagePool(for: layout, capacity: capacity))
        return pools.count - 1
    }

    /// Takes a seat of pool `index`; nil when the budget has no room for another one. Then a page must be evicted
    /// first.
    /// - Complexity: constant; one system call per seat when memory must move from another pool.
    mutating func take(from index: Int) -> Int32? {
        if let seat = pools[index].takeFree() { return seat }
        let seatBytes = pools[index].seatBytes
        while residentBytes + seatBytes > capacity {
            guard reclaim(otherThan: index) else { return nil }
        }
        residentBytes += seatBytes
        return pools[index].takeUntouched()
    }

    /// Gives `seat` back to pool `index`.
    mutating func give(_ seat: Int32, to index: Int) { pools[index].give(seat) }

    private mutating func reclaim(otherThan index: Int) -> Bool {
        for other in pools.indices where other != index && pools[other].discardOne() {
            residentBytes -= pools[other].seatBytes
            return true
        }
        return false
    }

    /// Bytes of the seats in use.
    var usedBytes: Int { pools.reduce(0) { $0 + $1.used * $1.seatBytes } }

    /// Bytes of the token ids kept beside the seats that were ever in use.
    var runBytes: Int {
        pools.reduce(0) { $0 + Int($1.highWater) * $1.runs.pageSize * MemoryLayout<TokenID>.stride }
    }
}
