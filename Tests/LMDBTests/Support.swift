// A temporary folder for a test, and short names for the bytes that tests write.

import Foundation
import TestKit
import Threads

@testable import LMDB

extension TemporaryFolder {
    var data: URL { URL(fileURLWithPath: path).appendingPathComponent("data.mdb") }

    /// Opens an environment in the folder with one table.
    func open(
        mapSize: Int = 16 << 20, maxReaders: Int = 16, access: Access = .readWrite
    ) throws -> (environment: Environment, table: Table) {
        let options = EnvironmentOptions(
            mapSize: mapSize, maxTables: 4, maxReaders: maxReaders, access: access,
            // Other tests may keep the machine busy for longer than an engine would wait.
            patience: .seconds(600))
        let environment = try Environment(folder: path, options: options)
        return (environment, try environment.openTables(["table"])[0])
    }
}

/// A key of 4 bytes in the order of its number.
func key(_ number: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: number >> (24 - 8 * $0)) } }

/// A value that can be computed again from its number.
func value(_ number: Int, count: Int = 100) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ number &* 7 &+ $0 >> 8) }
}

extension RawSpan {
    /// A copy, to compare with.
    var array: [UInt8] { unsafe withUnsafeBytes { unsafe Array($0) } }
}

extension Environment {
    /// How many transactions of this process are open now.
    var openTransactions: Int { gate.state.withLock { $0.inside } }

    func put(_ table: Table, _ numbers: some Sequence<Int>, count: Int = 100) throws(LMDBError) {
        try write { (transaction: inout WriteTransaction) throws(LMDBError) in
            for number in numbers {
                try transaction.put(
                    table, key: unsafe key(number).span.bytes, value: unsafe value(number, count: count).span.bytes)
            }
        }
    }

    func get(_ table: Table, _ key: [UInt8]) throws(LMDBError) -> [UInt8]? {
        try read { (transaction) throws(LMDBError) in try transaction.get(table, key: unsafe key.span.bytes)?.array }
    }

    func count(_ table: Table) throws(LMDBError) -> Int {
        try read { (transaction) throws(LMDBError) in try transaction.entryCount(table) }
    }
}
