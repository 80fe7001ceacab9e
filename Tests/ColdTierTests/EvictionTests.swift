// The quota: what goes when there is no room, what stays, and how large the file gets.

import ColdTier
import Glibc
import KVFormat
import PageCodec
import Records
import Testing
import TestKit
import Threads

@Suite("The quota")
struct EvictionTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A model whose pages of 16 tokens are 40 to 100 KiB as the codec leaves them, by its token width.
    private func wideModels() throws -> [Model] {
        try [640, 1000, 1400].map { try Model("wide \($0)", pageSize: 16, width: $0) }
    }

    @Test("keeps the file within 1.35 times itself under churn, and the prefixes that are used")
    func churn() throws {
        let quota = ByteCount.mebibytes(64)
        let tier = try ColdTier(folder.store, quota: quota)
        let models = try wideModels()
        for model in models { try tier.open(space: model.descriptor) }
        var now: Int64 = 1_700_000_000_000
        let used = tokens(16 * 8)
        _ = try tier.put(models[1].pages(used, now: now))
        var written = 0
        var sequence: TokenID = 1000
        var largest = 0
        while written < 3 * Int(quota.value) {
            now += 60_000
            sequence += 1000
            // Every sequence has its first page alone and six that follow it.
            let model = models[Int(sequence / 1000) % models.count]
            let report = try tier.put(model.pages(tokens(16 * 7, from: sequence), now: now))
            #expect(report.count(.stored) == 7)
            written += report.slotBytes
            tier.touch(models[1].path(used), now: now)
            let all = try tier.statistics
            #expect(UInt64(all.usedBytes) <= quota.value)
            largest = max(largest, all.fileBytes)
        }
        #expect(largest <= Int(quota.value) * 135 / 100)
        #expect(largest == TemporaryFolder.size(folder.store + "/data.mdb"))
        #expect(largest > Int(quota.value) * 8 / 10)
        #expect(try models[1].load(used, from: tier) == used.count)
        #expect(try tier.statistics.evictedPages > 0)
        print("churn: file \(Double(largest) / Double(quota.value)) times the quota")
    }

    @Test("keeps the file within 1.35 times itself when pages come in every size", arguments: [1, 2])
    func mixedChurn(seed: UInt64) throws {
        let quota = ByteCount.mebibytes(32)
        let tier = try ColdTier(folder.store, quota: quota)
        var random = SplitMix64(seed: seed)
        // 20 models with pages of 8 KiB to 1 MiB, so that nearly every class of slots is in use.
        let models = try (0..<20).map { number in
            let width = Int(exp2(Double.random(in: 6...13, using: &random))) & ~7
            return try Model("mixed \(number)", pageSize: 16, width: width)
        }
        for model in models { try tier.open(space: model.descriptor) }
        var written = 0
        var largest = 0
        var now: Int64 = 1_700_000_000_000
        while written < 3 * Int(quota.value) {
            now += 60_000
            let model = models[Int.random(in: 0..<models.count, using: &random)]
            let start = TokenID.random(in: 0..<1 << 30, using: &random)
            // Tails of any length make sizes between those of the models.
            let length = Int.random(in: 1...40, using: &random)
            let report = try tier.put(model.pages(tokens(length, from: start), now: now))
            written += report.slotBytes
            let all = try tier.statistics
            #expect(UInt64(all.usedBytes) <= quota.value)
            largest = max(largest, all.fileBytes)
        }
        #expect(largest <= Int(quota.value) * 135 / 100)
        #expect(largest == TemporaryFolder.size(folder.store + "/data.mdb"))
        print("mixed churn: file \(Double(largest) / Double(quota.value)) times the quota")
    }

    @Test("evicts leaves before what they follow: what is left of a sequence is its beginning")
    func leavesFirst() throws {
        let tier = try ColdTier(folder.store, quota: .mebibytes(4))
        let model = try Model(pageSize: 16, width: 640)
        try tier.open(space: model.descriptor)
        for round in 0..<40 {
            let sequence = tokens(16 * 10, from: TokenID(1000 * round))
            _ = try tier.put(model.pages(sequence, now: Int64(round) * 1000))
            for earlier in 0...round {
                let path = model.path(tokens(16 * 10, from: TokenID(1000 * earlier)))
                let there = try path.map { try tier.contains($0) }
                #expect(there == there.sorted { $0 && !$1 }, "a page without its parent in round \(round)")
            }
        }
    }

    @Test("learns that shared beginnings come back and single requests do not, and remembers it when opened again")
    func learned() throws {
        let model = try Model(pageSize: 16, width: 640)
        let start = SystemClock.wallMilliseconds()
        var single: TokenID = 0
        func store(singles count: Int, in tier: ColdTier) throws {
            for _ in 0..<count {
                single += 1
                _ = try tier.put(model.pages(tokens(32, from: 10_000 + 100 * single), now: start - 30_000))
            }
        }
        let shared = tokens(160)
        do {
            let tier = try ColdTier(folder.store, quota: .mebibytes(4))
            try tier.open(space: model.descriptor)
            // Twice what fits, each used once.
            while try tier.statistics.evictedPages < 200 { try store(singles: 1, in: tier) }
            _ = try tier.put(model.pages(shared, now: start - 90_000))
            for second in Int64(0)..<20 {
                tier.touch(model.path(shared), now: start - 80_000 + 1_000 * second, as: .branch)
                try tier.flushTouches()
            }
            tier.close()
        }
        let tier = try ColdTier(folder.store, quota: .mebibytes(4))
        // Every single is newer than the last use of the shared pages.
        let before = try tier.statistics.evictedPages
        while try tier.statistics.evictedPages < before + 300 { try store(singles: 1, in: tier) }
        #expect(try model.load(shared, from: tier) == 160)
        #expect(try tier.verify().findings.isEmpty)
        tier.close()
    }

    @Test("spares a parent whose last use is older until its children are gone")
    func lowParents() throws {
        let tier = try ColdTier(folder.store, quota: .mebibytes(4))
        let model = try Model(pageSize: 16, width: 640)
        try tier.open(space: model.descriptor)
        let deep = tokens(16 * 6)
        // Each page is stored later than the one before, and nobody touches those before.
        for page in 0..<6 {
            let all = model.pages(Array(deep.prefix(16 * (page + 1))), now: Int64(1000 + 1_000_000 * page))
            _ = try tier.put([all[page]])
        }
        for round in 0..<30 {
            _ = try tier.put(model.pages(tokens(64, from: TokenID(10_000 + 100 * round)), now: 5000))
        }
        #expect(try tier.statistics.evictedPages > 20)
        #expect(try model.load(deep, from: tier) == deep.count)
    }

    @Test("refuses a page that is larger than itself, and one for which only pinned pages could go")
    func noRoom() throws {
        let tier = try ColdTier(folder.store, quota: .mebibytes(4))
        let model = try Model(pageSize: 16, width: 640)
        try tier.open(space: model.descriptor)
        let large = try Model("large", pageSize: 16, width: 8192)
        let larger = try Model(
            "larger", layout: KVLayout(layers: 40, kvHeads: 4, headDimension: 1024, element: .bf16, pageSize: 16))
        try tier.open(space: large.descriptor)
        try tier.open(space: larger.descriptor)
        #expect(try tier.put(larger.pages(tokens(16))).outcomes == [.noRoom])
        let pinned = tokens(16 * 100)
        var stored: [TokenID] = []
        for page in 0..<100 {
            let sequence = Array(pinned.prefix(16 * (page + 1)))
            guard try tier.put([model.pages(sequence)[page]]).outcomes == [.stored] else { break }
            try tier.pin(path: [model.path(sequence)[page]])
            stored = sequence
        }
        #expect(stored.count < pinned.count)
        #expect(try tier.put(large.pages(tokens(16))).outcomes == [.noRoom])
        #expect(try model.load(stored, from: tier) == stored.count)
        #expect(throws: StoreError.quotaFull(quota: .mebibytes(4))) {
            let state = (0..<1 << 20).map { UInt8(truncatingIfNeeded: SplitMix64.mix(UInt64($0))) }
            try unsafe tier.putSideState("state", of: model.path(stored)[0], state.span.bytes)
        }
        try tier.unpin(path: model.path(stored))
        #expect(try tier.put(large.pages(tokens(16))).outcomes == [.stored])
    }

    @Test("that is lowered at open is reached with the next put")
    func lowered() throws {
        let model = try Model(pageSize: 16, width: 640)
        do {
            let tier = try ColdTier(folder.store, quota: .mebibytes(16))
            try tier.open(space: model.descriptor)
            for round in 0..<30 { _ = try tier.put(model.pages(tokens(64, from: TokenID(100 * round)), now: 5000)) }
            #expect(try tier.statistics.usedBytes > 5 << 20)
            tier.close()
        }
        let tier = try ColdTier(folder.store, quota: .mebibytes(4))
        _ = try tier.put(model.pages(tokens(16, from: 90_000), now: 6000))
        #expect(try tier.statistics.usedBytes <= 4 << 20)
        #expect(try tier.statistics.quota == .mebibytes(4))
    }

    @Test("counts exactly what is stored, after any mixture of puts and evictions")
    func exactCounters() throws {
        let tier = try ColdTier(folder.store, quota: .mebibytes(4))
        let model = try Model(pageSize: 16, width: 640)
        try tier.open(space: model.descriptor)
        for round in 0..<40 { _ = try tier.put(model.pages(tokens(50, from: TokenID(100 * round)), now: Int64(round))) }
        let used = try tier.statistics.usedBytes
        var expected = 0
        for round in 0..<40 {
            let sequence = tokens(50, from: TokenID(100 * round))
            for page in model.pages(sequence) where try tier.contains(page.name.hash) {
                expected += SlotSize.slotBytes(holding: page.bytes.encodedBytes)
                expected += NodeRecord.indexBytes(tokens: page.name.tokens.count)
            }
        }
        #expect(used == expected)
    }
}

@Suite("Pins and expiry")
struct PinTests {
    let folder: TemporaryFolder
    let model: Model
    let tier: ColdTier

    init() throws {
        folder = try TemporaryFolder()
        model = try Model(pageSize: 16, width: 640)
        tier = try ColdTier(folder.store, quota: .mebibytes(4))
        try tier.open(space: model.descriptor)
    }

    private func churn(_ now: Int64 = 1_000_000) throws {
        let target = try tier.statistics.evictedPages + 150
        var round: TokenID = 0
        while try tier.statistics.evictedPages < target {
            round += 1
            _ = try tier.put(model.pages(tokens(32, from: 100_000 + round * 100), now: now + Int64(round)))
        }
    }

    @Test("keep a prefix through any churn and across a reopen, until it is unpinned as often as pinned")
    func pins() throws {
        let prefix = tokens(40)
        _ = try tier.put(model.pages(prefix))
        try tier.pin(path: model.path(prefix))
        try tier.pin(path: model.path(prefix))
        try churn()
        #expect(try model.load(prefix, from: tier) == 40)
        try tier.unpin(path: model.path(prefix))
        try churn()
        #expect(try model.load(prefix, from: tier) == 40)
        try tier.unpin(path: model.path(prefix))
        try tier.unpin(path: model.path(prefix))
        try churn()
        #expect(try model.match(prefix, in: tier).isEmpty)
    }

    @Test("refuse a path that is not there, and change nothing")
    func missing() throws {
        let prefix = tokens(40)
        _ = try tier.put(Array(model.pages(prefix).prefix(2)))
        let path = model.path(prefix)
        #expect(throws: StoreError.noSuchPage(path[2].short)) { try tier.pin(path: path) }
        #expect(throws: StoreError.noSuchPage(path[2].short)) { try tier.setExpiry(of: path[2], at: nil) }
        #expect(throws: StoreError.noSuchPage(path[2].short)) { _ = try tier.remove(path[2]) }
        #expect(throws: StoreError.noSuchPage(path[2].short)) { _ = try tier.path(to: path[2]) }
        #expect(throws: StoreError.invalidOption("an expiry before 1970")) {
            try tier.setExpiry(of: path[0], at: Timestamp(milliseconds: -1))
        }
        try churn()
        #expect(try model.match(prefix, in: tier).isEmpty)
    }

    @Test("make an expired page a miss with all that follows it, and the first to go")
    func expiry() throws {
        let prefix = tokens(64)
        _ = try tier.put(model.pages(prefix, now: 2_000_000))
        try tier.setExpiry(of: model.path(prefix)[1], at: Timestamp(milliseconds: 5000))
        #expect(try model.load(prefix, from: tier, now: 4999) == 64)
        #expect(try model.load(prefix, from: tier, now: 5000) == 16)
        try churn()
        #expect(try model.match(prefix, in: tier, now: 4000).count == 1)
        #expect(try tier.contains(model.path(prefix)[0]))
        #expect(try !tier.contains(model.path(prefix)[3]))
    }

    @Test("of the future do not keep a page, nor let it go before its turn")
    func futureExpiry() throws {
        let dated = tokens(32)
        let often = tokens(32, from: 700)
        _ = try tier.put(model.pages(dated))
        _ = try tier.put(model.pages(often, now: 2_000_000))
        let late = Timestamp(milliseconds: .max / 2)
        for hash in model.path(dated) + model.path(often) { try tier.setExpiry(of: hash, at: late) }
        try churn()
        #expect(try model.match(dated, in: tier).isEmpty)
        #expect(try model.load(often, from: tier) == 32)
    }

    @Test("let a date be taken off again")
    func noExpiry() throws {
        _ = try tier.put(model.pages(tokens(16)))
        try tier.setExpiry(of: model.path(tokens(16))[0], at: Timestamp(milliseconds: 5))
        #expect(try model.matched(tokens(16), in: tier) == 0)
        try tier.setExpiry(of: model.path(tokens(16))[0], at: nil)
        #expect(try model.matched(tokens(16), in: tier) == 16)
    }

    @Test("do not keep a subtree from being removed by name")
    func remove() throws {
        let prefix = tokens(64)
        _ = try tier.put(model.pages(prefix))
        _ = try tier.put(model.pages(tokens(32) + tokens(32, from: 500)))
        try tier.pin(path: model.path(prefix))
        #expect(try tier.path(to: model.path(prefix)[3]) == model.path(prefix))
        #expect(try tier.remove(model.path(prefix)[1]) == 5)
        #expect(try model.matched(prefix, in: tier) == 16)
        #expect(try tier.statistics.pages == 1)
        #expect(try tier.remove(model.path(prefix)[0]) == 1)
        #expect(try tier.statistics.usedBytes == 0)
    }
}
