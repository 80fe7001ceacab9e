import LMDB
import Testing
import TestKit

@Suite("A transaction")
struct TransactionTests {
    let folder: TemporaryFolder
    let environment: Environment
    let table: Table

    init() throws {
        folder = try TemporaryFolder()
        (environment, table) = try folder.open()
    }

    @Test("gives back what it stored, in itself and in later snapshots", arguments: [0, 1, 100, 2_000, 5_000, 300_000])
    func roundTrip(count: Int) throws {
        let bytes = value(7, count: count)
        let seen = try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            try transaction.put(table, key: unsafe key(1).span.bytes, value: unsafe bytes.span.bytes)
            return try transaction.get(table, key: unsafe key(1).span.bytes)?.array
        }
        #expect(seen == bytes)
        #expect(try environment.get(table, key(1)) == bytes)
        #expect(try environment.get(table, key(2)) == nil)
    }

    @Test("reads values that another transaction stored and it did not change")
    func readsOldValuesWhileWriting() throws {
        try environment.put(table, 0..<50, count: 3_000)
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            for number in 0..<50 {
                #expect(
                    try transaction.get(table, key: unsafe key(number).span.bytes)?.array == value(number, count: 3_000)
                )
                try transaction.put(table, key: unsafe key(number).span.bytes, value: unsafe value(1).span.bytes)
                #expect(try transaction.get(table, key: unsafe key(number).span.bytes)?.array == value(1))
            }
        }
    }

    @Test("leaves nothing behind when its closure throws")
    func abortsOnThrow() throws {
        try environment.put(table, [1])
        #expect(throws: LMDBError.keySize(0)) {
            try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                try transaction.put(table, key: unsafe key(2).span.bytes, value: unsafe value(2).span.bytes)
                try transaction.clear(table)
                throw LMDBError.keySize(0)
            }
        }
        #expect(try environment.count(table) == 1)
        #expect(try environment.get(table, key(1)) == value(1))
        #expect(environment.openTransactions == 0)
    }

    @Test("throws the caller's own error, also for failures of LMDB")
    func throwsTheCallersError() throws {
        struct Wrapped: LMDBErrorConvertible, Equatable {
            let error: LMDBError
            init(_ error: LMDBError) { self.error = error }
        }
        #expect(throws: Wrapped(.keySize(3))) {
            try environment.read { (_) throws(Wrapped) in throw Wrapped(.keySize(3)) }
        }
        environment.close()
        #expect(throws: Wrapped(.closed)) { try environment.read { (_) throws(Wrapped) in 1 } }
        #expect(throws: Wrapped(.closed)) {
            try environment.write { (_: inout WriteTransaction) throws(Wrapped) in 1 }
        }
    }

    @Test("says whether a deleted key was there")
    func delete() throws {
        try environment.put(table, [1, 2])
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            #expect(try transaction.delete(table, key: unsafe key(1).span.bytes))
            #expect(try !transaction.delete(table, key: unsafe key(1).span.bytes))
            #expect(try !transaction.contains(table, key: unsafe key(1).span.bytes))
            #expect(try transaction.contains(table, key: unsafe key(2).span.bytes))
        }
        #expect(try environment.count(table) == 1)
    }

    @Test("empties a table and keeps it usable")
    func clear() throws {
        try environment.put(table, 0..<1_000)
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            try transaction.clear(table)
            #expect(try transaction.entryCount(table) == 0)
        }
        try environment.put(table, [3])
        #expect(try environment.get(table, key(3)) == value(3))
    }

    @Test("pads a value with zeros, whatever the pages held before", arguments: [10, 4_096, 200_000])
    func padding(count: Int) throws {
        for round in 0..<3 {
            try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                try transaction.put(
                    table, key: unsafe key(round).span.bytes,
                    value: unsafe [UInt8](repeating: 0xFF, count: count).span.bytes)
                _ = try transaction.delete(table, key: unsafe key(round).span.bytes)
            }
        }
        for used in [0, 1, count / 2, count] {
            let value = [UInt8](repeating: 0xAB, count: used)
            try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                try transaction.put(
                    table, key: unsafe key(9).span.bytes, value: unsafe value.span.bytes, paddedTo: count)
            }
            #expect(try environment.get(table, key(9)) == value + [UInt8](repeating: 0, count: count - used))
        }
    }

    @Test("refuses a key of an impossible size before LMDB sees it", arguments: [0, 512, 70_000])
    func keySizes(count: Int) throws {
        let bytes = [UInt8](repeating: 1, count: count)
        #expect(throws: LMDBError.keySize(count)) { try environment.get(table, bytes) }
        #expect(throws: LMDBError.keySize(count)) {
            try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                try transaction.put(table, key: unsafe bytes.span.bytes, value: unsafe bytes.span.bytes)
            }
        }
        #expect(throws: LMDBError.keySize(count)) {
            try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                try transaction.delete(table, key: unsafe bytes.span.bytes)
            }
        }
        #expect(throws: LMDBError.keySize(count)) {
            try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                try transaction.put(
                    table, key: unsafe bytes.span.bytes, value: unsafe bytes.span.bytes, paddedTo: 80_000)
            }
        }
        #expect(throws: LMDBError.keySize(count)) {
            try environment.read { (transaction) throws(LMDBError) in
                var cursor = try transaction.cursor(table)
                return try cursor.seek(unsafe bytes.span.bytes)
            }
        }
    }

    @Test("takes keys of 511 bytes")
    func longestKey() throws {
        let bytes = [UInt8](repeating: 9, count: 511)
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            try transaction.put(table, key: unsafe bytes.span.bytes, value: unsafe value(1).span.bytes)
        }
        #expect(try environment.get(table, bytes) == value(1))
    }

    @Test("sees the same snapshot whatever is written meanwhile")
    func snapshot() throws {
        try environment.put(table, [1])
        let writer = environment
        let counts = try environment.read { (transaction) throws(LMDBError) in
            let before = try transaction.entryCount(table)
            try writer.put(table, 2..<40)
            return [before, try transaction.entryCount(table), writer.openTransactions]
        }
        #expect(counts == [1, 1, 1])
        #expect(try environment.count(table) == 39)
    }
}
