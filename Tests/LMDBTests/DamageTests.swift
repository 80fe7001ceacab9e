import Foundation
import Glibc
import Synchronization
import Testing
import TestKit

@testable import LMDB

/// Walks a table both ways, as a check of a whole store does.
private func walk(_ environment: Environment, _ table: Table) throws(LMDBError) {
    try environment.read { (transaction) throws(LMDBError) in
        var cursor = try transaction.cursor(table)
        var isThere = try cursor.first()
        while isThere { isThere = try cursor.next() }
        isThere = try cursor.last()
        while isThere { isThere = try cursor.previous() }
    }
}

@Suite("A folder in trouble")
struct DamageTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test("that is full loses the whole batch and nothing else")
    func mapFull() throws {
        let (environment, table) = try folder.open(mapSize: 1 << 20)
        try environment.put(table, 0..<5, count: 10_000)
        do throws(LMDBError) {
            try environment.put(table, 5..<500, count: 10_000)
            Issue.record("5 MB in a map of 1 MiB")
        } catch {
            #expect(error.isFull && !error.isDamage)
            #expect(error.remedy.contains("room"))
        }
        #expect(try environment.count(table) == 5)
        #expect(try environment.get(table, key(4)) == value(4, count: 10_000))
        try environment.put(table, [7], count: 10_000)
        #expect(try environment.count(table) == 6)
    }

    @Test("that is full does not commit for a caller that continues regardless")
    func goesOnRegardless() throws {
        let (environment, table) = try folder.open(mapSize: 1 << 20)
        #expect(throws: LMDBError.self) {
            try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                try transaction.put(table, key: unsafe key(1).span.bytes, value: unsafe value(1).span.bytes)
                do throws(LMDBError) {
                    try transaction.put(
                        table, key: unsafe key(2).span.bytes, value: unsafe value(2, count: 2 << 20).span.bytes)
                } catch { #expect(error.isFull) }
            }
        }
        #expect(try environment.count(table) == 0)
    }

    @Test(
        "holds garbage: damage, no crash, and the folder can be opened once it is gone",
        arguments: [100, 8_192, 100_000])
    func garbage(count: Int) throws {
        try Data(value(3, count: count)).write(to: folder.data)
        do throws(LMDBError) {
            _ = try Environment(folder: folder.path, options: EnvironmentOptions(mapSize: 1 << 20))
            Issue.record("garbage was opened")
        } catch {
            #expect(error.isDamage && !error.isFull)
        }
        try FileManager.default.removeItem(at: folder.data)
        let (environment, table) = try folder.open()
        try environment.put(table, [1])
        #expect(try environment.get(table, key(1)) == value(1))
    }

    @Test("is cut short anywhere: damage or what is left, no crash; looking leaves the file as it is, writing mends it")
    func cutShort() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            do {
                let (environment, table) = try folder.open()
                try environment.put(table, 0..<400, count: 1500)
            }
            let whole = try Data(contentsOf: folder.data)
            let pages = whole.count / 4096
            var refused = 0
            for kept in stride(from: 2, to: pages, by: 7) {
                try whole.prefix(kept * 4096).write(to: folder.data)
                for isWriting in [false, true] {
                    let options = EnvironmentOptions(mapSize: 16 << 20, maxTables: 4, maxReaders: 16)
                    let environment = try Environment(folder: folder.path, options: options)
                    do throws(LMDBError) {
                        let table = try environment.openExistingTables(["table"])[0]
                        if isWriting { try environment.put(table, [1000]) }
                        for number in 0..<400 {
                            if let found = try environment.get(table, key(number)) {
                                #expect(found == value(number, count: 1500))
                            }
                        }
                        _ = try environment.info()
                        try walk(environment, table)
                    } catch {
                        #expect(error.isDamage, "\(error)")
                        refused += 1
                    }
                    environment.close()
                    if !isWriting { #expect(TemporaryFolder.size(folder.data.path) == kept * 4096) }
                }
            }
            #expect(refused > 0)
        }
    }

    @Test("is cut short while another process writes: a reader sees what comes in place of the filler")
    func shortAndWritten() async throws {
        let folder = try TemporaryFolder()
        do {
            let (environment, table) = try folder.open()
            // Pages that a transaction takes at the end and gives back are never written, once there are free ones.
            for _ in 0..<4 {
                try environment.put(table, 0..<10, count: 5_000)
                try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                    try transaction.clear(table)
                }
            }
            try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                for number in 0..<50 {
                    try transaction.put(
                        table, key: unsafe key(1000).span.bytes, value: unsafe value(number, count: 50_000).span.bytes)
                    _ = try transaction.delete(table, key: unsafe key(1000).span.bytes)
                }
                try transaction.put(table, key: unsafe key(10).span.bytes, value: unsafe value(10).span.bytes)
            }
            environment.close()
        }
        let before = TemporaryFolder.size(folder.data.path)
        let (environment, table) = try folder.open()
        let isShort = environment.isShort.load(ordering: .relaxed)
        #expect(isShort)
        #expect(try environment.count(table) == 1)
        await #expect(processExitsWith: .success) { [path = folder.path as String] in
            let environment = try Environment(folder: path, options: EnvironmentOptions(mapSize: 16 << 20))
            let table = try environment.openTables(["table"])[0]
            try environment.put(table, 20..<30, count: 5_000)
        }
        #expect(TemporaryFolder.size(folder.data.path) > before)
        for number in 20..<30 { #expect(try environment.get(table, key(number)) == value(number, count: 5_000)) }
    }

    @Test("has a value whose size reaches outside the file: damage, not a fault", arguments: [false, true])
    func sizeOutsideTheFile(whileWriting: Bool) throws {
        do {
            let (environment, table) = try folder.open()
            try environment.put(table, [0x0102_0304], count: 5_000)
        }
        // The tree's node before the key: size of the value (low, high half), flags, size of the key.
        var bytes = [UInt8](try Data(contentsOf: folder.data))
        let node: [UInt8] = [0x88, 0x13, 0, 0, 1, 0, 4, 0, 1, 2, 3, 4]
        let places = bytes.indices.dropLast(node.count).filter {
            bytes[$0] == 0x88 && Array(bytes[$0..<($0 + 12)]) == node
        }
        #expect(!places.isEmpty)
        for place in places { bytes[place + 2] = 0xFF }
        try Data(bytes).write(to: folder.data)
        let (environment, table) = try folder.open()
        #expect(throws: LMDBError.damaged("a value reaches outside the file")) {
            if whileWriting {
                try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                    try transaction.contains(table, key: unsafe key(0x0102_0304).span.bytes)
                }
            } else {
                try environment.read { (transaction) throws(LMDBError) in
                    var cursor = try transaction.cursor(table)
                    return try cursor.first()
                }
            }
        }
    }

    @Test("has a small value in a page being written whose size can't be: damage, not a fault")
    func sizeOutsideAWrittenPage() throws {
        do {
            let (environment, table) = try folder.open()
            try environment.put(table, [0x0102_0304], count: 50)
        }
        var bytes = [UInt8](try Data(contentsOf: folder.data))
        let node: [UInt8] = [50, 0, 0, 0, 0, 0, 4, 0, 1, 2, 3, 4]
        let places = bytes.indices.dropLast(node.count).filter {
            bytes[$0] == 50 && Array(bytes[$0..<($0 + 12)]) == node
        }
        #expect(!places.isEmpty)
        for place in places { bytes[place + 2] = 0x0F }
        try Data(bytes).write(to: folder.data)
        let (environment, table) = try folder.open()
        #expect(throws: LMDBError.damaged("a value reaches outside its page")) {
            try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                try transaction.put(table, key: unsafe key(0x7F00_0000).span.bytes, value: unsafe value(1).span.bytes)
                return try transaction.contains(table, key: unsafe key(0x0102_0304).span.bytes)
            }
        }
    }

    @Test("on a full disk loses the whole batch, and works again once there is room")
    func fileSizeLimit() async throws {
        await #expect(processExitsWith: .success) { [path = folder.path as String] in
            _ = signal(SIGXFSZ, SIG_IGN)
            let environment = try Environment(folder: path, options: EnvironmentOptions(mapSize: 64 << 20))
            let table = try environment.openTables(["table"])[0]
            try environment.put(table, 0..<10, count: 10_000)
            var limit = rlimit()
            #expect(unsafe getrlimit(__rlimit_resource_t(1), &limit) == 0)  // 1 is RLIMIT_FSIZE
            let unlimited = limit
            limit.rlim_cur = 1 << 20
            #expect(unsafe setrlimit(__rlimit_resource_t(1), &limit) == 0)
            do throws(LMDBError) {
                try environment.put(table, 10..<300, count: 10_000)
                Issue.record("3 MB in a file of 1 MiB")
            } catch {
                // The write that met the limit came back short.
                #expect(error == .code(ENOSPC, call: "mdb_txn_commit") && error.isDiskFull)
            }
            #expect(try environment.count(table) == 10)
            var raised = unlimited
            #expect(unsafe setrlimit(__rlimit_resource_t(1), &raised) == 0)
            try environment.put(table, 10..<300, count: 10_000)
            #expect(try environment.get(table, key(299)) == value(299, count: 10_000))
        }
    }
}
