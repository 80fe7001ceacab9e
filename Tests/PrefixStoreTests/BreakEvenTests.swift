// Break-even: when loading is worth it, and what is known about it in the next process.

import ColdTier
import StoreTestKit
import Testing
import TestKit

@testable import PrefixStore

@Suite("Break-even")
struct BreakEvenTests {
    let folder: TemporaryFolder
    let model: GeneratedModel
    let tokens = (0..<70).map { TokenID($0) }

    init() throws {
        folder = try TemporaryFolder()
        model = try GeneratedModel()
    }

    private func open() throws -> Store {
        try Store(
            at: folder.path("store"),
            options: StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(8), promotes: true))
    }

    @Test("holds for any load while the prefill time is unknown")
    func unknown() {
        let slow = BreakEven(hotRate: 1e6, coldRate: 1e9, remoteRate: 1, prefillTime: nil, bytesPerToken: 1000)
        #expect(slow.isWorthLoading(TokensByTier(hot: 5, cold: 7)))
        #expect(slow.tokensWorthLoading(of: TokensByTier(hot: 5, cold: 7)) == 12)
    }

    @Test("compares bytes at their tier's rate with tokens at the engine's")
    func estimates() {
        // 131,072 bytes per token, as an 8B model has: 25,000 prompt tokens per second are 3.3 GB/s.
        func at(_ coldRate: Double) -> BreakEven {
            BreakEven(hotRate: 0.1, coldRate: coldRate, remoteRate: 1, prefillTime: 40_000, bytesPerToken: 131_072)
        }
        #expect(at(0.5).loadTime(TokensByTier(hot: 2, cold: 3)) == 131_072 * (2 * 0.1 + 3 * 0.5))
        #expect(at(0.30).isWorthLoading(TokensByTier(hot: 0, cold: 1000)))
        #expect(!at(0.31).isWorthLoading(TokensByTier(hot: 0, cold: 1000)))
        // What RAM gives makes up for the disk in the whole, not for the part on disk.
        #expect(at(0.40).isWorthLoading(TokensByTier(hot: 1000, cold: 1000)))
        #expect(at(0.40).tokensWorthLoading(of: TokensByTier(hot: 1000, cold: 1000)) == 1000)
        #expect(at(0.30).tokensWorthLoading(of: TokensByTier(hot: 1000, cold: 1000)) == 2000)
    }

    @Test("leaves tokens out only where that saves a millisecond")
    func smallLoads() {
        let rates = BreakEven(hotRate: 0, coldRate: 2, remoteRate: 1, prefillTime: 1000, bytesPerToken: 1000)
        #expect(rates.tokensWorthLoading(of: TokensByTier(hot: 10, cold: 999)) == 1009)
        #expect(rates.tokensWorthLoading(of: TokensByTier(hot: 10, cold: 1000)) == 10)
        #expect(!rates.isWorthLoading(TokensByTier(hot: 0, cold: 999)))
    }

    @Test("leaves out what is in RAM too when the engine is faster than RAM, but not for the sake of what is on disk")
    func fastEngine() {
        let rates = BreakEven(hotRate: 2, coldRate: 4, remoteRate: 1, prefillTime: 1000, bytesPerToken: 1000)
        #expect(rates.tokensWorthLoading(of: TokensByTier(hot: 5000, cold: 5000)) == 0)
        #expect(rates.tokensWorthLoading(of: TokensByTier(hot: 5000, cold: 0)) == 0)
        let fastDisk = BreakEven(hotRate: 2, coldRate: 0.1, remoteRate: 1, prefillTime: 1000, bytesPerToken: 1000)
        #expect(fastDisk.tokensWorthLoading(of: TokensByTier(hot: 5000, cold: 50_000)) == 55_000)
    }

    @Test("follows the measured rates, large and recent loads before others, and one odd load not far")
    func rates() {
        var rate = LoadRate(assuming: 1)
        rate.record(bytes: 1000, nanoseconds: 2000)
        #expect(rate.nanosecondsPerByte == 2)
        rate.record(bytes: 750, nanoseconds: 750)
        #expect(rate.nanosecondsPerByte == 1.5)
        rate.record(bytes: 0, nanoseconds: 1_000_000)
        #expect(rate.nanosecondsPerByte == 1.5)
        rate.record(bytes: 1, nanoseconds: 1_000_000_000)
        #expect(rate.nanosecondsPerByte < 1.52)
        for _ in 0..<20 { rate.record(bytes: 1000, nanoseconds: 100_000) }
        #expect(rate.nanosecondsPerByte > 95 && rate.nanosecondsPerByte < 105)
    }

    @Test("knows in a new process what the engine was measured at in an earlier one")
    func persistence() throws {
        let first = try open()
        let space = try first.space(model.identity)
        #expect(space.prefillTimePerToken == nil)
        space.recordPrefill(tokens: 10, time: .nanoseconds(800_000))
        try first.flush()
        space.recordPrefill(tokens: 4096, time: .nanoseconds(4096 * 240_000))
        try first.close()
        let second = try open()
        // Half of what was, half of what is new: the average stands for so many tokens.
        #expect(try second.space(model.identity).prefillTimePerToken == .nanoseconds(160_000))
        #expect(try second.space(GeneratedModel("other").identity).prefillTimePerToken == nil)
        try second.close()
    }

    @Test("bears a report that no engine could mean, in this process and in later ones")
    func absurdReport() throws {
        let first = try open()
        let space = try first.space(model.identity)
        space.recordPrefill(tokens: 1, time: .seconds(Int64.max))
        #expect(space.prefillTimePerToken == .seconds(3600))
        let tokens = (0..<100).map { TokenID($0) }
        try space.insertGenerated(tokens, by: model)
        #expect(try space.loadGenerated(tokens, by: model).wrongBytes == 0)
        try first.close()
        let second = try open()
        #expect(try second.space(model.identity).loadGenerated(tokens, by: model).wrongBytes == 0)
        #expect(second.statistics.savedTime > .zero)
        try second.close()
    }

    @Test("averages by tokens, so that many short passes do not outweigh the long ones that took the time")
    func averagesByTokens() throws {
        let store = try open()
        let space = try store.space(model.identity)
        // 500 tokens at 100 us each, and then the ends of ten prompts, two tokens at a time, in passes that take 10 ms
        // each.
        for _ in 0..<20 {
            space.recordPrefill(tokens: 500, time: .nanoseconds(500 * 100_000))
            for _ in 0..<10 { space.recordPrefill(tokens: 2, time: .nanoseconds(10_000_000)) }
        }
        let all = (500 * 100_000 + 10 * 10_000_000) / 520.0
        let average = try #require(space.prefillTimePerToken) / .nanoseconds(1)
        #expect(abs(average - all) < 0.1 * all)
        try store.close()
    }

    @Test("does not cost a transaction when the engine's prefill time has hardly changed")
    func fewTransactions() throws {
        let store = try open()
        let space = try store.space(model.identity)
        space.recordPrefill(tokens: 10, time: .nanoseconds(800_000))
        try store.flush()
        let writes = try store.cold.statistics.generation
        space.recordPrefill(tokens: 10, time: .nanoseconds(840_000))
        try store.flush()
        #expect(try store.cold.statistics.generation == writes)
        try store.close()
    }

    @Test("is estimated by a match, and measured by loads")
    func matches() throws {
        let first = try open()
        try first.space(model.identity).insertGenerated(tokens, by: model)
        try first.close()
        let store = try open()
        let space = try store.space(model.identity)
        let bytes = Int64(70 * model.layout.bytesPerToken)
        let unmeasured = try space.match(tokens)
        let (isWorth, time) = (unmeasured.worthLoading, unmeasured.estimatedLoadTime)
        #expect(isWorth && time == .nanoseconds(bytes))
        #expect(try space.loadGenerated(tokens, by: model).loaded.tokensByTier.cold == 70)
        #expect(space.breakEven.coldRate != 1)
        #expect(space.breakEven.hotRate == LoadRate.hot.nanosecondsPerByte)
        store.finishPromotions()
        #expect(try space.loadGenerated(tokens, by: model).loaded.tokensByTier.hot == 70)
        #expect(space.breakEven.hotRate != LoadRate.hot.nanosecondsPerByte)
        space.recordPrefill(tokens: 1_000_000, time: .nanoseconds(1))
        let fast = try space.match(tokens).worthLoading
        #expect(!fast)
        space.recordSkipped(tokens: 70)
        #expect(store.statistics.skippedTokens == 70)
        try store.close()
    }
}
