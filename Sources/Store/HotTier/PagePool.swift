// Slots of one size for the pages of all spaces whose pages have that size.

internal import KVFormat

/// Slots of one size. A slot is in use, free (its memory still there), or discarded (its memory given back, or never
/// touched).
///
/// Every slot has room for a whole page with planes of `pageSize` tokens, also when it holds a tail: tails are few,
/// short-lived, and one size of slot keeps memory free of holes.
struct PagePool {
    /// Bytes of a slot: a whole page, rounded up to `alignment`.
    let slotBytes: Int
    /// The memory of the slots.
    let memory: Reservation
    /// The token ids of the slots.
    let runs: TokenRuns

    /// Free slots whose memory is still there: the next page goes into the one freed last, which is likely in the CPU's
    /// cache.
    private(set) var free: [Int32] = []
    private(set) var discarded: [Int32] = []
    /// Slots that were ever in use; all slots from here on were never touched.
    private(set) var highWater: Int32 = 0
    /// Slots in use.
    private(set) var used = 0

    /// The system's page size: memory can be given back in these units only.
    static let alignment = 4096

    /// Bytes of the slots for pages of `layout`.
    static func slotBytes(for layout: KVLayout) -> Int {
        (layout.bytesPerPage + alignment - 1) / alignment * alignment
    }

    /// Reserves address space for as many slots as `capacity` bytes have room for.
    ///
    /// - Throws: `StoreError.system` when the system has no address space left.
    init(for layout: KVLayout, capacity: Int) throws(StoreError) {
        slotBytes = Self.slotBytes(for: layout)
        let slots = capacity / slotBytes
        memory = try Reservation(byteCount: slots * slotBytes)
        runs = try TokenRuns(rows: slots, pageSize: layout.pageSize)
    }

    /// Bytes of memory behind the slots.
    var residentBytes: Int { (used + free.count) * slotBytes }

    /// Takes a slot whose memory is there already; nil when there is none.
    mutating func takeFree() -> Int32? {
        guard let slot = free.popLast() else { return nil }
        used += 1
        return slot
    }

    /// Takes a slot that has no memory yet. The caller has checked the budget, which bounds the number of slots as
    /// well.
    mutating func takeUntouched() -> Int32 {
        used += 1
        if let slot = discarded.popLast() { return slot }
        highWater += 1
        return highWater - 1
    }

    /// Takes a slot out of use; its memory stays.
    mutating func give(_ slot: Int32) {
        used -= 1
        free.append(slot)
    }

    /// Gives the memory of one free slot back to the system; false when no slot is free.
    mutating func discardOne() -> Bool {
        guard let slot = free.popLast() else { return false }
        memory.discard(offset: Int(slot) * slotBytes, byteCount: slotBytes)
        discarded.append(slot)
        return true
    }
}
