// The token ids of hot pages: one row of `pageSize` ids for each seat of a pool.

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
/// reports them.
///
/// The thread that holds a seat writes its row before the page is published. Afterwards the row is only read.
@safe
final class TokenRuns: @unchecked Sendable {
    // Unchecked for the reason given at `Reservation`.
    private let memory: Reservation
    /// How many token ids a row has room for.
    let pageSize: Int

    /// Reserves `rows` rows.
    ///
    /// - Throws: `StoreError.system` when the system has no address space left.
    init(rows: Int, pageSize: Int) throws(StoreError) {
        self.pageSize = pageSize
        memory = try Reservation(byteCount: rows * pageSize * MemoryLayout<TokenID>.stride)
    }

    private func row(_ seat: Int32) -> UnsafeMutablePointer<TokenID> {
        let first = unsafe memory.base.assumingMemoryBound(to: TokenID.self)
        return unsafe first + Int(seat) * pageSize
    }

    /// Writes `run`, at most `pageSize` ids, into the row of `seat`.
    func write(_ run: ArraySlice<TokenID>, to seat: Int32) {
        precondition(run.count <= pageSize, "a run of \(run.count) token ids in a row of \(pageSize)")
        unsafe run.withUnsafeBufferPointer { ids in
            guard let first = ids.baseAddress else { return }
            unsafe row(seat).update(from: first, count: ids.count)
        }
    }

    /// The first `count` ids in the row of `seat`.
    func read(_ seat: Int32, count: Int) -> [TokenID] {
        unsafe Array(UnsafeBufferPointer(start: row(seat), count: count))
    }

    /// Compares `query` with the first `count` ids in the row of `seat`.
    func compare(_ query: Span<TokenID>, with seat: Int32, count: Int) -> RunComparison {
        unsafe query.withUnsafeBufferPointer { ids in
            guard let first = ids.baseAddress else { return RunComparison(common: 0, isBefore: count > 0) }
            return unsafe Self.compare(first, ids.count, row(seat), count)
        }
    }

    /// Compares the first `count` ids of `seat` with the first `otherCount` of `other`.
    func compare(_ seat: Int32, count: Int, with other: Int32, count otherCount: Int) -> RunComparison {
        unsafe Self.compare(row(seat), count, row(other), otherCount)
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
