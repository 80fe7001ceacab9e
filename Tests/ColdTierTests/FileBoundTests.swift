// The length of the data file: what it may become beside the quota, whatever is stored and whoever reads.

import ColdTier
import KVFormat
import LMDB
import Records
import Testing
import TestKit
import Threads

@Suite("The data file")
struct FileBoundTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Models whose pages of 16 tokens take 4 KiB, 64 KiB and 1 MiB: small ones leave holes that no large one fits.
    private func models() throws -> [Model] {
        try [(4, 40), (16, 640), (16, 8192)].map { try Model("width \($1)", pageSize: $0, width: $1) }
    }

    private struct Churn {
        var largest = 0
        var stored = 0
        var refused = 0
    }

    /// Stores prompts of all models, pins some, and gives some a side state, until some times the quota was written.
    private func churn(_ tier: ColdTier, quota: ByteCount, seed: UInt64, times: Int = 6) throws -> Churn {
        let models = try models()
        for model in models { try tier.open(space: model.descriptor) }
        var random = SplitMix64(seed: seed)
        var result = Churn()
        var pinned: [[PrefixHash]] = []
        var (written, now) = (0, Int64(1_700_000_000_000))
        while written < times * Int(quota.value) {
            now += 60_000
            // Runs of one size, so that the free space has been cut into its pieces when the other comes.
            let model = models[Int(now / 60_000 / 40) % models.count]
            let start = TokenID.random(in: 0..<1 << 30, using: &random)
            let length = Int.random(in: 1...(6 * model.layout.pageSize), using: &random)
            let pages = model.pages(tokens(length, from: start), now: now)
            let report = try tier.put(pages)
            written += report.slotBytes
            result.stored += report.count(.stored)
            result.refused += report.count(.noRoom)
            let path = Array(pages.map(\.name.hash).prefix(report.count(.stored)))
            if let last = path.last, report.outcomes.allSatisfy({ $0 == .stored }) {
                switch Int.random(in: 0..<20, using: &random) {
                case 0:
                    try tier.pin(path: path)
                    pinned.append(path)
                    if pinned.count > 8 { try tier.unpin(path: pinned.removeFirst()) }
                case 1:
                    let state = [UInt8](repeating: 7, count: Int.random(in: 1...100_000, using: &random))
                    try? unsafe tier.putSideState("state", of: last, state.span.bytes)
                default: break
                }
            }
            let all = try tier.statistics
            #expect(UInt64(all.usedBytes) <= quota.value)
            result.largest = max(result.largest, all.fileBytes)
        }
        #expect(result.largest == TemporaryFolder.size(folder.store + "/data.mdb"))
        #expect(try tier.verify().findings.isEmpty)
        return result
    }

    @Test(
        "may have twice a quota of 8 MiB, 1.35 times one of 32 MiB to 256 MiB, and 1.1 times one of 1 GiB or more",
        arguments: [
            (ByteCount.mebibytes(8), 2.0), (.mebibytes(32), 1.35), (.mebibytes(256), 1.35), (.mebibytes(512), 1.18),
            (.gibibytes(1), 1.1), (.gibibytes(50), 1.1),
        ])
    func bound(quota: ByteCount, times: Double) {
        #expect(abs(Double(ColdTier.fileBound(of: quota)) / Double(quota.value) - times) < 0.005)
    }

    @Test("stays within 1.35 times the quota with pages of every size, pins and side states", arguments: [1, 2])
    func mixtures(seed: UInt64) throws {
        let quota = ByteCount.mebibytes(32)
        let churn = try churn(ColdTier(folder.store, quota: quota), quota: quota, seed: seed)
        print(
            "mixed pages, seed \(seed): file \(Double(churn.largest) / Double(quota.value)) times the quota,",
            "\(churn.refused) of \(churn.stored + churn.refused) pages refused")
        #expect(churn.largest <= Int(quota.value) * 135 / 100)
        #expect(churn.refused * 20 <= churn.stored, "pages that find no hole must stay rare")
    }

    @Test("stays within twice a quota that is small", arguments: [1, 2])
    func smallQuota(seed: UInt64) throws {
        let quota = ByteCount.mebibytes(8)
        let churn = try churn(ColdTier(folder.store, quota: quota), quota: quota, seed: seed, times: 12)
        print(
            "mixed pages, small quota, seed \(seed): file \(Double(churn.largest) / Double(quota.value)) times it,",
            "\(churn.refused) of \(churn.stored + churn.refused) pages refused")
        #expect(churn.largest <= 2 * Int(quota.value))
        #expect(churn.refused * 10 <= churn.stored)
    }

    @Test("has room for large pages between small ones, which are moved: the store is not emptied for a run")
    func largeBetweenSmall() throws {
        let quota = ByteCount.mebibytes(32)
        let tier = try ColdTier(folder.store, quota: quota)
        let small = try [40, 90, 150].map { try Model("small \($0)", pageSize: 16, width: $0) }
        let large = try Model(
            "large",
            layout: KVLayout(layers: 25, kvHeads: 1, headDimension: 1024, element: .bf16, pageSize: 16))
        for model in small + [large] { try tier.open(space: model.descriptor) }
        var (written, number) = (0, 0)
        while written < Int(quota.value) * 3 / 2 {
            // One transaction has pages of all sizes, and its share of the index behind them.
            let batch = (0..<20).flatMap { index in
                small[index % 3].pages(tokens(48, from: TokenID(number + index) * 100), now: Int64(number))
            }
            number += 20
            written += try tier.put(batch).slotBytes
        }
        let before = try tier.statistics.pages
        var stored = 0
        for index in 0..<8 {
            let page = large.pages(tokens(16, from: TokenID(5_000_000 + index * 100)), now: Int64(number + index))
            stored += try tier.put(page).count(.stored)
        }
        let all = try tier.statistics
        print(
            "large pages between \(before) small ones: \(stored) of 8 stored, \(all.pages) pages in all,",
            "file \(Double(all.fileBytes) / Double(quota.value)) times the quota")
        #expect(stored == 8)
        #expect(all.pages * 5 >= before * 2, "13 of 32 MiB are new")
        #expect(all.fileBytes <= Int(quota.value) * 135 / 100)
        #expect(try tier.verify().findings.isEmpty)
        for index in 0..<8 {
            let start = tokens(16, from: TokenID(5_000_000 + index * 100))
            #expect(try tier.held(large.path(start), usedAt: nil).count == 1)
        }
    }

    @Test("stays within its bound while a reader stands still: new pages are refused, and nothing is an error")
    func standingReader() throws {
        let quota = ByteCount.mebibytes(32)
        let tier = try ColdTier(folder.store, quota: quota)
        let model = try Model(pageSize: 16, width: 640)
        try tier.open(space: model.descriptor)
        let used = tokens(64, from: 900_000)
        _ = try tier.put(model.pages(used))
        let next = Guarded<TokenID>(0)
        /// Stores prompts and uses one, and says how many pages were stored and refused.
        @Sendable func work(_ rounds: Int) throws -> (stored: Int, refused: Int) {
            var (stored, refused) = (0, 0)
            for _ in 0..<rounds {
                let start = next.withLock { next -> TokenID in
                    next += 1000
                    return next
                }
                let report = try tier.put(model.pages(tokens(64, from: start), now: Int64(start)))
                stored += report.count(.stored)
                refused += report.count(.noRoom)
                tier.touch(model.path(used), now: Int64(start))
                try tier.flushTouches()
            }
            return (stored, refused)
        }
        #expect(try work(300).refused == 0)
        let held = try tier.reading { (_) throws(LMDBError) in
            // Its own thread: a thread that reads may not write as well.
            let outcome = Guarded<[(stored: Int, refused: Int)]>([])
            let writer = try? Thread { if let done = try? work(600) { outcome.withLock { $0.append(done) } } }
            writer?.join()
            return outcome.withLock { $0 }
        }
        let outcome = try #require(held.first, "nothing threw")
        #expect(outcome.refused > 0, "the snapshot keeps what was evicted")
        let file = try tier.statistics.fileBytes
        print("a standing reader: file \(Double(file) / Double(quota.value)) times the quota, \(outcome)")
        #expect(file <= Int(quota.value) * 135 / 100)
        #expect(try tier.statistics.pages > 100, "the store was not emptied in vain")
        #expect(try work(20).refused == 0, "the reader has gone on")
        #expect(try tier.verify().findings.isEmpty)
    }
}
