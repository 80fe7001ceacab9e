// A file with every kind of page: trees of some levels, large values, and a free list.

import Foundation
import TestKit

@testable import LMDB

/// A folder with two tables that have seen many puts and deletes.
struct Churn {
    let folder: TemporaryFolder
    /// Keys whose values are stored, in both tables.
    private(set) var stored: Set<Int> = []
    private var random: SplitMix64

    init(seed: UInt64, rounds: Int = 15) throws {
        folder = try TemporaryFolder()
        random = SplitMix64(seed: seed)
        let (environment, small, large) = try open()
        for _ in 0..<rounds { try change(environment, small, large) }
        environment.close()
    }

    /// The bytes of a key's value in the table of small or of large values.
    static func size(_ number: Int, large: Bool) -> Int { large ? 3000 + number % 3 * 4096 : 60 + number % 90 }

    func open(_ folder: TemporaryFolder? = nil, toLook: Bool = false) throws -> (
        environment: Environment, small: Table, large: Table
    ) {
        let options = EnvironmentOptions(mapSize: 64 << 20, maxTables: 4, maxReaders: 16)
        let environment = try Environment(folder: (folder ?? self.folder).path, options: options)
        do {
            let names = ["large", "small"]
            let tables = try toLook ? environment.openExistingTables(names) : environment.openTables(names)
            return (environment, tables[1], tables[0])
        } catch {
            environment.close()
            throw error
        }
    }

    /// One transaction of puts and deletes.
    mutating func change(_ environment: Environment, _ small: Table, _ large: Table) throws {
        var next = stored
        let keys = (0..<Int.random(in: 1...60, using: &random)).map { _ in Int.random(in: 0..<400, using: &random) }
        let isPutting = Bool.random(using: &random) || stored.count < 200
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            for number in keys {
                for (table, isLarge) in [(small, false), (large, true)] {
                    if isPutting {
                        let bytes = value(number, count: Self.size(number, large: isLarge))
                        try transaction.put(table, key: unsafe key(number).span.bytes, value: unsafe bytes.span.bytes)
                    } else {
                        _ = try transaction.delete(table, key: unsafe key(number).span.bytes)
                    }
                }
                if isPutting { next.insert(number) } else { next.remove(number) }
            }
        }
        stored = next
    }
}
