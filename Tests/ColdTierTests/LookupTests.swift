// The lookup path: what a match looks at, and what it leaves alone.

import ColdTier
import KVFormat
import LMDB
import Testing
import TestKit

@Suite("A look-up")
struct LookupTests {
    let folder: TemporaryFolder
    let model: Model

    init() throws {
        folder = try TemporaryFolder()
        model = try Model(pageSize: 8)
    }

    private func filled(_ sequences: [[TokenID]]) throws -> ColdTier {
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        for sequence in sequences { _ = try tier.put(model.pages(sequence)) }
        return tier
    }

    /// Makes every node of the store unreadable.
    private func damageNodes() throws {
        try withTables(folder.store) { transaction, tables in
            for key in try transaction.keys(tables.nodes, from: [0], limit: .max, while: { _ in true }) {
                try transaction.write(tables.nodes, key, [1, 2, 3])
            }
        }
    }

    @Test("that can find nothing never looks at a node")
    func missWithoutNodes() throws {
        let tier = try filled([tokens(24), tokens(24, from: 1000)])
        tier.close()
        try damageNodes()
        let again = try ColdTier(folder.store)
        // Before, between and behind the pages that are there.
        for first: TokenID in [0, 500, 5000] {
            #expect(try model.matched(tokens(24, from: first), in: again) == 0)
        }
        // Here only the first token id is another page's.
        #expect(again.damagedPages == 0)
        #expect(try model.matched([1, 7, 7, 7, 7, 7, 7, 7], in: again) == 0)
        #expect(again.damagedPages == 1)
        again.close()
    }

    @Test("finds the first tokens of a page on either side of the place of the wanted ones", arguments: [0, 9])
    func bothSides(last: TokenID) throws {
        let tier = try filled([[5, 5, 5, 5, 5, 5, 5, 5]])
        #expect(try model.matched([5, 5, 5, last, 1, 1, 1, 1], in: tier) == 3)
        #expect(try model.matched([5, 5, 5, 5, 5, last], in: tier) == 5)
        #expect(try model.matched([5, 5, 5, 5], in: tier) == 4)
        tier.close()
    }

    @Test("of a page that is stored after it was missed finds it")
    func missThenStored() throws {
        let tier = try filled([tokens(8)])
        #expect(try model.matched(tokens(24, from: 100), in: tier) == 0)
        _ = try tier.put(model.pages(tokens(24, from: 100)))
        #expect(try model.matched(tokens(24, from: 100), in: tier) == 24)
        tier.close()
    }

    @Test("that ends where the pages end finds all of them")
    func wholeChain() throws {
        let tier = try filled([tokens(800)])
        let pages = try model.match(tokens(803), in: tier)
        #expect(pages.map(\.hash) == model.path(tokens(800)))
        #expect(pages.allSatisfy { $0.tokenCount == 8 && $0.matchedTokens == 8 })
        #expect(try model.load(tokens(803), from: tier) == 800)
        tier.close()
    }
}
