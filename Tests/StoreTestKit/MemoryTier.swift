// A tier of records in memory: the second `RecordTier`, so that the seam has two sides.

package import KVFormat
package import PageCodec
package import Records
internal import Threads

/// Keeps records in a dictionary, each checked as one from outside is. Thread-safe.
package final class MemoryTier: RecordTier {
    private struct State {
        var pages: [PrefixHash: PageRecord] = [:]
        var damage: [PrefixHash: RecordDamage] = [:]
    }

    private let layouts: [PrefixHash: KVLayout]
    private let state = Guarded(State())

    /// An empty tier for spaces with these roots.
    package init(_ layouts: [PrefixHash: KVLayout]) { self.layouts = layouts }

    /// Pages that it has.
    package var pages: [PageRecord] { state.withLock { Array($0.pages.values) } }

    /// What borrowers have found damaged; those pages are gone.
    package var damage: [PrefixHash: RecordDamage] { state.withLock { $0.damage } }

    /// Keeps a page unchecked, as a disk keeps what it is given.
    package func plant(_ page: PageRecord) { state.withLock { $0.pages[page.name.hash] = page } }

    package func held(_ hashes: [PrefixHash], usedAt time: Int64?) throws(StoreError) -> Set<PrefixHash> {
        state.withLock { state in Set(hashes.filter { state.pages[$0] != nil }) }
    }

    package func lend(
        _ wanted: [RecordRequest], of layout: KVLayout, to borrower: ([RecordBytes?]) -> [Int: RecordDamage]
    ) throws(StoreError) {
        let records = state.withLock { state in
            wanted.map { request -> RecordBytes? in
                guard let page = state.pages[request.hash], page.name.tokens.count == request.tokenCount,
                    page.bytes.isRecord(of: page.name, layout)
                else { return nil }
                return page.bytes
            }
        }
        let damage = borrower(records)
        state.withLock { state in
            for (index, reason) in damage {
                state.damage[wanted[index].hash] = reason
                state.pages[wanted[index].hash] = nil
            }
        }
    }

    package func take(_ pages: [PageRecord]) throws(StoreError) -> [TakeOutcome] {
        pages.map { page in
            let name = page.name
            guard let layout = layouts[name.root] else { return .orphan }
            guard name.isSound, page.bytes.isRecord(of: name, layout), (try? page.bytes.verifyPayload()) != nil else {
                return .invalid
            }
            return state.withLock { state in
                if state.pages[name.hash] != nil { return .alreadyThere }
                guard name.parent == name.root || state.pages[name.parent] != nil else { return .orphan }
                state.pages[name.hash] = PageRecord(name.detached, page.bytes.copied, lastUse: page.lastUse)
                return .stored
            }
        }
    }
}
