// The cold tier against a dictionary of token runs: random puts, matches, pins, removals, expiry and reopens.

import ColdTier
import Glibc
import KVFormat
import LMDB
import Records
import Testing
import TestKit

@Suite("The cold tier")
struct ModelTests {
    /// What the tier should hold when nothing is evicted.
    private struct Shadow {
        /// Prefix hash -> the page's tokens and those before it.
        var pages: [PrefixHash: [TokenID]] = [:]

        /// The tokens that a match must find: for each stored page, what it shares with the request counts when all
        /// pages before it are shared whole.
        func expected(_ request: [TokenID]) -> Int {
            pages.values.map { zip($0, request).prefix { $0 == $1 }.count }.max() ?? 0
        }

        mutating func put(_ tokens: [TokenID], _ model: Model) {
            let size = model.layout.pageSize
            for (index, hash) in model.path(tokens).enumerated() where pages[hash] == nil {
                let run = Array(tokens.prefix((index + 1) * size))
                // A tail gives way to a longer page that begins with it.
                pages = pages.filter {
                    $0.value.count % size == 0 || $0.value.count / size != index || !run.starts(with: $0.value)
                }
                pages[hash] = run
            }
        }

        mutating func remove(_ prefix: [TokenID]) -> Int {
            let before = pages.count
            pages = pages.filter { !$0.value.starts(with: prefix) }
            return before - pages.count
        }
    }

    /// Few token ids and short sequences, so that they share beginnings all the time.
    private func sequence(_ generator: inout SplitMix64) -> [TokenID] {
        (0..<Int.random(in: 1...22, using: &generator)).map { _ in TokenID.random(in: 0...1, using: &generator) }
    }

    @Test("answers as a dictionary of token runs does, across reopens")
    func againstModel() throws {
        let seed = TestSeed.fresh("cold tier")
        var generator = SplitMix64(seed: seed)
        let folder = try TemporaryFolder()
        let model = try Model(pageSize: 5)
        var tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        var shadow = Shadow()
        for step in 0..<600 {
            let tokens = sequence(&generator)
            switch Int.random(in: 0..<20, using: &generator) {
            case 0..<7:
                let outcomes = try tier.put(model.pages(tokens, now: Int64(step))).outcomes
                #expect(outcomes.allSatisfy { $0 == .stored || $0 == .alreadyThere }, "seed \(seed), step \(step)")
                shadow.put(tokens, model)
            case 7..<15:
                let expected = shadow.expected(tokens)
                #expect(try model.load(tokens, from: tier) == expected, "seed \(seed), step \(step)")
            case 15..<17:
                tier.touch(model.path(tokens), now: Int64(step))
            case 17:
                guard let victim = shadow.pages.sorted(by: { $0.key < $1.key }).randomElement(using: &generator) else {
                    break
                }
                let removed = try tier.remove(victim.key)
                let isTail = victim.value.count % model.layout.pageSize != 0
                shadow.pages[victim.key] = nil
                let gone = isTail ? 1 : 1 + shadow.remove(victim.value)
                #expect(removed == gone, "seed \(seed), step \(step)")
            case 18:
                try tier.flushTouches()
            default:
                tier.close()
                tier = try ColdTier(folder.store)
            }
        }
        #expect(tier.damagedPages == 0)
        try checkInvariants(tier, folder, seed)
    }

    @Test("never gives wrong bytes and keeps its books while pages are evicted")
    func underEviction() throws {
        let seed = TestSeed.fresh("cold tier")
        var generator = SplitMix64(seed: seed)
        let folder = try TemporaryFolder()
        let model = try Model(pageSize: 5, width: 512)
        var tier = try ColdTier(folder.store, quota: .mebibytes(4))
        try tier.open(space: model.descriptor)
        for step in 0..<400 {
            let tokens = sequence(&generator)
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<6:
                // Orphans are what an eviction between two batches makes; the spared parent makes them impossible
                // within one.
                let outcomes = try tier.put(model.pages(tokens, now: Int64(step) * 100_000)).outcomes
                #expect(outcomes.allSatisfy { $0 == .stored || $0 == .alreadyThere }, "seed \(seed), step \(step)")
            case 6..<9:
                #expect(try model.load(tokens, from: tier) != nil, "seed \(seed), step \(step)")
                let use: PathUse = [.insert, .match, .branch][Int.random(in: 0..<3, using: &generator)]
                tier.touch(model.path(tokens), now: Int64(step) * 100_000, as: use)
            default:
                tier.close()
                tier = try ColdTier(folder.store, quota: .mebibytes(4))
            }
            #expect(try tier.statistics.usedBytes <= 4 << 20)
        }
        #expect(try tier.statistics.evictedPages > 0)
        #expect(tier.damagedPages == 0)
        try checkInvariants(tier, folder, seed)
    }

    /// Every table agrees with every other.
    private func checkInvariants(_ tier: ColdTier, _ folder: TemporaryFolder, _ seed: UInt64) throws {
        let all = try tier.statistics
        tier.close()
        try withTables(folder.store) { transaction, tables in
            let hashes = try transaction.keys(tables.nodes, from: [0], limit: .max) { _ in true }
                .compactMap { PrefixHash(bytes: $0) }
            #expect(hashes.count == all.pages, "seed \(seed)")
            for table in [tables.pages, tables.edges, tables.recency, tables.queue] {
                #expect(try transaction.entryCount(table) == hashes.count, "seed \(seed), \(table.name)")
            }
            for hash in hashes {
                let node = try #require(try transaction.node(hash, tables).record)
                let recency = try #require(try transaction.recency(hash, tables).record)
                let edge = EdgeKey(parent: node.parent, tokens: node.tokens, child: hash)
                #expect(try transaction.has(tables.edges, edge.encoded))
                #expect(try transaction.has(tables.pages, hash.bytes))
                for entry in QueueKey.entries(of: hash, recency, firstToken: node.firstToken) {
                    #expect(try transaction.has(tables.queue, entry.encoded))
                }
                #expect(PrefixHash.page(after: node.parent, tokens: node.tokens[...]) == hash)
                if node.parent != node.root { #expect(try transaction.has(tables.nodes, node.parent.bytes)) }
            }
        }
    }
}
