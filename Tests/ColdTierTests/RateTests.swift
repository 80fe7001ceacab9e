// What is measured, and what is limited: rates of reading, of decoding and of spilling.

import KVFormat
import PageCodec
import Testing
import TestKit

@testable import ColdTier

@Suite("Rates")
struct RateTests {
    @Test("of reading are assumed until enough was read, and measured then")
    func assumedFirst() {
        var rate = MovingRate()
        #expect(rate.bytesPerSecond == MovingRate.assumed)
        rate.note(bytes: 1 << 20, nanoseconds: 1_000_000)
        #expect(rate.bytesPerSecond == MovingRate.assumed)
        for _ in 0..<3 { rate.note(bytes: 1 << 20, nanoseconds: 1_000_000) }
        #expect(abs(rate.bytesPerSecond - Double(1 << 20) * 1000) < 1)
    }

    @Test("of reading follow the disk as it gets slower, and are never beyond memory's")
    func moves() {
        var rate = MovingRate()
        for _ in 0..<64 { rate.note(bytes: 16 << 20, nanoseconds: 0) }
        #expect(rate.bytesPerSecond == 100e9)
        for _ in 0..<128 { rate.note(bytes: 16 << 20, nanoseconds: 160_000_000) }
        let slow = Double(16 << 20) / 0.16
        #expect(rate.bytesPerSecond > slow * 0.99)
        #expect(rate.bytesPerSecond < slow * 1.05)
    }

    @Test("of reading are measured by the loads of a tier")
    func loads() throws {
        let folder = try TemporaryFolder()
        let model = try Model("rates", pageSize: 64, width: 4096)
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        let sequence = tokens(256)
        _ = try tier.put(model.pages(sequence))
        #expect(tier.readRate.bytesPerSecond == MovingRate.assumed)
        #expect(try model.load(sequence, from: tier) == 256)
        #expect(tier.readRate.bytesPerSecond != MovingRate.assumed)
        #expect(tier.readRate.bytesPerSecond > 0)
        guard case .auto(let rates) = tier.choice(.auto) else {
            Issue.record("auto is another choice")
            return
        }
        #expect(rates.read == tier.readRate.bytesPerSecond)
        #expect(rates.raw == CodecCalibration.rates.raw)
        #expect(tier.choice(.raw) == .raw)
        #expect(tier.choice(.zstd) == .zstd)
        #expect(tier.choice(.kbit) == .kbit)
        tier.close()
    }

    @Test("of decoding are measured once a process, and are those of a machine of this world")
    func calibration() {
        let rates = CodecCalibration.rates
        for rate in [rates.raw, rates.kbit, rates.zstd] {
            #expect(rate > 1e6)
            #expect(rate < 1e12)
        }
        #expect(CodecCalibration.rates == rates)
    }

    @Test("of spilling make whoever has spent wait until it is paid for")
    func bucket() {
        var bucket = TokenBucket(bytesPerSecond: 1000)
        #expect(bucket.wait(now: 5) == 0)
        bucket.spend(500, now: 1_000_000_000)
        #expect(bucket.wait(now: 1_000_000_000) == 500_000_000)
        #expect(bucket.wait(now: 1_400_000_000) == 100_000_000)
        #expect(bucket.wait(now: 1_500_000_000) == 0)
        bucket.spend(500, now: 1_400_000_000)
        #expect(bucket.wait(now: 1_500_000_000) == 500_000_000)
    }

    @Test("of spilling save nothing up while nothing is spilled, and stay in range")
    func noSavings() {
        var bucket = TokenBucket(bytesPerSecond: 1000)
        bucket.spend(1000, now: 3_600_000_000_000)
        #expect(bucket.wait(now: 3_600_000_000_000) == 1_000_000_000)
        bucket.spend(.max, now: 3_600_000_000_000)
        let year: UInt64 = 365 * 86_400_000_000_000
        #expect(bucket.wait(now: 3_600_000_000_000) == year + 1_000_000_000)
        #expect(TokenBucket(bytesPerSecond: 0) == TokenBucket(bytesPerSecond: 1))
    }
}
