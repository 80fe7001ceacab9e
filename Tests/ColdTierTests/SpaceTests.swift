// Spaces: how many a store keeps, and what becomes of one that was forgotten.

import ColdTier
import KVFormat
import Records
import Testing
import TestKit

@Suite("The spaces of a store")
struct SpaceTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func model(_ number: Int) throws -> Model {
        try Model("session \(number)", salt: Salt((0..<16).map { UInt8(truncatingIfNeeded: number >> $0) }))
    }

    @Test("are forgotten when they have no pages and many came after them; those with pages stay")
    func bounded() throws {
        let tier = try ColdTier(folder.store)
        let kept = try Model("kept")
        try tier.open(space: kept.descriptor)
        _ = try tier.put(kept.pages(tokens(8)))
        let first = try model(0)
        try tier.open(space: first.descriptor)
        // Every session registers a space, stores nothing, and never comes back.
        for number in 1...1100 { try tier.open(space: model(number).descriptor) }
        let spaces = try tier.statistics.spaces
        #expect((700...1030).contains(spaces), "\(spaces)")
        #expect(try tier.space(first.root) == nil)
        #expect(try tier.space(model(1100).root) != nil)
        #expect(try kept.load(tokens(8), from: tier) == 8)
        #expect(try tier.verify().findings.isEmpty)
    }

    @Test("that were forgotten while a process has them open take its pages all the same")
    func reopened() throws {
        let tier = try ColdTier(folder.store)
        let first = try model(0)
        try tier.open(space: first.descriptor)
        for number in 1...1100 { try tier.open(space: model(number).descriptor) }
        #expect(try tier.space(first.root) == nil)
        #expect(try tier.put(first.pages(tokens(8))).count(.stored) == 2)
        #expect(try first.load(tokens(8), from: tier) == 8)
        #expect(try tier.space(first.root)?.descriptor == first.descriptor)
        let second = try model(1)
        try tier.setPrefillTime(nanosecondsPerToken: 7, of: second.root)
        #expect(try tier.space(second.root)?.prefillNanoseconds == 7)
        #expect(throws: StoreError.noSuchSpace(try Model("stranger").root.short)) {
            try tier.setPrefillTime(nanosecondsPerToken: 7, of: Model("stranger").root)
        }
    }
}
