// Damage: whatever happens to the file, no wrong byte is delivered; what is damaged is a miss and is taken out.

import ColdTier
import Foundation
import Glibc
import KVFormat
import LMDB
import PageCodec
import Records
import Testing
import TestKit

@Suite("Damage")
struct DamageTests {
    let folder: TemporaryFolder
    let model: Model

    init() throws {
        folder = try TemporaryFolder()
        model = try Model(pageSize: 8, width: 64)
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        #expect(try tier.put(model.pages(tokens(64))).count(.stored) == 8)
        #expect(try tier.put(model.pages(tokens(16) + tokens(21, from: 500))).count(.stored) == 3)
        tier.close()
    }

    private var path: [PrefixHash] { model.path(tokens(64)) }

    /// Changes a value of the closed store.
    private func damage(
        _ table: (Tables) -> Table, _ key: [UInt8], _ change: (inout [UInt8]) -> Void
    ) throws {
        try withTables(folder.store) { transaction, tables in
            var value = try #require(
                try transaction.read(table(tables), key) { bytes -> [UInt8]? in
                    (0..<bytes.byteCount).map { unsafe bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
                }.record)
            change(&value)
            try transaction.write(table(tables), key, value)
        }
    }

    /// Loads, and says how many tokens came; checks that they are right and that what is damaged is gone afterwards.
    private func expect(
        _ delivered: Int, reason: QuarantineReason, page: PrefixHash, damaged count: Int = 1
    ) throws {
        let tier = try ColdTier(folder.store)
        #expect(try model.load(tokens(64), from: tier) == delivered)
        #expect(tier.damagedPages == count)
        // A miss at once, before any writer has come.
        #expect(try model.matched(tokens(64), in: tier) == delivered)
        #expect(try !tier.contains(page))
        try tier.flushTouches()
        #expect(try model.load(tokens(64), from: tier) == delivered)
        #expect(tier.damagedPages == count)
        #expect(try tier.statistics.quarantinedPages == 8 - delivered / 8)
        #expect(try tier.statistics.pages == 3 + delivered / 8)
        #expect(try model.load(tokens(16) + tokens(21, from: 500), from: tier) == 37)
        tier.close()
        try withTables(folder.store) { transaction, tables in
            let record = try transaction.read(tables.quarantine, page.bytes) { QuarantineRecord($0) }.record
            #expect(record?.reason == reason)
            #expect(record?.time ?? 0 > 0)
        }
        // It can be stored again, and then it is out of quarantine.
        let again = try ColdTier(folder.store)
        #expect(try again.put(model.pages(tokens(64))).count(.stored) == 8 - delivered / 8)
        #expect(try model.load(tokens(64), from: again) == 64)
        #expect(try model.load(tokens(16) + tokens(21, from: 500), from: again) == 37)
    }

    /// Makes the entry of one page lead to the record of another, in the closed store's file.
    private func lead(_ page: PrefixHash, to other: PrefixHash) throws {
        let file = folder.store + "/data.mdb"
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: file)))
        func place(_ hash: PrefixHash) throws -> Range<Int> {
            // In the table of pages, a key is followed by the number of the first page of its record.
            let keys = (0..<bytes.count - 40).filter { start in
                guard bytes[start] == hash.bytes[0], bytes[start..<start + 32].elementsEqual(hash.bytes) else {
                    return false
                }
                let number = (0..<4).reduce(0) { $0 | Int(bytes[start + 32 + $1]) << (8 * $1) }
                guard number < bytes.count / 4096 else { return false }
                return bytes[number * 4096 + 16..<number * 4096 + 20].elementsEqual(Array("PFXR".utf8))
            }
            let key = try #require(keys.last)
            return key + 32..<key + 40
        }
        let (from, to) = (try place(page), try place(other))
        bytes.replaceSubrange(from, with: bytes[to])
        try Data(bytes).write(to: URL(fileURLWithPath: file))
    }

    @Test("of an entry that leads to another page's record never gives that record's place to something else")
    func recordOfAnother() throws {
        let prompt = tokens(16) + tokens(21, from: 500)
        try lead(path[7], to: try #require(model.path(prompt).last))
        let tier = try ColdTier(folder.store)
        #expect(try model.load(tokens(64), from: tier) == 56)
        #expect(throws: StoreError.self) { try tier.flushTouches() }
        #expect(throws: StoreError.self) { try tier.put(model.pages(tokens(64, from: 900))) }
        #expect(try model.load(prompt, from: tier) == 37)
        tier.close()
        let next = try ColdTier(folder.store)
        defer { next.close() }
        #expect(next.setAsideNotice != nil)
        try next.open(space: model.descriptor)
        #expect(try next.put(model.pages(tokens(64))).count(.stored) == 8)
    }

    @Test("is noted for the 4,096 pages that were removed last, and no more")
    func quarantineBounds() throws {
        let old = (0..<4095).map { PrefixHash.sha256([UInt8($0 & 255), UInt8($0 >> 8)]) }
        try withTables(folder.store) { transaction, tables in
            for (number, hash) in old.enumerated() {
                let record = QuarantineRecord(
                    time: Int64(1000 + number), reason: .damagedRecord, slotBytes: 4096, root: model.root)
                try transaction.write(tables.quarantine, hash.bytes, record.encoded)
            }
        }
        try damage(\.pages, path[6].bytes) { $0[200] ^= 1 }
        let tier = try ColdTier(folder.store)
        #expect(try model.load(tokens(64), from: tier) == 48)
        try tier.flushTouches()
        #expect(try tier.info().quarantinedPages == 4096)
        #expect(try tier.statistics.quarantinedPages == 2)
        tier.close()
        // Two pages came, so the oldest entry went.
        try withTables(folder.store) { transaction, tables in
            var noted: [Bool] = []
            for hash in [old[0], old[1], old[4094], path[6], path[7]] {
                noted.append(try transaction.has(tables.quarantine, hash.bytes))
            }
            #expect(noted == [false, true, true, true, true])
        }
    }

    @Test("of a record's payload is a miss, and removes only its own subtree", arguments: [2, 5, 7])
    func payload(page: Int) throws {
        try damage({ $0.pages }, path[page].bytes) { $0[$0.count / 4] ^= 1 }
        try expect(page * 8, reason: .damagedRecord, page: path[page])
    }

    @Test("of a record's header is a miss", arguments: [0, 4, 8, 20, 60])
    func header(byte: Int) throws {
        try damage({ $0.pages }, path[4].bytes) { $0[byte] ^= 0x10 }
        try expect(32, reason: .damagedRecord, page: path[4])
    }

    @Test("of a record's length is a miss")
    func length() throws {
        try damage({ $0.pages }, path[4].bytes) { $0.removeLast(100) }
        try expect(32, reason: .damagedRecord, page: path[4])
    }

    @Test("of a node is a miss", arguments: [0, 40, 64, 68, 77, 90, 110])
    func node(byte: Int) throws {
        try damage({ $0.nodes }, path[4].bytes) { $0[byte] ^= 0x10 }
        try expect(32, reason: .damagedNode, page: path[4])
    }

    @Test("that swaps two records never delivers one for the other")
    func swapped() throws {
        try withTables(folder.store) { transaction, tables in
            let values = try [path[3], path[4]].map { hash in
                try #require(
                    try transaction.read(tables.pages, hash.bytes) { bytes -> [UInt8]? in
                        (0..<bytes.byteCount).map { unsafe bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
                    }.record)
            }
            try transaction.write(tables.pages, path[3].bytes, values[1])
            try transaction.write(tables.pages, path[4].bytes, values[0])
        }
        try expect(24, reason: .damagedRecord, page: path[3], damaged: 2)
    }

    @Test("that loses a record is a miss")
    func missingRecord() throws {
        try withTables(folder.store) { transaction, tables in try transaction.erase(tables.pages, path[4].bytes) }
        try expect(32, reason: .missingRecord, page: path[4])
    }

    @Test("that writes a sound node with other tokens is found by the prefix hash, which the tokens do not make")
    func wrongTokens() throws {
        let record = try #require(model.pages(tokens(64)).dropFirst(4).first)
        let name = PageName(
            root: model.root, parent: path[3], hash: path[4], firstToken: 32, tokens: tokens(8, from: 77)[...])
        let node = NodeRecord(
            name, codec: 1, flags: [], rawBytes: 1, encodedBytes: UInt64(record.bytes.encodedBytes), createdAt: 5)
        try withTables(folder.store) { transaction, tables in
            try transaction.write(tables.nodes, path[4].bytes, node.encoded(key: path[4]))
        }
        try expect(32, reason: .wrongTokens, page: path[4])
    }

    @Test("of the tokens of a page that a request would share in part is found too")
    func wrongTokensInPart() throws {
        let hash = model.path(tokens(16) + tokens(21, from: 500))[2]
        let record = try #require(model.pages(tokens(16) + tokens(21, from: 500)).dropFirst(2).first)
        let name = PageName(
            root: model.root, parent: path[1], hash: hash, firstToken: 16,
            tokens: [500, 501, 77, 78, 79, 80, 81, 82])
        let node = NodeRecord(
            name, codec: 1, flags: [], rawBytes: 1, encodedBytes: UInt64(record.bytes.encodedBytes), createdAt: 5)
        try withTables(folder.store) { transaction, tables in
            try transaction.write(tables.nodes, hash.bytes, node.encoded(key: hash))
        }
        let tier = try ColdTier(folder.store)
        #expect(try model.load(tokens(16) + [500, 501, 9], from: tier) == 16)
        #expect(tier.damagedPages == 1)
        try tier.flushTouches()
        #expect(try tier.statistics.quarantinedPages == 3)
        #expect(try model.load(tokens(64), from: tier) == 64)
    }

    @Test("of counters or nodes makes the next writer count again, and keep what cannot be counted")
    func recount() throws {
        var tier = try ColdTier(folder.store)
        let state = [UInt8](repeating: 1, count: 10)
        try unsafe tier.putSideState("state", of: path[0], state.span.bytes)
        let before = try tier.statistics
        tier.close()
        try withTables(folder.store) { transaction, tables in
            var counters = try #require(
                try transaction.read(tables.meta, MetaKey.counters) { CountersRecord($0) }.record)
            counters.pages = 5
            counters.slotBytes = 5
            counters.evicted = 123
            try transaction.write(tables.meta, MetaKey.counters, counters.encoded)
        }
        try damage({ $0.nodes }, path[7].bytes) { $0[70] ^= 1 }
        tier = try ColdTier(folder.store)
        try tier.setPrefillTime(nanosecondsPerToken: 1, of: model.root)
        let after = try tier.statistics
        #expect(after.pages == before.pages)
        #expect(after.usedBytes == before.usedBytes)
        #expect(after.sideStates == 1)
        #expect(after.quota == before.quota)
        #expect(after.evictedPages == 123)
        #expect(after.generation == before.generation + 1)
    }

    @Test("of a node that nobody reads is evicted like any other page")
    func unreadableEvicted() throws {
        for hash in path { try damage({ $0.nodes }, hash.bytes) { $0[70] ^= 1 } }
        let tier = try ColdTier(folder.store, quota: .mebibytes(4))
        var round: TokenID = 0
        while try tier.statistics.evictedPages < 1500 {
            round += 1
            _ = try tier.put(model.pages(tokens(64, from: 10_000 + 100 * round), now: 1_900_000_000_000))
        }
        #expect(try path.allSatisfy { try !tier.contains($0) })
        #expect(try tier.statistics.usedBytes <= 4 << 20)
        tier.close()
        try withTables(folder.store) { transaction, tables in
            let pages = try transaction.entryCount(tables.nodes)
            for table in [tables.pages, tables.recency, tables.queue] {
                #expect(try transaction.entryCount(table) == pages, "\(table.name)")
            }
        }
    }

    @Test("that is only a caller's wrong position or layout costs no page")
    func callersMistake() throws {
        let tier = try ColdTier(folder.store)
        let shifted = try tier.match(
            tokens(64), from: 8, parent: model.root, root: model.root, layout: model.layout, now: 2000)
        #expect(shifted.isEmpty)
        let other = try Model(pageSize: 8, width: 32)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: model.layout.bytesPerPage, alignment: 64)
        defer { unsafe memory.deallocate() }
        let load = unsafe RecordLoad(hash: path[0], tokens: 8, tokenCount: 8, target: PageTarget(memory, capacity: 8))
        let delivered = try tier.load([load], layout: other.layout)
        #expect(delivered == 0)
        try tier.flushTouches()
        #expect(try tier.statistics.quarantinedPages == 0)
        #expect(try model.load(tokens(64), from: tier) == 64)
    }

    @Test("of recency, edges, queue and counters costs no page")
    func bookkeeping() throws {
        try withTables(folder.store) { transaction, tables in
            for hash in path { try transaction.write(tables.recency, hash.bytes, [1, 2, 3]) }
            try transaction.write(tables.meta, MetaKey.counters, [UInt8](repeating: 7, count: 88))
            try transaction.write(tables.edges, path[0].bytes + [1, 2, 3], [])
            try transaction.write(tables.queue, [0, 1, 2], [])
            try transaction.write(tables.queue, [1] + [UInt8](repeating: 0, count: 44), [])
        }
        let tier = try ColdTier(folder.store, quota: .mebibytes(4))
        #expect(try model.load(tokens(64), from: tier) == 64)
        #expect(try tier.statistics.pages == 11)
        #expect(try tier.statistics.quota == .mebibytes(4))
        var round: TokenID = 0
        while try tier.statistics.evictedPages < 1500 {
            round += 1
            let report = try tier.put(model.pages(tokens(64, from: 10_000 + 100 * round), now: 1_900_000_000_000))
            #expect(report.count(.stored) == 8)
        }
        #expect(try tier.statistics.usedBytes <= 4 << 20)
    }

    @Test("of any one bit of the file never gives wrong bytes, and ends no process")
    func bitFlips() throws {
        let image = contents(folder.store + "/data.mdb")
        var generator = SplitMix64(seed: TestSeed.fixed(20_261_124, "flipped bits"))
        var misses = 0
        for _ in 0..<400 {
            let offset = Int.random(in: 0..<image.count, using: &generator)
            var copy = image
            copy[offset] ^= 1 << UInt8(offset % 8)
            let flipped = try TemporaryFolder()
            write(copy, to: flipped.path + "/data.mdb")
            let tier: ColdTier
            do throws(StoreError) { tier = try ColdTier(flipped.path) } catch {
                guard case .damaged = error else { throw error }
                misses += 1
                continue
            }
            let whole = try model.load(tokens(64), from: tier)
            let side = try model.load(tokens(16) + tokens(21, from: 500), from: tier)
            #expect(whole != nil && side != nil, "wrong bytes after a flip at \(offset)")
            if whole ?? 0 < 64 || side ?? 0 < 37 { misses += 1 }
        }
        #expect(misses > 10)
    }

    @Test("of a data file that lost its end ends no process: what is left is right, or the store is set aside")
    func endLost() throws {
        let file = folder.store + "/data.mdb"
        let whole = contents(file)
        var setAside = 0
        for kept in 2..<whole.count / 4096 {
            write(Array(whole.prefix(kept * 4096)), to: file)
            let tier = try ColdTier(folder.store)
            defer { tier.close() }
            #expect(try model.load(tokens(64), from: tier) != nil, "wrong bytes after a cut behind page \(kept)")
            _ = try tier.verify()
            if tier.setAsideNotice != nil { setAside += 1 }
        }
        #expect(setAside > 0)
    }

    private func contents(_ path: String) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: TemporaryFolder.size(path))
        let count = unsafe read(descriptor, &bytes, bytes.count)
        return Array(bytes.prefix(max(0, count)))
    }

    private func write(_ bytes: [UInt8], to path: String) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(descriptor) }
        #expect(unsafe Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
    }
}
