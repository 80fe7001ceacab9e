// A full check finds what was damaged, names it, and is quiet about what was not.

import KVFormat
import LMDB
import Testing
import TestKit
import Threads

@testable import ColdTier

/// Damage of one kind, planted past every rule of the store.
struct Damage: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let expected: Set<VerifyFinding.Kind>
    let plant: @Sendable (Plot) throws -> Void

    init(
        _ name: String, _ expected: Set<VerifyFinding.Kind>, _ plant: @escaping @Sendable (Plot) throws -> Void
    ) {
        testDescription = name
        self.expected = expected
        self.plant = plant
    }
}

/// A store with a sequence of five pages, the last a tail, and a side state; and the means to damage it.
final class Plot: Sendable {
    let folder: TemporaryFolder
    let model: Model
    let tier: ColdTier
    let path: [PrefixHash]

    init() throws {
        folder = try TemporaryFolder()
        model = try Model()
        tier = try ColdTier(folder.store)
        path = model.path(tokens(18))
        try tier.open(space: model.descriptor)
        _ = try tier.put(model.pages(tokens(18)))
        let state = [UInt8](repeating: 7, count: 100)
        try unsafe tier.putSideState("state", of: path[1], state.span.bytes)
    }

    /// Changes tables, and no counter.
    func change(_ body: (inout WriteTransaction) throws(LMDBError) -> Void) throws {
        try tier.environment.write { (transaction) throws(LMDBError) in try body(&transaction) }
    }

    /// Changes the value under a key.
    func edit(_ table: Table, _ key: [UInt8], _ body: (inout [UInt8]) -> Void) throws {
        var bytes = try tier.reading { (transaction) throws(LMDBError) in
            try transaction.read(table, key) { $0.copy(from: 0) }.record ?? []
        }
        #expect(!bytes.isEmpty)
        body(&bytes)
        try change { (transaction) throws(LMDBError) in try transaction.write(table, key, bytes) }
    }

    func erase(_ table: Table, _ key: [UInt8]) throws {
        try change { (transaction) throws(LMDBError) in #expect(try transaction.erase(table, key)) }
    }

    /// Writes a page's node again, with a right checksum.
    func rewrite(_ page: Int, _ body: (inout NodeRecord) -> Void) throws {
        let hash = path[page]
        let stored = try tier.reading { (transaction) throws(LMDBError) in
            try transaction.node(hash, tier.tables).record
        }
        var node = try #require(stored)
        body(&node)
        try change { (transaction) throws(LMDBError) in
            try transaction.write(tier.tables.nodes, hash.bytes, node.encoded(key: hash))
        }
    }

    /// The keys of a table.
    func keys(_ table: Table) throws -> [[UInt8]] {
        try tier.reading { (transaction) throws(LMDBError) in
            try transaction.keys(table, from: [0], limit: .max) { _ in true }
        }
    }

    static let nowhere = PrefixHash.sha256([1, 2, 3])

    static let damages: [Damage] = [
        Damage("a node with a wrong checksum", [.damagedNode, .wrongParent]) { plot in
            try plot.edit(plot.tier.tables.nodes, plot.path[1].bytes) { $0[70] ^= 1 }
        },
        Damage("a node with other token ids", [.wrongHash, .missingEdge, .wrongEdge]) { plot in
            try plot.rewrite(4) { $0.tokens[0] = 99 }
        },
        Damage("a node with another flag", [.wrongShape, .wrongParent]) { plot in
            try plot.rewrite(2) { $0.flags = .tail }
        },
        Damage("a node that expires, and a recency that does not", [.wrongExpiry]) { plot in
            try plot.rewrite(2) { $0.flags.insert(.expires) }
        },
        Damage("a node that does not know that it expires", [.wrongExpiry]) { plot in
            try plot.tier.setExpiry(of: plot.path[1], at: Timestamp(milliseconds: .max / 2))
            try plot.rewrite(1) { $0.flags.remove(.expires) }
        },
        Damage("a node at another position", [.wrongParent, .wrongShape, .orphanQueueEntry, .missingQueueEntry]) {
            plot in
            try plot.rewrite(4) { $0.firstToken = 15 }
        },
        Damage("a page without its parent", [.wrongParent, .wrongCounters]) { plot in
            _ = try plot.tier.writing { (transaction, session) throws(LMDBError) in
                let before = session.counters
                try session.remove(plot.path[3], &transaction)
                session.counters = before
            }
        },
        Damage("a missing edge", [.missingEdge]) { plot in
            try plot.erase(plot.tier.tables.edges, plot.keys(plot.tier.tables.edges)[0])
        },
        Damage("an edge with another count", [.wrongEdge]) { plot in
            try plot.edit(plot.tier.tables.edges, plot.keys(plot.tier.tables.edges)[0]) { $0[0] ^= 1 }
        },
        Damage("an edge cut short", [.wrongEdge]) { plot in
            try plot.edit(plot.tier.tables.edges, plot.keys(plot.tier.tables.edges)[0]) { $0.removeLast() }
        },
        Damage("recency with a wrong checksum", [.damagedRecency]) { plot in
            try plot.edit(plot.tier.tables.recency, plot.path[2].bytes) { $0[3] ^= 1 }
        },
        Damage("a page out of the eviction order", [.missingQueueEntry]) { plot in
            try plot.erase(plot.tier.tables.queue, plot.keys(plot.tier.tables.queue)[0])
        },
        Damage("a page without a record", [.missingRecord]) { plot in
            try plot.erase(plot.tier.tables.pages, plot.path[0].bytes)
        },
        Damage("a record with a wrong byte in its header", [.damagedRecord]) { plot in
            try plot.edit(plot.tier.tables.pages, plot.path[0].bytes) { $0[57] ^= 1 }
        },
        Damage("a record with a wrong byte in a frame", [.damagedRecord]) { plot in
            try plot.edit(plot.tier.tables.pages, plot.path[0].bytes) { $0[140] ^= 1 }
        },
        Damage("a record in a slot of another size", [.damagedRecord]) { plot in
            try plot.edit(plot.tier.tables.pages, plot.path[0].bytes) { $0.removeLast(16) }
        },
        Damage("another page's record", [.damagedRecord]) { plot in
            let other = try plot.tier.reading { (transaction) throws(LMDBError) in
                try transaction.read(plot.tier.tables.pages, plot.path[1].bytes) { $0.copy(from: 0) }.record ?? []
            }
            try plot.edit(plot.tier.tables.pages, plot.path[0].bytes) { $0 = other }
        },
        Damage("a side state with a wrong byte", [.damagedSideState]) { plot in
            try plot.edit(plot.tier.tables.sides, plot.keys(plot.tier.tables.sides)[0]) { $0[20] ^= 1 }
        },
        Damage("a side state without a page", [.orphanSideState, .wrongCounters]) { plot in
            let key = try #require(SideKey(Plot.nowhere, name: "x")).encoded
            try plot.change { (transaction) throws(LMDBError) in
                try transaction.write(plot.tier.tables.sides, key, [1])
            }
        },
        Damage("a space with another descriptor", [.damagedSpace, .unknownSpace]) { plot in
            try plot.edit(plot.tier.tables.spaces, plot.model.root.bytes) { $0[70] ^= 1 }
        },
        Damage("counters with a wrong checksum", [.damagedMeta]) { plot in
            try plot.edit(plot.tier.tables.meta, MetaKey.counters) { $0[9] ^= 1 }
        },
        Damage("counters that count wrong", [.wrongCounters]) { plot in
            try plot.edit(plot.tier.tables.meta, MetaKey.counters) { bytes in
                var counters = unsafe CountersRecord(bytes.span.bytes) ?? CountersRecord()
                counters.pages += 1
                bytes = counters.encoded
            }
        },
        Damage("a format record cut short", [.damagedMeta]) { plot in
            try plot.edit(plot.tier.tables.meta, MetaKey.format) { $0.removeLast() }
        },
        Damage("a record without a node", [.orphanRecord]) { plot in
            try plot.change { (transaction) throws(LMDBError) in
                try transaction.write(plot.tier.tables.pages, Plot.nowhere.bytes, [1])
            }
        },
        Damage("keys that no version writes", [.damagedEntry]) { plot in
            let tables = plot.tier.tables
            try plot.change { (transaction) throws(LMDBError) in
                for table in [tables.nodes, tables.pages, tables.recency, tables.queue, tables.spaces, tables.sides] {
                    try transaction.write(table, [5, 5], [1])
                }
                try transaction.write(tables.edges, [5, 5], [1])
                try transaction.write(tables.quarantine, [5, 5], [1])
                try transaction.write(tables.names, [5, 5], [1])
            }
        },
        Damage("a page that lies sealed in a plain space", [.wrongShape, .missingEdge, .wrongEdge]) { plot in
            try plot.rewrite(4) { node in
                node.key = [UInt8](repeating: 1, count: 40 + 4 * node.tokens.count)
                node.tokens = []
                node.flags.insert(.sealed)
            }
            try plot.tier.writing { (_, session) throws(LMDBError) in session.counters.indexBytes += 60 }
        },
        Damage("a space that is sealed, with pages that are not", [.sealed, .wrongShape]) { plot in
            try plot.edit(plot.tier.tables.spaces, plot.model.root.bytes) { bytes in
                var space = unsafe SpaceRecord(bytes.span.bytes, root: plot.model.root)
                let other = try? SealingKey(bytes: Array(1...32))
                space?.wrappedKey = other.map { SpaceSeal().wrapped(by: $0, for: plot.model.root) } ?? []
                bytes = space?.encoded ?? []
            }
        },
        Damage("a space whose wrapped key is none", [.damagedSpace, .wrongShape]) { plot in
            try plot.edit(plot.tier.tables.spaces, plot.model.root.bytes) { bytes in
                var space = unsafe SpaceRecord(bytes.span.bytes, root: plot.model.root)
                space?.wrappedKey = [1, 2, 3]
                bytes = space?.encoded ?? []
            }
        },
    ]

    static let leftovers: [Damage] = [
        Damage("an edge without a page", [.orphanEdge]) { plot in
            let edge = EdgeKey(parent: plot.path[0], tokens: [1], child: Plot.nowhere)
            try plot.change { (transaction) throws(LMDBError) in
                try transaction.write(plot.tier.tables.edges, edge.encoded, EdgeKey.value(tokenCount: 1))
            }
        },
        Damage("recency without a page", [.orphanRecency]) { plot in
            try plot.change { (transaction) throws(LMDBError) in
                try transaction.write(plot.tier.tables.recency, Plot.nowhere.bytes, [1])
            }
        },
        Damage("an entry of the eviction order without a page", [.orphanQueueEntry]) { plot in
            let entry = QueueKey(.use(0), milliseconds: 5, firstToken: 0, hash: Plot.nowhere)
            try plot.change { (transaction) throws(LMDBError) in
                try transaction.write(plot.tier.tables.queue, entry.encoded, [])
            }
        },
        Damage("an entry of the eviction order at another place", [.orphanQueueEntry]) { plot in
            let entry = QueueKey(.use(0), milliseconds: 5, firstToken: 0, hash: plot.path[0])
            try plot.change { (transaction) throws(LMDBError) in
                try transaction.write(plot.tier.tables.queue, entry.encoded, [])
            }
        },
    ]
}

@Suite("A full check")
struct VerifyTests {
    @Test("finds a sound store sound, and says how much it read")
    func sound() throws {
        let plot = try Plot()
        var seen: [Int] = []
        let report = try plot.tier.verify { seen.append($0.pages) }
        #expect(report.findings.isEmpty)
        #expect(report.isSound)
        #expect(report.pages == 5)
        #expect(report.tails == 1)
        #expect(report.records == 5)
        #expect(report.frames == 5)
        #expect(report.rawBytes == ByteCount(UInt64(plot.model.layout.pageBytes(tokens: 18))))
        #expect(report.edges == 5)
        #expect(report.queueEntries == 5)
        #expect(report.sideStates == 1)
        #expect(report.spaces == 1)
        #expect(report.comparedCounters)
        #expect(seen.last == 5)
    }

    @Test("finds an empty store sound")
    func empty() throws {
        let folder = try TemporaryFolder()
        let report = try ColdTier(folder.store).verify()
        #expect(report.isSound && report.pages == 0 && report.comparedCounters)
    }

    @Test("names what is damaged, and changes nothing", arguments: Plot.damages)
    func damage(_ damage: Damage) throws {
        let plot = try Plot()
        try damage.plant(plot)
        let report = try plot.tier.verify()
        #expect(!report.isSound)
        #expect(Set(report.findings.map(\.kind)) == damage.expected, "\(report.findings)")
        #expect(report.findingCount == report.findings.count)
        #expect(try plot.tier.verify() == report)
    }

    @Test("lists leftovers, and calls the store sound all the same", arguments: Plot.leftovers)
    func leftover(_ damage: Damage) throws {
        let plot = try Plot()
        try damage.plant(plot)
        let report = try plot.tier.verify()
        #expect(report.isSound)
        #expect(Set(report.findings.map(\.kind)) == damage.expected)
    }

    @Test("is about every kind of finding but those that only LMDB itself can meet")
    func kinds() {
        let planted = (Plot.damages + Plot.leftovers).reduce(into: Set()) { $0.formUnion($1.expected) }
        #expect(
            Set(VerifyFinding.Kind.allCases).subtracting(planted) == [.unreadableTable, .damagedTree, .damagedFreeList])
    }

    @Test("finds a store sound again after the engine has taken the damage out")
    func quarantined() throws {
        let plot = try Plot()
        try plot.edit(plot.tier.tables.pages, plot.path[1].bytes) { $0[140] ^= 1 }
        #expect(try plot.model.load(tokens(18), from: plot.tier) == 4)
        try plot.tier.flushTouches()
        let report = try plot.tier.verify()
        #expect(report.findings.isEmpty, "\(report.findings)")
        #expect(report.pages == 1)
        #expect(report.quarantinedPages == 4)
    }

    @Test("counts more findings than it lists")
    func many() throws {
        let plot = try Plot()
        try plot.change { (transaction) throws(LMDBError) in
            for number in 0..<1500 {
                let hash = PrefixHash.sha256([UInt8(number & 255), UInt8(number >> 8)])
                try transaction.write(plot.tier.tables.pages, hash.bytes, [1])
            }
        }
        let report = try plot.tier.verify()
        #expect(report.findingCount == 1500)
        #expect(report.damageCount == 1500)
        #expect(report.findings.count == VerifyReport.findingLimit)
    }

    @Test("gives no false alarm while a writer stores, evicts, pins, removes and touches pages")
    func besideWriter() throws {
        let folder = try TemporaryFolder()
        let model = try Model()
        let tier = try ColdTier(folder.store, quota: .mebibytes(4))
        try tier.open(space: model.descriptor)
        let progress = Progress()
        let writer = try Thread {
            var generator = SplitMix64(seed: 11)
            while !progress.isDone {
                let start = TokenID.random(in: 0..<40, using: &generator)
                let sequence = tokens(Int.random(in: 1...60, using: &generator), from: start)
                let path = model.path(sequence)
                do throws(StoreError) {
                    _ = try tier.put(model.pages(sequence, now: Int64(start)))
                    switch start % 8 {
                    case 0: try tier.pin(path: path)
                    case 1: try tier.unpin(path: path)
                    case 2: _ = try tier.remove(path[0])
                    case 3: _ = try tier.trim(to: .mebibytes(1))
                    default: tier.touch(path, now: 5000)
                    }
                } catch {
                    // A path that another step has taken away is no page any more.
                    if case .noSuchPage = error { continue }
                    progress.fail(error)
                }
                progress.wrote()
            }
        }
        var checked = 0
        while progress.writes < 60 || checked < 5 {
            let report = try tier.verify()
            #expect(report.findings.isEmpty, "\(report.findings)")
            checked += 1
        }
        progress.finish()
        writer.join()
        #expect(progress.failure == nil)
        let report = try tier.verify()
        #expect(report.findings.isEmpty && report.comparedCounters)
    }
}

/// How far the writer of a test has come.
final class Progress: Sendable {
    private struct State {
        var writes = 0
        var isDone = false
        var failure: StoreError?
    }

    private let state = Guarded(State())

    var isDone: Bool { state.withLock { $0.isDone } }
    var writes: Int { state.withLock { $0.writes } }
    var failure: StoreError? { state.withLock { $0.failure } }

    func wrote() { state.withLock { $0.writes += 1 } }
    func finish() { state.withLock { $0.isDone = true } }
    func fail(_ error: StoreError) { state.withLock { $0 = State(writes: .max / 2, isDone: true, failure: error) } }
}
