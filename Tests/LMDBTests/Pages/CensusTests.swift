// A census of a file's pages gives no false alarm, and sees what a look through the tables does not.

import Foundation
import Testing
import TestKit

@testable import LMDB

@Suite("A census of all pages")
struct CensusTests {
    @Test("finds one owner of every page, whatever was put and deleted", arguments: TestSeed.each(4, "census"))
    func sound(seed: UInt64) throws {
        var churn = try Churn(seed: seed, rounds: 5)
        let (environment, small, large) = try churn.open()
        defer { environment.close() }
        for _ in 0..<25 {
            try churn.change(environment, small, large)
            let census = try environment.census()
            #expect(census.findings == [], "PFX_SEED=\(seed)")
        }
    }

    @Test("sees a page number of the free list that was changed, whichever bit of it")
    func freeList() throws {
        let churn = try Churn(seed: TestSeed.fresh("census"))
        let whole = [UInt8](try Data(contentsOf: churn.folder.data))
        // The first leaf of the list: its first value is a count and then page numbers.
        let page = try #require(FilePages(whole).pages[.freeList]?.first { whole[$0 * 4096 + 10] == 2 }) * 4096
        let offset = Int(whole[page + 16]) | Int(whole[page + 17]) << 8
        let node = page + offset
        let numbers = node + 8 + 8 + 8
        #expect(whole[node + 8 + 8] > 0)
        for bit in 0..<64 {
            var bytes = whole
            bytes[numbers + bit / 8] ^= 1 << UInt8(bit % 8)
            let folder = try TemporaryFolder()
            try Data(bytes).write(to: folder.data)
            let (environment, _, _) = try churn.open(folder, toLook: true)
            let census = try environment.census()
            #expect(census.findings.contains { $0.isFreeList }, "bit \(bit)")
            environment.close()
        }
    }

    @Test("sees a wrong header of a large value, and a wrong number or kind of a page of a tree")
    func headers() throws {
        let churn = try Churn(seed: TestSeed.fresh("census"))
        let whole = [UInt8](try Data(contentsOf: churn.folder.data))
        let kinds = FilePages(whole).pages
        for kind in [FilePages.Kind.leaf, .branch, .overflow] {
            for (offset, mask) in [(0, 1), (3, 64), (10, 8), (10, 16), (12, 2), (13, 1)] as [(Int, UInt8)] {
                var bytes = whole
                bytes[try #require(kinds[kind]?.last) * 4096 + offset] ^= mask
                let folder = try TemporaryFolder()
                try Data(bytes).write(to: folder.data)
                let (environment, _, _) = try churn.open(folder, toLook: true)
                #expect(try environment.census().findings != [], "\(kind) \(offset)")
                environment.close()
            }
        }
    }
}
