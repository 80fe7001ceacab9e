// Side states: stored with a page, gone with it.

import ColdTier
import KVFormat
import Testing
import TestKit

@Suite("A side state")
struct SideStateTests {
    let folder: TemporaryFolder
    let model: Model
    let tier: ColdTier

    init() throws {
        folder = try TemporaryFolder()
        model = try Model()
        tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        _ = try tier.put(model.pages(tokens(10)))
    }

    private var hash: PrefixHash { model.path(tokens(10))[2] }

    private func put(_ name: String, _ bytes: [UInt8], of hash: PrefixHash) throws(StoreError) {
        try unsafe tier.putSideState(name, of: hash, bytes.span.bytes)
    }

    private func blob(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: SplitMix64.mix(UInt64($0))) }
    }

    @Test("comes back byte for byte, also from a new handle", arguments: [0, 1, 5000, 70_000, 1_500_000])
    func roundTrip(count: Int) throws {
        try put("state", blob(count), of: hash)
        #expect(try tier.sideState("state", of: hash) == blob(count))
        tier.close()
        #expect(try ColdTier(folder.store).sideState("state", of: hash) == blob(count))
    }

    @Test("is replaced by one of the same name, and its bytes are counted once")
    func replaced() throws {
        let before = try tier.statistics.usedBytes
        try put("state", blob(200_000), of: hash)
        try put("state", blob(100), of: hash)
        #expect(try tier.sideState("state", of: hash) == blob(100))
        #expect(try tier.statistics.usedBytes == before + 4096)
        #expect(try tier.statistics.sideStates == 1)
    }

    @Test("is listed by name, and is another prefix's under the same name")
    func names() throws {
        for name in ["window", "logits", "r"] { try put(name, [1], of: hash) }
        try put("window", [2], of: model.path(tokens(10))[1])
        #expect(try tier.sideStateNames(of: hash) == ["logits", "r", "window"])
        #expect(try tier.sideState("window", of: hash) == [1])
        #expect(try tier.sideState("window", of: model.path(tokens(10))[1]) == [2])
        #expect(try tier.sideState("other", of: hash) == nil)
        #expect(try tier.sideState("", of: hash) == nil)
    }

    @Test("goes with its page")
    func goesWithPage() throws {
        let before = try tier.statistics.usedBytes
        try put("a", blob(5000), of: hash)
        try put("b", blob(5000), of: hash)
        #expect(try tier.statistics.usedBytes > before)
        _ = try tier.remove(hash)
        #expect(try tier.sideStateNames(of: hash).isEmpty)
        #expect(try tier.sideState("a", of: hash) == nil)
        #expect(try tier.statistics.sideStates == 0)
        _ = try tier.remove(model.path(tokens(10))[0])
        #expect(try tier.statistics.usedBytes == 0)
    }

    @Test("needs a page, a name of 1 to 64 bytes, and fewer than 16 others")
    func refused() throws {
        let missing = PrefixHash.sha256([9])
        #expect(throws: StoreError.noSuchPage(missing.short)) { try put("state", [1], of: missing) }
        #expect(throws: StoreError.invalidSideState("a name has 1 to 64 bytes")) { try put("", [1], of: hash) }
        for index in 0..<16 { try put("state \(index)", [1], of: hash) }
        #expect(throws: StoreError.invalidSideState("a prefix has at most 16 side states")) {
            try put("one more", [1], of: hash)
        }
        try put("state 3", [2], of: hash)
        #expect(try tier.sideState("state 3", of: hash) == [2])
    }

    @Test("that is damaged reads as missing, and is counted")
    func damaged() throws {
        try put("state", blob(9000), of: hash)
        let key = hash.bytes + Array("state".utf8)
        tier.close()
        try withTables(folder.store) { transaction, tables in
            try transaction.write(tables.sides, key, [UInt8](repeating: 3, count: 16_368))
        }
        let again = try ColdTier(folder.store)
        #expect(try again.sideState("state", of: hash) == nil)
        #expect(again.damagedPages == 1)
        #expect(try model.load(tokens(10), from: again) == 10)
    }
}
