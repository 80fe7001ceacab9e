// Pages in RAM are records: as small as on disk, checked like those, and sealed where the space is.

import HotTier
import KVFormat
import Records
import StoreTestKit
import TestKit
import Testing

@testable import PrefixStore

@Suite("A record in RAM")
struct HotRecordsTests {
    let folder: TemporaryFolder
    let model: GeneratedModel
    let tokens = (0..<100).map { TokenID($0) }

    init() throws {
        folder = try TemporaryFolder()
        model = try GeneratedModel()
    }

    private func open(_ key: SealingKey? = nil) throws -> Store {
        try Store(
            at: folder.path("store"),
            options: StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(4), sealingKey: key))
    }

    /// The record of a page in RAM.
    private func record(ofPage page: Int, in space: Space) throws -> RecordBytes {
        let lease = space.hot.match(tokens, now: 0)
        let count = lease.storedTokens(of: page)
        guard
            case .record(let record) = lease.content(of: page).page(
                lease.hash(of: page), tokens: count, space.layout, space.seal)
        else { throw MissingRecord() }
        // The page stays, because nothing is inserted meanwhile.
        return record
    }

    private struct MissingRecord: Error {}

    @Test("lets the same RAM hold 1.4 times the tokens, of bf16 as models have it")
    func capacity() throws {
        let layout = try KVLayout(layers: 4, kvHeads: 8, headDimension: 128, element: .bf16, pageSize: 32)
        let identity = try GeneratedModel("bf16", layout: layout).identity
        let rawPages = 32
        let store = try Store(
            at: folder.path("store"),
            options: StoreOptions(
                quota: .mebibytes(256), hotCapacity: ByteCount(UInt64(rawPages * layout.bytesPerPage)),
                codec: .kbit))
        let space = try store.space(identity)
        var random = SplitMix64(seed: 1)
        let elements = (0..<layout.bytesPerPage / 2).map { _ -> UInt16 in
            // Signs and mantissas at random; each further exponent is half as frequent.
            let bits = random.next()
            let exponent = UInt16(126 - min((bits >> 16).trailingZeroBitCount, 20))
            return UInt16(bits & 0x80) << 8 | exponent << 7 | UInt16(bits >> 8 & 0x7F)
        }
        let prompts = (0..<TokenID(2 * rawPages)).map { prompt in (0..<32).map { TokenID(1000) * prompt + $0 } }
        for prompt in prompts {
            try unsafe elements.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                _ = try space.insert(prompt) { _ in unsafe PageSource(base, capacity: 32) }
            }
            try store.flush()
        }
        #expect(store.hot.statistics.residentBytes <= store.hot.statistics.capacity)
        let held = try prompts.reduce(0) { try $0 + space.match($1).tokensByTier.hot }
        #expect(Double(held) >= 1.4 * Double(rawPages * 32))
        try store.close()
    }

    @Test("that is damaged there is a miss, is counted, and comes from the disk the next time")
    func damage() throws {
        let store = try open()
        let space = try store.space(model.identity)
        try space.insertGenerated(tokens, by: model)
        try store.flush()
        let held = try record(ofPage: 3, in: space)
        unsafe held.bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            let last = unsafe UnsafeMutableRawPointer(mutating: base + bytes.count - 1)
            unsafe last.storeBytes(of: ~last.load(as: UInt8.self), as: UInt8.self)
        }
        let damaged = try space.loadGenerated(tokens, by: model)
        #expect(damaged.loaded.tokens == 48 && damaged.wrongBytes == 0)
        #expect(store.statistics.damagedPages == 1)
        let again = try space.loadGenerated(tokens, by: model)
        #expect(again.loaded.tokensByTier == TokensByTier(hot: 48, cold: 52))
        #expect(again.wrongBytes == 0)
        #expect(store.hot.checkInvariants() == [])
        try store.close()
    }

    @Test("of a sealed space is sealed, and a hit opens it")
    func sealed() throws {
        let store = try open(SealingKey(bytes: Array(1...32)))
        let space = try store.space(model.identity)
        try space.insertGenerated(tokens, by: model)
        try store.flush()
        #expect(try record(ofPage: 0, in: space).isSealed)
        let read = try space.loadGenerated(tokens, by: model)
        #expect(read.loaded.tokensByTier == TokensByTier(hot: 100) && read.wrongBytes == 0)
        try store.close()
    }

    @Test("takes the place of what was inserted, which is loaded before and after")
    func settles() throws {
        let store = try open()
        let space = try store.space(model.identity)
        try space.insertGenerated(tokens, by: model)
        for _ in 0..<2 {
            let read = try space.loadGenerated(tokens, by: model)
            #expect(read.loaded.tokensByTier == TokensByTier(hot: 100) && read.wrongBytes == 0)
            try store.flush()
            #expect(store.hot.statistics.stagedBytes == .zero)
        }
        #expect(store.hot.statistics.dirtyPages == 0)
        try store.close()
    }
}
