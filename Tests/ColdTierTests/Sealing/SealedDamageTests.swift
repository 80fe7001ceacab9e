// A sealed space whose tables are damaged or forged: a miss, and never a wrong token.

import KVFormat
import LMDB
import Records
import Testing
import TestKit

@testable import ColdTier

@Suite("A sealed space, damaged or forged,")
struct SealedDamageTests {
    let folder: TemporaryFolder
    let model: Model
    private let key: SealingKey

    init() throws {
        folder = try TemporaryFolder()
        key = try SealingKey(bytes: Array(1...32))
        let tier = try Self.open(folder.store, key)
        var model = try Model()
        model.access = try tier.open(space: model.descriptor)
        #expect(try tier.put(model.pages(tokens(14))).count(.stored) == 4)
        let state = [UInt8](repeating: 7, count: 100)
        try unsafe tier.putSideState("state", of: model.path(tokens(14))[1], state.span.bytes, seal: model.seal)
        tier.close()
        self.model = model
    }

    private static func open(_ path: String, _ key: SealingKey) throws -> ColdTier {
        try ColdTier(path: path, options: ColdOptions(quota: .mebibytes(256), sealingKey: key))
    }

    private var path: [PrefixHash] { model.path(tokens(14)) }

    /// Opens the store and lends it.
    private func with<R>(_ body: (ColdTier) throws -> R) throws -> R {
        let tier = try Self.open(folder.store, key)
        defer { tier.close() }
        _ = try tier.open(space: model.descriptor)
        return try body(tier)
    }

    @Test("is damage, and never another key, for any byte of its wrapped key")
    func damagedKey() throws {
        for byte in 0..<WrappedKey.byteCount {
            let folder = try TemporaryFolder()
            let tier = try Self.open(folder.store, key)
            defer { tier.close() }
            let access = try tier.open(space: model.descriptor)
            _ = try tier.writing { (transaction, session) throws(LMDBError) in
                try session.update(access.root, &transaction) { $0.wrappedKey[byte] ^= 0x10 }
            }
            let findings = try tier.verify().findings
            #expect(findings.contains { $0.kind == .damagedSpace && $0.hash == access.root }, "byte \(byte)")
            #expect(try tier.spaces().first?.sealing == .damaged)
            #expect(try tier.open(space: model.descriptor).root != access.root, "a new space in its place")
        }
    }

    @Test("is a miss for any byte of a node, also when the checksum over it is right")
    func nodes() throws {
        let hash = path[2]
        let stored = try with { tier in
            try tier.reading { (transaction) throws(LMDBError) in
                try transaction.read(tier.tables.nodes, hash) { $0.copy(from: 0) }.record
            }
        }
        let node = try #require(stored)
        let content = node.count - 8
        for byte in 0..<content {
            try with { tier in
                var forged = Array(node[..<content])
                forged[byte] ^= 0x10
                var writer = ByteWriter(capacity: node.count)
                writer.append(contentsOf: forged)
                writer.appendChecksum(key: hash)
                try tier.environment.write { (transaction) throws(LMDBError) in
                    try transaction.write(tier.tables.nodes, hash.bytes, writer.bytes)
                }
                // The flag `expires` is not the tag's business: dates are set without the key.
                let found = try #require(try model.load(tokens(14), from: tier), "byte \(byte)")
                #expect(found == 8, "byte \(byte)")
                // It would be removed when the store is closed.
                tier.pending.forget([hash: .damagedNode, path[3]: .damagedNode])
            }
        }
        try with { tier in
            try tier.environment.write { (transaction) throws(LMDBError) in
                try transaction.write(tier.tables.nodes, hash.bytes, node)
            }
            #expect(try model.load(tokens(14), from: tier) == 14)
        }
    }

    @Test("loses the page whose record another record of the space replaced, and what follows it")
    func swapped() throws {
        try with { tier in
            let pages = tier.tables.pages
            try tier.environment.write { (transaction) throws(LMDBError) in
                let other = try transaction.read(pages, path[0]) { $0.copy(from: 0) }.record ?? []
                try transaction.write(pages, path[1].bytes, other)
            }
            #expect(try model.load(tokens(14), from: tier) == 4)
            try tier.flushTouches()
            #expect(try tier.statistics.quarantinedPages == 3)
        }
    }

    @Test("loses a side state of which a byte was changed")
    func sideState() throws {
        try with { tier in
            let side = try #require(SideKey(path[1], name: "state")).encoded
            #expect(try tier.sideState("state", of: path[1], seal: model.seal) == [UInt8](repeating: 7, count: 100))
            #expect(try tier.sideState("state", of: path[1]) == nil)
            try tier.environment.write { (transaction) throws(LMDBError) in
                var bytes = try transaction.read(tier.tables.sides, side) { $0.copy(from: 0) }.record ?? []
                bytes[130] ^= 1
                try transaction.write(tier.tables.sides, side, bytes)
            }
            #expect(try tier.sideState("state", of: path[1], seal: model.seal) == nil)
            #expect(try tier.verify().findings.map(\.kind) == [.damagedSideState])
        }
    }

    @Test("takes no page that is not sealed, and a plain one takes none that is")
    func mixed() throws {
        try with { tier in
            let plain = try Model()
            #expect(try tier.put(plain.pages(tokens(4))).outcomes == [.orphan])
            let name = PageName(root: model.root, parent: model.root, firstToken: 0, tokens: tokens(4, from: 900)[...])
            let record = plain.pages(tokens(4, from: 900))[0]
            #expect(try tier.put([PageRecord(name, record.bytes, lastUse: 1)]).outcomes == [.orphan])
        }
        let other = try TemporaryFolder()
        let tier = try ColdTier(other.store)
        defer { tier.close() }
        let plain = try Model()
        try tier.open(space: plain.descriptor)
        var posing = plain
        posing.access = SpaceAccess(root: plain.root, seal: model.seal)
        #expect(try tier.put(posing.pages(tokens(4))).outcomes == [.orphan])
    }

    @Test("is evicted, trimmed and removed by processes that do not have its key, and leaves nothing behind")
    func withoutKey() throws {
        let tier = try ColdTier(existing: folder.store)
        defer { tier.close() }
        #expect(try tier.remove(path[3]) == 1)
        #expect(try tier.trim(to: .zero).pages == 3)
        let report = try tier.verify()
        #expect(report.edges == 0 && report.queueEntries == 0 && report.sideStates == 0 && report.comparedCounters)
        #expect(report.findings.map(\.kind) == [.sealed], "\(report.findings)")
    }

    @Test("with a wrapped key that was changed is not opened, and not lost for a copy that was not")
    func wrappedKey() throws {
        for byte in [16, 40, 70] {
            let root = model.root
            func flip() throws {
                try withTables(folder.store) { transaction, tables in
                    var space = try #require(try transaction.space(root, tables).record)
                    space.wrappedKey[byte] ^= 1
                    try transaction.write(tables.spaces, root.bytes, space.encoded)
                }
            }
            try flip()
            try with { tier in
                let access = try tier.open(space: model.descriptor)
                #expect(access.root != root && access.seal != nil)
                _ = try tier.forget(space: access.root)
            }
            try flip()
            #expect(try with { try model.load(tokens(14), from: $0) } == 14)
        }
    }
}
