// Loading for callers that wait for the disk no longer than they want.
//
// Another thread reads the encoded bytes into memory, page by page, and the caller decodes behind it. So nobody writes
// into the caller's memory but the caller, and what was read too late is in memory for the next one.

package import KVFormat
internal import PageCodec
package import Threads

extension RecordLoader {
    /// As `load`, until the deadline at most. The bytes are read by `errands`, which goes on after the deadline.
    ///
    /// - Returns: how many of the first loads were delivered whole. What kept the tier from answering is a miss.
    package func load(
        _ loads: [RecordLoad], of layout: KVLayout, from tier: any RecordTier, control: LoadControl,
        before deadline: Deadline, by errands: Errands
    ) -> Int {
        let fetched = Guarded(Fetched())
        @Sendable func end() {
            fetched.withLock { $0.isAll = true }
            fetched.signal()
        }
        let withdraw = errands.begin(onDropped: end) {
            try? self.fetch(loads, of: layout, from: tier, control.tally) { count in
                fetched.withLock { $0.count = count }
                fetched.signal()
            }
            end()
        }
        guard let withdraw else { return 0 }
        defer { withdraw() }
        var control = control
        control.isCancelled = { [isCancelled = control.isCancelled] in deadline.hasPassed || isCancelled?() == true }
        var delivered = 0
        while delivered < loads.count {
            // Layers are complete only when all pages are.
            let wanted = control.onLayersReady == nil ? delivered + 1 : loads.count
            let ready = fetched.withLock(when: { $0.count >= wanted || $0.isAll }, before: deadline) { $0.count } ?? 0
            guard ready >= wanted || ready > delivered else { break }
            let part = Array(loads[delivered..<ready])
            var partControl = control
            // The bytes are in memory now, which says nothing of the tier.
            partControl.tally = nil
            if ready < loads.count { partControl.onLayersReady = nil }
            let count = (try? load(part, of: layout, from: tier, control: partControl)) ?? 0
            delivered += count
            guard count == part.count else { break }
        }
        return delivered
    }

    /// How far the reading has come.
    private struct Fetched {
        /// Pages whose bytes have been read, from the first on.
        var count = 0
        var isAll = false
    }

    /// Reads the encoded bytes of pages into memory, in order, up to the first that the tier does not have.
    private func fetch(
        _ loads: [RecordLoad], of layout: KVLayout, from tier: any RecordTier, _ tally: ReadTally?,
        _ onFetched: (Int) -> Void
    ) throws(StoreError) {
        var count = 0
        while count < loads.count {
            let batch = Self.batch(loads[count...], layout, Self.lentBytes)
            let wanted = batch.map { RecordRequest(hash: $0.hash, tokenCount: $0.tokenCount, seal: $0.seal) }
            try tier.lend(wanted, of: layout) { records in
                for record in records {
                    guard let record else { break }
                    for frame in 0..<record.frameCount {
                        readRate.fetch(record.view.uncheckedBytes(ofFrame: frame), tally)
                    }
                    count += 1
                    onFetched(count)
                }
                return [:]
            }
            guard count == batch.endIndex else { return }
        }
    }
}
