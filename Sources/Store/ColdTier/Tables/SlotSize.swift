// How many bytes a page occupies on disk. There are few sizes, so that freed space fits the next page.
//
// LMDB needs one contiguous run of its pages for a large value. With arbitrary sizes, the file fills with holes that
// nothing fits, and each put searches all of them. With size classes, holes are reused and the file does not grow.

/// The size classes of stored pages and side states.
package enum SlotSize {
    /// The header that LMDB puts before a large value.
    package static let header = 16
    /// The smallest run, one LMDB page, and the step between the runs that follow.
    private static let smallest = 4096
    /// The largest step: from 512 KiB on, runs are multiples of it.
    private static let largestStep = 65_536

    /// Bytes of the slot, a run of LMDB pages, that a record of `encodedBytes` bytes takes: what it costs on disk.
    /// Slots grow in steps of 4 KiB up to 64 KiB, of 8 KiB up to 128 KiB, and so on up to steps of 64 KiB: so a slot is
    /// at most an eighth, or a page of LMDB's, larger than what it holds.
    package static func slotBytes(holding encodedBytes: Int) -> Int {
        let needed = encodedBytes + header
        var step = smallest
        while step < largestStep, needed > 16 * step { step *= 2 }
        return (needed + step - 1) / step * step
    }

    /// Bytes of the value, padding included, that fills the slot of a record of `encodedBytes` bytes.
    package static func valueBytes(holding encodedBytes: Int) -> Int { slotBytes(holding: encodedBytes) - header }

    /// Whether a value of `valueBytes` bytes fills a slot.
    package static func fillsSlot(_ valueBytes: Int) -> Bool {
        valueBytes > 0 && Self.valueBytes(holding: valueBytes) == valueBytes
    }
}
