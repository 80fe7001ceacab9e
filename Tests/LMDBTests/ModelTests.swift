import Foundation
import LMDB
import Testing
import TestKit

/// Random transactions against a dictionary: whatever is done, a table holds what the dictionary holds.
@Suite("A table under random transactions")
struct ModelTests {
    static let seeds = TestSeed.each(8, "tables")

    @Test("equals its model after every transaction, aborted ones and openings included", arguments: seeds)
    func equalsModel(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let folder = try TemporaryFolder()
        var (environment, table) = try folder.open()
        var model: [Int: [UInt8]] = [:]
        for _ in 0..<40 {
            let aborts = Int.random(in: 0..<4, using: &random) == 0
            let before = model
            do throws(LMDBError) {
                try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                    for _ in 0..<Int.random(in: 0..<30, using: &random) {
                        try Self.change(&transaction, table, &model, &random)
                    }
                    if aborts { throw .keySize(-1) }
                }
            } catch {
                #expect(error == .keySize(-1))
                model = before
            }
            try Self.expectEqual(environment, table, model)
            if Int.random(in: 0..<8, using: &random) == 0 {
                environment.close()
                (environment, table) = try folder.open()
                try Self.expectEqual(environment, table, model)
            }
        }
        #expect(environment.openTransactions == 0)
    }

    private static func change(
        _ transaction: inout WriteTransaction, _ table: Table, _ model: inout [Int: [UInt8]], _ random: inout SplitMix64
    ) throws(LMDBError) {
        let number = Int.random(in: 0..<60, using: &random)
        let bytes = value(number, count: [0, 10, 1_500, 5_000, 40_000].randomElement(using: &random) ?? 0)
        let name = key(number)
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<12:
            try transaction.put(table, key: unsafe name.span.bytes, value: unsafe bytes.span.bytes)
            model[number] = bytes
        case 12..<18:
            #expect(
                try transaction.delete(table, key: unsafe name.span.bytes) == (model.removeValue(forKey: number) != nil)
            )
        case 18:
            #expect(try transaction.get(table, key: unsafe name.span.bytes)?.array == model[number])
        default:
            var cursor = try transaction.cursor(table)
            let next = model.keys.filter { $0 >= number }.min()
            #expect(try cursor.seek(unsafe name.span.bytes) == (next != nil))
            if let next { #expect(cursor.key.array == key(next)) }
        }
    }

    private static func expectEqual(_ environment: Environment, _ table: Table, _ model: [Int: [UInt8]]) throws {
        try environment.read { (transaction) throws(LMDBError) in
            var cursor = try transaction.cursor(table)
            for number in model.keys.sorted() {
                #expect(try cursor.next())
                #expect(cursor.key.array == key(number))
                #expect(cursor.value.array == model[number])
            }
            #expect(try cursor.next() == false)
            #expect(try transaction.entryCount(table) == model.count)
        }
    }
}
