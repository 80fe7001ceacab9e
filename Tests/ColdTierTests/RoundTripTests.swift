// What goes in comes out: in the same handle, in a new one, whole and in part.

import ColdTier
import KVFormat
import Records
import Testing
import TestKit

@Suite("Stored pages")
struct RoundTripTests {
    let folder: TemporaryFolder
    let model: Model

    init() throws {
        folder = try TemporaryFolder()
        model = try Model()
    }

    func filled(_ tokens: [TokenID]) throws -> ColdTier {
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        let report = try tier.put(model.pages(tokens))
        #expect(report.count(.stored) == model.path(tokens).count)
        return tier
    }

    @Test("come back byte for byte from the handle that stored them", arguments: [1, 3, 4, 5, 8, 9, 31, 200])
    func roundTrip(count: Int) throws {
        let tier = try filled(tokens(count))
        #expect(try model.load(tokens(count), from: tier) == count)
        for hash in model.path(tokens(count)) { #expect(try tier.contains(hash)) }
    }

    @Test("come back from a new handle after a close")
    func reopen() throws {
        try filled(tokens(23)).close()
        let tier = try ColdTier(folder.store)
        #expect(try model.load(tokens(23), from: tier) == 23)
    }

    @Test("give the first tokens of a page that the request leaves", arguments: 1...23)
    func partial(common: Int) throws {
        let tier = try filled(tokens(23))
        let request = Array(tokens(23).prefix(common)) + [900, 901, 902, 903, 904]
        #expect(try model.load(request, from: tier) == common)
        #expect(try model.load(Array(tokens(23).prefix(common)), from: tier) == common)
        let pages = try model.match(request, in: tier)
        #expect(pages.dropLast().allSatisfy { $0.matchedTokens == $0.tokenCount })
        #expect(pages.map(\.firstToken) == (0..<pages.count).map { $0 * 4 })
    }

    @Test("are matched from the middle of a sequence, after the pages that the caller has")
    func fromTheMiddle() throws {
        let tier = try filled(tokens(23))
        let path = model.path(tokens(23))
        let pages = try tier.match(
            tokens(23), from: 8, parent: path[1], root: model.root, layout: model.layout, now: 2000)
        #expect(pages.map(\.hash) == Array(path[2...]))
        #expect(pages.map(\.firstToken) == [8, 12, 16, 20])
    }

    @Test("are not found in another space, nor under another salt")
    func spaces() throws {
        let tier = try filled(tokens(23))
        let salted = try Model(salt: Salt(Array("0123456789abcdef".utf8)))
        try tier.open(space: salted.descriptor)
        #expect(try salted.match(tokens(23), in: tier).isEmpty)
        #expect(try Model("another").match(tokens(23), in: tier).isEmpty)
        try tier.put(salted.pages(tokens(23))).outcomes.forEach { #expect($0 == .stored) }
        #expect(try salted.load(tokens(23), from: tier) == 23)
        #expect(try model.load(tokens(23), from: tier) == 23)
    }

    @Test("cost one look-up and count as used when they are stored again")
    func again() throws {
        let tier = try filled(tokens(23))
        let before = try tier.statistics
        let report = try tier.put(model.pages(tokens(23)))
        #expect(report.outcomes == Array(repeating: .alreadyThere, count: 6))
        #expect(report.slotBytes == 0)
        #expect(try tier.statistics.pages == before.pages)
        #expect(try tier.statistics.usedBytes == before.usedBytes)
    }

    @Test("are refused without a parent, without a space, and when hash and tokens disagree")
    func refused() throws {
        let tier = try filled(tokens(8))
        let other = tokens(12, from: 500)
        #expect(try tier.put([model.pages(other)[2]]).outcomes == [.orphan])
        #expect(try tier.put(Model("another").pages(other)).outcomes == [.orphan, .orphan, .orphan])
        let sound = model.pages(other)[0]
        let name = PageName(
            root: sound.name.root, parent: sound.name.parent, hash: sound.name.hash, firstToken: 0,
            tokens: [1, 2, 3, 4])
        let wrong = PageRecord(name, sound.bytes, lastUse: 1)
        #expect(try tier.put([wrong]).outcomes == [.invalid])
        #expect(try tier.statistics.pages == 2)
    }

    @Test("of an opaque layout match whole or not at all")
    func opaque() throws {
        let layout = try KVLayout.opaque(bytesPerPage: 4096, pageSize: 4)
        let model = try Model("opaque", layout: layout)
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        #expect(try tier.put(model.pages(tokens(8))).count(.stored) == 2)
        #expect(try model.load(tokens(8), from: tier) == 8)
        #expect(try model.load(tokens(7), from: tier) == 4)
        #expect(try model.load(tokens(6) + [90, 91], from: tier) == 4)
    }

    @Test("count in the statistics as what they are")
    func statistics() throws {
        let tier = try filled(tokens(23))
        let all = try tier.statistics
        #expect(all.pages == 6)
        #expect(all.spaces == 1)
        #expect(all.rawBytes == model.layout.pageBytes(tokens: 23))
        #expect(all.usedBytes > 6 * 4096)
        #expect(all.usedBytes <= all.fileBytes + 6 * 1024)
        #expect(all.quota == .mebibytes(256))
        #expect(all.evictedPages == 0)
    }
}

@Suite("The child with the longest common run")
struct PartialMatchTests {
    @Test("wins among many children, whatever their order")
    func manyChildren() throws {
        let folder = try TemporaryFolder()
        let model = try Model(pageSize: 64)
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        var generator = SplitMix64(seed: 7)
        let sequences = (0..<120).map { _ in
            let length = Int.random(in: 1...64, using: &generator)
            return (0..<length).map { _ in TokenID.random(in: 0...1, using: &generator) }
        }
        for sequence in sequences { _ = try tier.put(model.pages(sequence)) }
        for _ in 0..<300 {
            let request = (0..<64).map { _ in TokenID.random(in: 0...1, using: &generator) }
            let best = sequences.map { zip($0, request).prefix { $0 == $1 }.count }.max() ?? 0
            #expect(try model.load(request, from: tier) == best)
        }
    }

    @Test("is found behind 32 equal tokens")
    func longKeys() throws {
        let folder = try TemporaryFolder()
        let model = try Model(pageSize: 64)
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        let head = tokens(40)
        for branch in 0..<20 { _ = try tier.put(model.pages(head + tokens(24, from: TokenID(1000 * branch + 100)))) }
        for branch in 0..<20 {
            let request = head + tokens(10, from: TokenID(1000 * branch + 100)) + [5, 5, 5]
            #expect(try model.load(request, from: tier) == 50)
        }
    }

    @Test("replaces the tails that it begins with, but not those that are pinned or have side states")
    func tails() throws {
        let folder = try TemporaryFolder()
        let model = try Model(pageSize: 64)
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        for length in [3, 20, 33, 40, 50] { #expect(try tier.put(model.pages(tokens(length))).count(.stored) == 1) }
        // Each longer tail replaced the one before.
        #expect(try tier.statistics.pages == 1)
        try tier.pin(path: model.path(tokens(50)))
        #expect(try tier.put(model.pages(tokens(52))).replacedTails == 0)
        let state: [UInt8] = [1, 2, 3]
        try unsafe tier.putSideState("state", of: model.path(tokens(52))[0], state.span.bytes)
        #expect(try tier.put(model.pages(tokens(60))).replacedTails == 0)
        let report = try tier.put(model.pages(tokens(70)))
        #expect(report.replacedTails == 1)
        #expect(report.count(.stored) == 2)
        #expect(try tier.statistics.pages == 4)
        for length in 1...70 { #expect(try model.load(tokens(length), from: tier) == length) }
    }
}
