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

    /// Bytes of the run of LMDB pages that holds a value of `byteCount` bytes: its size on disk. Runs grow in steps of
    /// 4 KiB up to 64 KiB, in steps of 8 KiB up to 128 KiB, and so on up to steps of 64 KiB. So a run is at most an
    /// eighth, or one LMDB page, larger than what it holds.
    package static func physicalBytes(holding byteCount: Int) -> Int {
        let needed = byteCount + header
        var step = smallest
        while step < largestStep, needed > 16 * step { step *= 2 }
        return (needed + step - 1) / step * step
    }

    /// Bytes of the value that stores a record of `byteCount` bytes, with its padding.
    package static func slotBytes(holding byteCount: Int) -> Int { physicalBytes(holding: byteCount) - header }

    /// Whether a value of `slotBytes` bytes can have been written by `slotBytes(holding:)`.
    package static func isSlot(_ slotBytes: Int) -> Bool {
        slotBytes > 0 && Self.slotBytes(holding: slotBytes) == slotBytes
    }
}
