// What is measured, and what is limited: rates of reading, of decoding and of spilling.

import KVFormat
import PageCodec
import StoreTestKit
import Testing
import Threads

@testable import Records

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

    @Test("of reading tell a load from the disk from one of the page cache, if it was large enough")
    func tally() {
        let (memory, disk, small) = (ReadTally(), ReadTally(), ReadTally())
        let average = ReadRate()
        for _ in 0..<8 { memory.note(bytes: 1 << 20, nanoseconds: 50_000) }
        for _ in 0..<8 { disk.note(bytes: 1 << 20, nanoseconds: 1_000_000) }
        small.note(bytes: 1 << 10, nanoseconds: 1)
        #expect(!memory.isOfDisk(or: average))
        #expect(disk.isOfDisk(or: average))
        // Nothing is known yet, so that a disk is assumed.
        #expect(small.isOfDisk(or: average))
    }

    @Test("of reading are measured by the loads from a tier, and weighed under auto")
    func loads() throws {
        let layout = try KVLayout(layers: 4, kvHeads: 8, headDimension: 256, element: .bf16, pageSize: 64)
        let pages = try StoredPages("rates", layout: layout, sequences: [Array(1...256)])
        let tier = pages.tier()
        let team = Team(helpers: 1)
        defer { team.close() }
        let loader = RecordLoader(team)
        #expect(loader.readRate.bytesPerSecond == MovingRate.assumed)
        #expect(try pages.load(pages.sequences[0], from: tier, loader) == 256)
        #expect(loader.readRate.bytesPerSecond != MovingRate.assumed)
        #expect(loader.readRate.bytesPerSecond > 0)
        guard case .auto(let rates) = StoreCodec.auto.choice(readingAt: loader.readRate) else {
            Issue.record("auto is another choice")
            return
        }
        #expect(rates.read == loader.readRate.bytesPerSecond)
        #expect(rates.raw == CodecCalibration.rates.raw)
        #expect(StoreCodec.raw.choice(readingAt: loader.readRate) == .raw)
        #expect(StoreCodec.zstd.choice(readingAt: loader.readRate) == .zstd)
        #expect(StoreCodec.kbit.choice(readingAt: loader.readRate) == .kbit)
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

    @Test("of spilling make the writer wait until the average rate is within the limit")
    func limit() {
        var limit = RateLimit(bytesPerSecond: 1000)
        #expect(limit.wait(now: 5) == 0)
        limit.spend(500, now: 1_000_000_000)
        #expect(limit.wait(now: 1_000_000_000) == 500_000_000)
        #expect(limit.wait(now: 1_400_000_000) == 100_000_000)
        #expect(limit.wait(now: 1_500_000_000) == 0)
        limit.spend(500, now: 1_400_000_000)
        #expect(limit.wait(now: 1_500_000_000) == 500_000_000)
    }

    @Test("of spilling save nothing up while nothing is spilled, and stay in range")
    func noSavings() {
        var limit = RateLimit(bytesPerSecond: 1000)
        limit.spend(1000, now: 3_600_000_000_000)
        #expect(limit.wait(now: 3_600_000_000_000) == 1_000_000_000)
        limit.spend(.max, now: 3_600_000_000_000)
        let year: UInt64 = 365 * 86_400_000_000_000
        #expect(limit.wait(now: 3_600_000_000_000) == year + 1_000_000_000)
        #expect(RateLimit(bytesPerSecond: 0) == RateLimit(bytesPerSecond: 1))
    }
}
