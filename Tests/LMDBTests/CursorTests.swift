import LMDB
import Testing
import TestKit

@Suite("A cursor")
struct CursorTests {
    let folder: TemporaryFolder
    let environment: Environment
    let table: Table

    init() throws {
        folder = try TemporaryFolder()
        (environment, table) = try folder.open()
    }

    @Test("finds nothing in an empty table")
    func empty() throws {
        try environment.read { (transaction) throws(LMDBError) in
            var cursor = try transaction.cursor(table)
            #expect(try !cursor.first())
            #expect(try !cursor.last())
            #expect(try !cursor.next())
            #expect(try !cursor.previous())
            #expect(try !cursor.seek(unsafe key(0).span.bytes))
            #expect((cursor.isOnEntry) == false)
        }
    }

    @Test("walks all entries in key order, forwards and backwards")
    func order() throws {
        let numbers = (0..<500).map { $0 * 37 % 500 }
        try environment.put(table, numbers)
        try environment.read { (transaction) throws(LMDBError) in
            var cursor = try transaction.cursor(table)
            var forwards: [[UInt8]] = []
            while try cursor.next() {
                forwards.append(cursor.key.array)
                #expect(cursor.value.array == value(forwards.count - 1))
            }
            #expect(forwards == (0..<500).map(key))
            var backwards: [[UInt8]] = []
            var found = try cursor.last()
            while found {
                backwards.append(cursor.key.array)
                found = try cursor.previous()
            }
            #expect(backwards == forwards.reversed())
        }
    }

    @Test("seeks the first key that is not less than the one asked for")
    func seek() throws {
        try environment.put(table, stride(from: 10, through: 50, by: 10))
        try environment.read { (transaction) throws(LMDBError) in
            var cursor = try transaction.cursor(table)
            for (sought, expected) in [(0, 10), (10, 10), (11, 20), (50, 50)] {
                #expect(try cursor.seek(unsafe key(sought).span.bytes))
                #expect(cursor.key.array == key(expected))
                #expect(cursor.value.array == value(expected))
            }
            #expect(try !cursor.seek(unsafe key(51).span.bytes))
            #expect((cursor.isOnEntry) == false)
            #expect(try cursor.first())
            #expect(cursor.key.array == key(10))
        }
    }

    @Test("orders a key before the longer keys that begin with it")
    func prefixOrder() throws {
        let keys: [[UInt8]] = [[1], [1, 0], [1, 0, 0], [1, 1], [2], [0xFF]]
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            for bytes in keys.shuffled() {
                try transaction.put(table, key: unsafe bytes.span.bytes, value: unsafe bytes.span.bytes)
            }
        }
        try environment.read { (transaction) throws(LMDBError) in
            var cursor = try transaction.cursor(table)
            for bytes in keys {
                #expect(try cursor.next())
                #expect(cursor.key.array == bytes)
            }
        }
    }

    @Test("reads inside a write transaction, and sees its changes")
    func insideWrite() throws {
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            try transaction.put(table, key: unsafe key(1).span.bytes, value: unsafe value(1, count: 50_000).span.bytes)
            do {
                var cursor = try transaction.cursor(table)
                #expect(try cursor.first())
                #expect(cursor.value.array == value(1, count: 50_000))
            }
            try transaction.put(table, key: unsafe key(0).span.bytes, value: unsafe value(0).span.bytes)
            #expect(try transaction.entryCount(table) == 2)
        }
    }

    @Test("traps when it is asked for an entry it is not on")
    func trapsWithoutEntry() async throws {
        await #expect(processExitsWith: .failure) {
            let folder = try TemporaryFolder()
            let (environment, table) = try folder.open()
            try environment.read { (transaction) throws(LMDBError) in
                let cursor = try transaction.cursor(table)
                #expect(cursor.key.byteCount == 0)
            }
        }
    }
}
