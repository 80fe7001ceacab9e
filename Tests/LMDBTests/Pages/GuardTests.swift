// Damage in the trees themselves ends no process: what a walk would meet is checked before.

import Foundation
import Testing
import TestKit

@testable import LMDB

@Suite("Damage in a page of a tree")
struct GuardTests {
    @Test("ends no process and gives no wrong value, whoever reads or writes", arguments: FilePages.Kind.allCases)
    func flips(kind: FilePages.Kind) throws {
        let seed = TestSeed.fresh("damaged pages")
        var random = SplitMix64(seed: seed)
        let churn = try Churn(seed: seed)
        let whole = [UInt8](try Data(contentsOf: churn.folder.data))
        let pages = try #require(FilePages(whole).pages[kind])
        var refusals = 0
        for round in 0..<24 {
            var bytes = whole
            let page = pages[Int.random(in: 0..<pages.count, using: &random)] * 4096
            // Headers and offsets are hit more often than the rest of a page.
            let reach = round % 3 == 0 ? 4096 : round % 3 == 1 ? 160 : 24
            for _ in 0..<(round % 2 == 0 ? 1 : 8) {
                bytes[page + Int.random(in: 0..<reach, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
            if round % 12 == 11 { bytes.replaceSubrange(page..<page + 4096, with: repeatElement(0, count: 4096)) }
            let folder = try TemporaryFolder()
            try Data(bytes).write(to: folder.data)
            if try !use(folder, churn, &random) { refusals += 1 }
        }
        #expect(refusals > 0, "PFX_SEED=\(seed)")
    }

    /// Reads and writes all over a damaged folder; false when something was refused as damage.
    private func use(_ folder: TemporaryFolder, _ churn: Churn, _ random: inout SplitMix64) throws -> Bool {
        var isWhole = true
        func tolerating(_ body: () throws -> Void) throws {
            do { try body() } catch let error as LMDBError {
                #expect(error.isDamage, "\(error)")
                isWhole = false
            }
        }
        for _ in 0..<2 {
            try tolerating {
                let (environment, small, large) = try churn.open(folder)
                defer { environment.close() }
                for (table, isLarge) in [(small, false), (large, true)] {
                    for number in 0..<400 {
                        try tolerating {
                            guard let found = try environment.get(table, key(number)) else { return }
                            _ = found.count == Churn.size(number, large: isLarge)
                        }
                    }
                    try tolerating { try walk(environment, table) }
                }
                _ = try environment.census()
                for _ in 0..<3 {
                    var writer = churn
                    try tolerating { try writer.change(environment, small, large) }
                    let numbers = (0..<80).map { _ in Int.random(in: 0..<400, using: &random) }
                    try tolerating { try delete(environment, [small, large], numbers) }
                }
            }
        }
        return isWhole
    }

    private func walk(_ environment: Environment, _ table: Table) throws {
        try environment.read { (transaction) throws(LMDBError) in
            var cursor = try transaction.cursor(table)
            var steps = 0
            while try cursor.next() { steps += cursor.value.byteCount > 0 ? 1 : 0 }
            while try cursor.previous() { steps -= 1 }
        }
    }

    private func delete(_ environment: Environment, _ tables: [Table], _ numbers: [Int]) throws {
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            for number in numbers {
                for table in tables { _ = try transaction.delete(table, key: unsafe key(number).span.bytes) }
            }
        }
    }
}

@Suite("A meta page that is damaged")
struct MetaPageTests {
    @Test("leaves the commit of the other one, once it is written again", arguments: [0, 1])
    func mended(bad: Int) throws {
        let churn = try Churn(seed: TestSeed.fresh("meta pages"))
        var bytes = [UInt8](try Data(contentsOf: churn.folder.data))
        bytes.replaceSubrange(bad * 4096..<(bad + 1) * 4096, with: repeatElement(0, count: 4096))
        try Data(bytes).write(to: churn.folder.data)
        #expect(try DataFile.look(in: churn.folder.path) == .half(bad: UInt64(bad)))
        #expect(throws: LMDBError.damaged("one of its two meta pages is damaged")) { try churn.open() }
        try DataFile.mend(in: churn.folder.path)
        #expect(try DataFile.look(in: churn.folder.path) == .sound)
        var writer = churn
        let (environment, small, large) = try churn.open()
        defer { environment.close() }
        #expect(try environment.census().findings == [])
        for _ in 0..<10 { try writer.change(environment, small, large) }
        #expect(try environment.census().findings == [])
    }

    @Test("and so is the other: nothing is written, and nothing opened")
    func bothDamaged() throws {
        let folder = try TemporaryFolder()
        try Data(repeating: 0, count: 5 * 4096).write(to: folder.data)
        #expect(try DataFile.look(in: folder.path) == .damaged)
        #expect(throws: LMDBError.self) { try DataFile.mend(in: folder.path) }
        #expect(try Data(contentsOf: folder.data) == Data(repeating: 0, count: 5 * 4096))
    }

    @Test("in any one bit ends no process: refused, or read as it was")
    func anyBit() throws {
        let churn = try Churn(seed: TestSeed.fresh("meta pages"), rounds: 6)
        let whole = [UInt8](try Data(contentsOf: churn.folder.data))
        for byte in [0, 8, 10, 16, 20, 32, 37, 40, 41, 44, 46, 80, 87, 88, 92, 128, 130, 135, 136, 139, 144, 150] {
            for bit in 0..<8 {
                var bytes = whole
                bytes[byte] ^= 1 << UInt8(bit)
                bytes[4096 + byte] ^= 1 << UInt8(bit)
                let folder = try TemporaryFolder()
                try Data(bytes).write(to: folder.data)
                do {
                    let (environment, small, _) = try churn.open(folder)
                    defer { environment.close() }
                    for number in 0..<50 { _ = try environment.get(small, key(number)) }
                    _ = try environment.census()
                } catch let error as LMDBError {
                    #expect(error.isDamage, "byte \(byte) bit \(bit): \(error)")
                }
            }
        }
    }
}
