// The spill writer over a real tier: encoders, pages that are known, the limit on bytes a second.

import Glibc
import KVFormat
import PageCodec
import Records
import Testing
import TestKit
import Threads

@testable import ColdTier

/// A page's bytes, for as long as a job needs them.
@safe
private final class PageBytes: @unchecked Sendable {
    // Unchecked because the bytes are written once, in `init`.
    private let base: UnsafeMutableRawPointer
    let source: PageSource

    init(_ bytes: [UInt8], tokens: Int) {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
        unsafe memory.copyBytes(from: bytes)
        guard let address = memory.baseAddress else { preconditionFailure("a page without bytes") }
        unsafe base = address
        source = unsafe PageSource(base, capacity: tokens)
    }

    deinit { unsafe base.deallocate() }
}

@Suite("Spilling to a tier")
struct SpillToTierTests {
    let folder: TemporaryFolder
    private let outcomes = Guarded<[PrefixHash: [SpillOutcome]]>([:])

    init() throws { folder = try TemporaryFolder() }

    private func outcomes(of hash: PrefixHash) -> [SpillOutcome] { outcomes.withLock { $0[hash] ?? [] } }

    private func tier(_ model: Model) throws -> ColdTier {
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        return tier
    }

    /// The pages of `tokens` as they come from the hot tier.
    private func jobs(_ tokens: [TokenID], _ model: Model, now: Int64 = 1000) -> [SpillJob] {
        let hashes = model.path(tokens)
        let size = model.layout.pageSize
        return hashes.indices.map { index in
            let range = index * size..<min((index + 1) * size, tokens.count)
            let bytes = PageBytes(model.bytes(tokens, range), tokens: range.count)
            let hash = hashes[index]
            let name = PageName(
                root: model.root, parent: index == 0 ? model.root : hashes[index - 1], hash: hash,
                firstToken: range.lowerBound, tokens: tokens[range])
            return SpillJob(
                name, layout: model.layout, insertedAt: now, source: bytes.source, keepAlive: bytes,
                onDone: { [outcomes] outcome in outcomes.withLock { $0[hash, default: []].append(outcome) } })
        }
    }

    @Test(
        "stores pages byte for byte, whatever the codec, however many encode, and whatever the memory was used for before",
        arguments: StoreCodec.allCases, [1, 3])
    func comesBack(codec: StoreCodec, encoders: Int) throws {
        let model = try Model("spill \(codec)", pageSize: 64, width: 256)
        let tier = try tier(model)
        let writer = SpillWriter(
            into: tier, codec: codec, readingAt: ReadRate(),
            options: SpillOptions(batchBytes: .kibibytes(700), batchMilliseconds: 0, encoders: encoders))
        // Pages of 256 KiB with tails of all sizes between: each record's memory is used for several of them.
        let sequences = (1...6).map { tokens(64 * $0 + 9 * $0, from: TokenID(1000 * $0)) }
        for sequence in sequences { for job in jobs(sequence, model) { #expect(writer.enqueue(job) == .queued) } }
        try writer.flush()
        for sequence in sequences {
            #expect(try model.load(sequence, from: tier) == sequence.count)
            for hash in model.path(sequence) { #expect(outcomes(of: hash) == [.stored]) }
        }
        try writer.close()
        tier.close()
    }

    @Test("looks pages up before encoding them; those that are stored count as used and cost no transaction")
    func known() throws {
        let model = try Model()
        let tier = try tier(model)
        let (short, long) = (tokens(8), tokens(16))
        _ = try tier.put(model.pages(short, now: 1000))
        #expect(try tier.held(model.path(long), usedAt: nil) == Set(model.path(short)))
        let writer = SpillWriter(
            into: tier, codec: .zstd, readingAt: ReadRate(), options: SpillOptions(batchMilliseconds: 0))
        let generation = try tier.statistics.generation
        for job in jobs(short, model, now: 3000) { _ = writer.enqueue(job) }
        try writer.flush()
        #expect(writer.statistics.knownPages == 2)
        #expect(writer.statistics.batches == 0)
        #expect(try tier.statistics.generation == generation)
        for job in jobs(long, model, now: 4000) { _ = writer.enqueue(job) }
        try writer.close()
        let path = model.path(long)
        #expect(
            path.map { outcomes(of: $0) } == [
                [.alreadyThere, .alreadyThere], [.alreadyThere, .alreadyThere], [.stored], [.stored],
            ])
        #expect(writer.statistics.spilledPages == 2)
        #expect(try model.load(long, from: tier) == 16)
        tier.close()
        try withTables(folder.store) { transaction, tables in
            let first = try transaction.recency(path[0], tables).record
            #expect(first?.uses == 3)
            #expect(first?.use.last == 4000)
        }
    }

    @Test("does not take a page for known that is under suspicion")
    func suspects() throws {
        let model = try Model()
        let tier = try tier(model)
        let path = model.path(tokens(4))
        _ = try tier.put(model.pages(tokens(4)))
        tier.pending.quarantine(path[0], .damagedRecord)
        #expect(try tier.held(path, usedAt: nil).isEmpty)
        tier.close()
        #expect(throws: StoreError.closed) { try tier.held(path, usedAt: nil) }
    }

    @Test("keeps to its limit on bytes a second, but lets neither a flush nor a close wait for it")
    func limit() throws {
        let model = try Model()
        let tier = try tier(model)
        // At one byte per second, the second page would come after some minutes.
        let writer = SpillWriter(
            into: tier, codec: .raw, readingAt: ReadRate(),
            options: SpillOptions(batchMilliseconds: 0, bytesPerSecond: ByteCount(1)))
        let pages = jobs(tokens(16), model)
        #expect(writer.enqueue(pages[0]) == .queued)
        try writer.flush()
        #expect(try tier.contains(pages[0].name.hash))
        #expect(writer.enqueue(pages[1]) == .queued)
        usleep(30_000)
        #expect(outcomes(of: pages[1].name.hash).isEmpty)
        try writer.flush()
        #expect(outcomes(of: pages[1].name.hash) == [.stored])
        for page in pages[2...] { #expect(writer.enqueue(page) == .queued) }
        try writer.close()
        #expect(try model.load(tokens(16), from: tier) == 16)
        tier.close()
    }
}
