// Inserts for which the staging memory has no room.

import Glibc
import KVFormat
import StoreTestKit
import TestKit
import Testing

@testable import HotTier
@testable import PrefixStore

@Suite("An insert that is larger than the staging memory")
struct LargeInsertTests {
    private let folder: TemporaryFolder
    private let layout: KVLayout
    private let identity: ModelIdentity
    /// One page's bytes, which all pages have.
    private let bytes: [UInt8]
    /// 17 pages of 4 MiB, and a tail.
    private let tokens = (0..<(17 * 32 + 5)).map { TokenID($0) }

    init() throws {
        folder = try TemporaryFolder()
        layout = try KVLayout(layers: 32, kvHeads: 8, headDimension: 128, element: .bf16, pageSize: 32)
        identity = try GeneratedModel("large", layout: layout).identity
        var random = SplitMix64(seed: 7)
        let words = (0..<layout.bytesPerPage / 8).map { _ in random.next() & 0xC0FF_C0FF_C0FF_C0FF }
        bytes = unsafe words.withUnsafeBytes { unsafe Array($0) }
    }

    private func open(hot: ByteCount) throws -> Store {
        try Store(at: folder.path("store"), options: StoreOptions(quota: .mebibytes(512), hotCapacity: hot))
    }

    private func insert(into space: Space) throws -> Inserted {
        try unsafe bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { throw NoBytes() }
            return try space.insert(tokens) { _ in unsafe PageSource(base, capacity: 32) }
        }
    }

    /// What a match has loaded, and how many of its pages have other bytes than were inserted.
    private func load(from space: Space) throws -> (tokens: TokensByTier, wrong: Int) {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 18 * bytes.count, alignment: 64)
        defer { unsafe memory.deallocate() }
        guard let base = memory.baseAddress else { throw NoBytes() }
        let match = try space.match(tokens)
        let targets = (0..<match.pageCount).map { unsafe PageTarget(base + $0 * bytes.count, capacity: 32) }
        let loaded = try match.load(into: targets)
        let wrong = unsafe bytes.withUnsafeBytes { whole in
            guard let whole = whole.baseAddress else { return 17 }
            return (0..<17).count { unsafe memcmp(base + $0 * bytes.count, whole, bytes.count) != 0 }
        }
        return (loaded.tokensByTier, wrong)
    }

    private struct NoBytes: Error {}

    @Test("is encoded when the call returns, takes no staging memory, and is on disk after a flush")
    func isEncoded() throws {
        let store = try open(hot: .mebibytes(128))
        let space = try store.space(identity)
        #expect(try insert(into: space).newPages == 18)
        #expect(store.hot.staging.residentBytes == 0)
        let hot = try load(from: space)
        #expect(hot.tokens == TokensByTier(hot: tokens.count) && hot.wrong == 0)
        #expect(try insert(into: space).newPages == 0)
        #expect(store.hot.checkInvariants() == [])
        try store.close()
        let again = try open(hot: .zero)
        let cold = try load(from: again.space(identity))
        #expect(cold.tokens == TokensByTier(cold: tokens.count) && cold.wrong == 0)
        try again.close()
    }

    @Test("goes to disk as a whole when RAM has room for a part of it")
    func smallTier() throws {
        let store = try open(hot: .mebibytes(16))
        let space = try store.space(identity)
        #expect(try insert(into: space).newPages == 18)
        try store.flush()
        #expect(store.hot.statistics.residentBytes <= store.hot.statistics.capacity)
        #expect(store.hot.checkInvariants() == [])
        let read = try load(from: space)
        #expect(read.tokens.hot + read.tokens.cold == tokens.count && read.wrong == 0)
        try store.close()
    }
}
