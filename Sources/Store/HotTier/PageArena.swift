// One budget in bytes, shared by pools of seats of different sizes.

internal import KVFormat

/// A piece of memory for some bytes of one page.
struct Seat: Equatable {
    /// The number of its pool.
    let pool: Int32
    /// Its number in the pool.
    let index: Int32
    /// Bytes in it: as many as were asked for.
    let byteCount: Int
}

/// All memory of one kind: for records, or for pages that are not encoded yet. The memory behind all seats, in use or
/// free, never exceeds the capacity: free memory of one pool is given back to the system before another pool grows. Not
/// thread-safe: a mutex guards it.
struct PageArena {
    /// The budget, bytes.
    let capacity: Int
    /// One pool for each size of seats.
    private(set) var pools: [PagePool] = []
    /// The number of each pool, by the size of its seats.
    private var numbers: [Int: Int] = [:]
    /// Bytes of memory behind the seats of all pools.
    private(set) var residentBytes = 0

    /// Makes an arena with nothing reserved.
    init(capacity: Int) { self.capacity = capacity }

    /// Whether an empty arena has room for `size` bytes.
    func canHold(_ size: Int) -> Bool { PagePool.seatBytes(for: size) <= capacity }

    /// Takes a seat for `size` bytes; nil when the budget has no room for another one. Then a page must be evicted
    /// first.
    /// - Returns: the seat, and whether its memory is not there yet.
    /// - Throws: `.system` when the system has no address space left for it. To evict a page does not help then.
    /// - Complexity: constant; one system call per seat when memory must move from another pool.
    mutating func take(_ size: Int) throws(StoreError) -> (seat: Seat, isFresh: Bool)? {
        let seatBytes = PagePool.seatBytes(for: size)
        var larger = seatBytes
        // A free seat that is a little too large is better than memory that must be fetched from the system.
        while larger <= seatBytes + seatBytes / 16 {
            if let pool = numbers[larger], let index = pools[pool].takeFree() {
                return (Seat(pool: Int32(pool), index: index, byteCount: size), isFresh: false)
            }
            larger = PagePool.seatBytes(for: larger + 1)
        }
        guard seatBytes <= capacity else { return nil }
        let pool = self.pool(seatBytes)
        while residentBytes + seatBytes > capacity {
            guard reclaim() else { return nil }
        }
        let index = try pools[pool].takeUntouched()
        residentBytes += seatBytes
        return (Seat(pool: Int32(pool), index: index, byteCount: size), isFresh: true)
    }

    /// Gives a seat back.
    mutating func give(_ seat: Seat) { pools[Int(seat.pool)].give(seat.index) }

    /// The address of a seat.
    func address(_ seat: Seat) -> UnsafeMutableRawPointer { unsafe pools[Int(seat.pool)].address(seat.index) }

    /// Bytes of memory that a seat takes.
    func seatBytes(_ seat: Seat) -> Int { pools[Int(seat.pool)].seatBytes }

    private mutating func pool(_ seatBytes: Int) -> Int {
        if let number = numbers[seatBytes] { return number }
        pools.append(PagePool(seatBytes: seatBytes))
        numbers[seatBytes] = pools.count - 1
        return pools.count - 1
    }

    private mutating func reclaim() -> Bool {
        for pool in pools.indices where pools[pool].discardOne() {
            residentBytes -= pools[pool].seatBytes
            return true
        }
        return false
    }

    /// Bytes of the seats in use.
    var usedBytes: Int { pools.reduce(0) { $0 + $1.used * $1.seatBytes } }
}
