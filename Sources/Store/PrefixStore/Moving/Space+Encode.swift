// Insert of pages for which the staging memory has no room: encoded before the call returns, by several threads.

internal import HotTier
internal import Records
internal import Threads

extension Space {
    /// Bytes of pages that are encoded before the first of them is published, and can go to disk.
    private static let windowBytes = 32 << 20

    /// Encodes pages whose first one is missing, and stores each behind the one before it. The helpers for loads share
    /// the work: their caller waits for it, unlike for the encoding threads in the background.
    ///
    /// - Returns: how many were new to this process's hot tier, or on their way to disk without it.
    func insertEncoded(_ pages: ArraySlice<(name: PageName, source: PageSource)>, _ now: Int64) -> Int {
        var fresh = 0
        var rest = pages
        while !rest.isEmpty {
            let window = rest.prefix(max(Team.spareCores + 1, Self.windowBytes / layout.bytesPerPage))
            rest = rest.dropFirst(window.count)
            for (page, record) in zip(window, seated(Array(window), now)) where publish(page, record, now) {
                fresh += 1
            }
        }
        return fresh
    }

    /// Encodes pages into the hot tier; nil for those that have no room there.
    private func seated(_ pages: [(name: PageName, source: PageSource)], _ now: Int64) -> [SeatedRecord?] {
        let records = Guarded<[Int: SeatedRecord]>([:])
        let isFull = Guarded(false)
        let bytes = pages.reduce(0) { $0 + layout.pageBytes(tokens: $1.name.tokens.count) }
        store.team.forEach(pages.count, isShared: bytes >= SpillOptions.sharedBytes) { index in
            // Where one found no room, the next one is not encoded in vain.
            guard !isFull.withLock({ $0 }) else { return }
            let record = store.writer.withRecord(of: job(pages[index], now)) { store.hot.seat($0.bytes, now: now) }
            guard let record else { return isFull.withLock { $0 = true } }
            records.withLock { $0[index] = record }
        }
        let made = records.withLock { $0 }
        return pages.indices.map { made[$0] }
    }

    private func publish(
        _ page: (name: PageName, source: PageSource), _ record: SeatedRecord?, _ now: Int64
    ) -> Bool {
        guard let record else {
            return store.writer.withRecord(of: job(page, now)) { insert(page.name, record: $0, now) }
        }
        switch hot.insert(page.name, seated: record, now: now) {
        case .inserted:
            if isForDisk(page.name.hash) { store.spiller.spill(pathTo: page.name.hash) }
            return true
        case .alreadyThere: return false
        case .noRoom, .orphan, .notStaged: return spillWithoutHotPage(page.name, page.source, now)
        }
    }

    private func job(_ page: (name: PageName, source: PageSource), _ now: Int64) -> SpillJob {
        // Encoders read planes whose rows lie side by side.
        let copy = page.source.memory.isPacked ? nil : QueuedPage(page.source, tokens: page.name.tokens.count, layout)
        return SpillJob(
            page.name, layout: layout, insertedAt: now, source: copy?.source ?? page.source, keepAlive: copy,
            onDone: nil)
    }
}
