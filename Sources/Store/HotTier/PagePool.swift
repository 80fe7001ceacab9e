// Seats of one size, for all spaces whose pages have that size.

internal import KVFormat

/// Seats of one size. A seat is in use, free (its memory still there), or discarded (its memory given back, or never
/// touched).
///
/// Every seat has room for a whole page with planes of `pageSize` tokens, even if it holds a tail. Tails are few and
/// short-lived, and seats of only one size leave no holes in the memory.
struct PagePool {
    /// Bytes of a seat: a whole page, rounded up to `alignment`.
    let seatBytes: Int
    /// The memory of the seats.
    let memory: Reservation
    /// The token ids of the seats.
    let runs: TokenRuns

    /// Free seats whose memory is still there: the next page goes into the one freed last, which is likely in the CPU's
    /// cache.
    private(set) var free: [Int32] = []
    private(set) var discarded: [Int32] = []
    /// Number of seats that were ever in use. All seats from here on were never touched.
    private(set) var highWater: Int32 = 0
    /// Seats in use.
    private(set) var used = 0

    /// The system's page size. Memory can be given back only in these units.
    static let alignment = 4096

    /// Bytes of the seats for pages of `layout`.
    static func seatBytes(for layout: KVLayout) -> Int {
        (layout.bytesPerPage + alignment - 1) / alignment * alignment
    }

    /// Reserves address space for as many seats as `capacity` bytes have room for.
    ///
    /// - Throws: `StoreError.system` when the system has no address space left.
    init(for layout: KVLayout, capacity: Int) throws(StoreError) {
        seatBytes = Self.seatBytes(for: layout)
        let seats = capacity / seatBytes
        memory = try Reservation(byteCount: seats * seatBytes)
        runs = try TokenRuns(rows: seats, pageSize: layout.pageSize)
    }

    /// Bytes of memory behind the seats.
    var residentBytes: Int { (used + free.count) * seatBytes }

    /// Takes a seat whose memory is there already; nil when there is none.
    mutating func takeFree() -> Int32? {
        guard let seat = free.popLast() else { return nil }
        used += 1
        return seat
    }

    /// Takes a seat that has no memory yet. The caller has checked the budget, which bounds the number of seats as
    /// well.
    mutating func takeUntouched() -> Int32 {
        used += 1
        if let seat = discarded.popLast() { return seat }
        highWater += 1
        return highWater - 1
    }

    /// Marks a seat as free; its memory stays.
    mutating func give(_ seat: Int32) {
        used -= 1
        free.append(seat)
    }

    /// Gives the memory of one free seat back to the system; false when no seat is free.
    mutating func discardOne() -> Bool {
        guard let seat = free.popLast() else { return false }
        memory.discard(offset: Int(seat) * seatBytes, byteCount: seatBytes)
        discarded.append(seat)
        return true
    }
}
