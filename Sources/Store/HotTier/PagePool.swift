// Seats of one size.

internal import KVFormat

/// Seats of one size. A seat is in use, free (its memory still there), or discarded (its memory given back, or never
/// touched).
struct PagePool {
    /// Bytes of a seat.
    let seatBytes: Int
    private var segments: [Reservation] = []
    /// Seats that all segments have room for.
    private var seatsReserved = 0
    private let firstSeats: Int
    private let laterSeats: Int

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

    /// Address space is reserved in pieces of this size, or of one seat.
    private static let segmentBytes = 32 << 20

    /// The size of the seats that `size` bytes are given: at most 1/64 more, or a page of the system. A few sizes for
    /// records that are almost equally long, so that one takes the seat of another.
    static func seatBytes(for size: Int) -> Int {
        let size = max(size, 1)
        let half = 1 << (Int.bitWidth - 1 - size.leadingZeroBitCount)
        let step = max(alignment, half / 64)
        return (size + step - 1) / step * step
    }

    /// Seats of `seatBytes` bytes, none of them reserved yet.
    init(seatBytes: Int) {
        self.seatBytes = seatBytes
        firstSeats = max(1, Reservation.hugePage / seatBytes)
        laterSeats = max(1, Self.segmentBytes / seatBytes)
    }

    /// Bytes of memory behind the seats.
    var residentBytes: Int { (used + free.count) * seatBytes }

    /// The address of a seat that was ever in use. It never changes.
    func address(_ seat: Int32) -> UnsafeMutableRawPointer {
        let seat = Int(seat)
        guard seat >= firstSeats else { return unsafe segments[0].base + seat * seatBytes }
        let (segment, place) = (seat - firstSeats).quotientAndRemainder(dividingBy: laterSeats)
        return unsafe segments[segment + 1].base + place * seatBytes
    }

    /// Takes a seat whose memory is there already; nil when there is none.
    mutating func takeFree() -> Int32? {
        guard let seat = free.popLast() else { return nil }
        used += 1
        return seat
    }

    /// Takes a seat that has no memory yet.
    /// - Throws: `.system` when the system has no address space left for it.
    mutating func takeUntouched() throws(StoreError) -> Int32 {
        if let seat = discarded.popLast() {
            used += 1
            return seat
        }
        if Int(highWater) == seatsReserved {
            let seats = segments.isEmpty ? firstSeats : laterSeats
            // A size that few pages have must not take a huge page for each of them.
            let isHuge = !segments.isEmpty || seatBytes >= Reservation.hugePage
            segments.append(try Reservation(byteCount: seats * seatBytes, isHuge: isHuge))
            seatsReserved += seats
        }
        used += 1
        highWater += 1
        return highWater - 1
    }

    /// Marks a seat as free; its memory stays.
    mutating func give(_ seat: Int32) {
        used -= 1
        free.append(seat)
    }

    /// Gives the memory of one free seat back to the system; false when no seat is free, or the system refuses.
    mutating func discardOne() -> Bool {
        guard let seat = free.last, unsafe Reservation.discard(address(seat), byteCount: seatBytes) else {
            return false
        }
        free.removeLast()
        discarded.append(seat)
        return true
    }
}
