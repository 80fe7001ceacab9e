// The token ids of the hot pages of one space: one row of `pageSize` ids per page.

internal import Glibc
internal import KVFormat

/// The result of comparing two runs of token ids.
struct RunComparison {
    /// How many of the first token ids are equal.
    var common: Int
    /// Whether the first run comes before the second in lexicographic order. A run comes before longer runs that begin
    /// with it.
    var isBefore: Bool
}

/// Rows of token ids, apart from the pages. A walk reads the ids of every page on its way, and rows at a distance of
/// one page would all fall into the same few cache sets. The rows do not count against the capacity; `indexBytes`
/// reports them. Used under the tier's mutex only.
@safe
final class TokenRuns: @unchecked Sendable {
    // Unchecked: the tier's mutex guards it.
    private var segments: [Reservation] = []
    private var free: [Int32] = []
    private let rowsPerSegment: Int
    /// Number of rows that were ever in use.
    private(set) var highWater: Int32 = 0
    /// How many token ids a row has room for.
    let pageSize: Int

    /// No rows yet.
    init(pageSize: Int) {
        self.pageSize = pageSize
        rowsPerSegment = max(1, Reservation.hugePage / (pageSize * MemoryLayout<TokenID>.stride))
    }

    /// Rows in use.
    var used: Int { Int(highWater) - free.count }

    /// Bytes of the rows that were ever in use.
    var byteCount: Int { Int(highWater) * pageSize * MemoryLayout<TokenID>.stride }

    private func address(_ row: Int32) -> UnsafeMutablePointer<TokenID> {
        let (segment, place) = Int(row).quotientAndRemainder(dividingBy: rowsPerSegment)
        let first = unsafe segments[segment].base.assumingMemoryBound(to: TokenID.self)
        return unsafe first + place * pageSize
    }

    /// Writes `run`, at most `pageSize` ids, into a row; nil when the system has no address space left for one.
    func add(_ run: ArraySlice<TokenID>) -> Int32? {
        precondition(run.count <= pageSize, "a run of \(run.count) token ids in a row of \(pageSize)")
        let row: Int32
        if let last = free.popLast() {
            row = last
        } else {
            if Int(highWater) == segments.count * rowsPerSegment {
                let size = rowsPerSegment * pageSize * MemoryLayout<TokenID>.stride
                // A space with few pages must not take a huge page.
                let isHuge = !segments.isEmpty
                guard let segment = try? Reservation(byteCount: size, isHuge: isHuge) else { return nil }
                segments.append(segment)
            }
            row = highWater
            highWater += 1
        }
        unsafe run.withUnsafeBufferPointer { ids in
            guard let first = ids.baseAddress else { return }
            unsafe address(row).update(from: first, count: ids.count)
        }
        return row
    }

    /// Frees a row.
    func remove(_ row: Int32) { free.append(row) }

    /// The first `count` ids in `row`.
    func read(_ row: Int32, count: Int) -> [TokenID] {
        unsafe Array(UnsafeBufferPointer(start: address(row), count: count))
    }

    /// Compares `query` with the first `count` ids in `row`.
    func compare(_ query: Span<TokenID>, with row: Int32, count: Int) -> RunComparison {
        unsafe query.withUnsafeBufferPointer { ids in
            guard let first = ids.baseAddress else { return RunComparison(common: 0, isBefore: count > 0) }
            return unsafe Self.compare(first, ids.count, address(row), count)
        }
    }

    /// Compares the first `count` ids of `row` with the first `otherCount` of `other`.
    func compare(_ row: Int32, count: Int, with other: Int32, count otherCount: Int) -> RunComparison {
        unsafe Self.compare(address(row), count, address(other), otherCount)
    }

    private static func compare(
        _ left: UnsafePointer<TokenID>, _ leftCount: Int, _ right: UnsafePointer<TokenID>, _ rightCount: Int
    ) -> RunComparison {
        let shorter = min(leftCount, rightCount)
        // Most comparisons of a walk are of equal runs, and memcmp is several times faster than the loop.
        if unsafe memcmp(left, right, shorter * MemoryLayout<TokenID>.stride) == 0 {
            return RunComparison(common: shorter, isBefore: leftCount < rightCount)
        }
        var common = 0
        while unsafe left[common] == right[common] { common += 1 }
        return unsafe RunComparison(common: common, isBefore: left[common] < right[common])
    }
}
