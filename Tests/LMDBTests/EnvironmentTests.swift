import Foundation
import Glibc
import LMDB
import Testing
import TestKit
import Threads

@Suite("An environment")
struct EnvironmentTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test("keeps its tables and values over closing and opening")
    func survivesClosing() throws {
        do {
            let (environment, table) = try folder.open()
            try environment.put(table, 0..<100)
            environment.close()
            environment.close()
        }
        let (environment, table) = try folder.open()
        #expect(try environment.count(table) == 100)
        #expect(try environment.get(table, key(42)) == value(42))
    }

    @Test("keeps its files to the owner")
    func fileModes() throws {
        let (environment, _) = try folder.open()
        for name in ["data.mdb", "lock.mdb"] {
            var status = stat()
            #expect(unsafe stat(folder.path + "/" + name, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
        environment.close()
    }

    @Test("is refused a second time in one process, however the folder is spelled, until it is closed")
    func secondOpen() throws {
        let (environment, table) = try folder.open()
        try environment.put(table, [1])
        let link = folder.path + "-link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: folder.path)
        defer { try? FileManager.default.removeItem(atPath: link) }
        for path in [folder.path, folder.path + "/.", link] {
            #expect(throws: LMDBError.alreadyOpen(path: path)) {
                try Environment(folder: path, options: EnvironmentOptions(mapSize: 1 << 20))
            }
        }
        #expect(try environment.get(table, key(1)) == value(1))
        environment.close()
        let again = try folder.open()
        #expect(try again.environment.get(again.table, key(1)) == value(1))
    }

    @Test("is closed by letting go of it")
    func closedByDeinit() throws {
        for round in 0..<3 {
            let (environment, table) = try folder.open()
            try environment.put(table, [round])
        }
        let (environment, table) = try folder.open()
        #expect(try environment.count(table) == 3)
    }

    @Test("answers every use after closing with an error")
    func useAfterClose() throws {
        let (environment, table) = try folder.open()
        environment.close()
        #expect(throws: LMDBError.closed) { try environment.put(table, [1]) }
        #expect(throws: LMDBError.closed) { try environment.get(table, key(1)) }
        #expect(throws: LMDBError.closed) { try environment.info() }
        #expect(throws: LMDBError.closed) { try environment.freeDeadReaders() }
        #expect(throws: LMDBError.closed) { try environment.openTables(["other"]) }
    }

    @Test("waits with closing until the transactions that run have ended")
    func closeWaits() throws {
        let (environment, table) = try folder.open()
        try environment.put(table, [1])
        var closer: Foundation.Thread?
        let seen = try environment.read { (transaction) throws(LMDBError) in
            let thread = Foundation.Thread { environment.close() }
            thread.start()
            closer = thread
            while true {  // until the closer has shut the gate; the snapshot stays whole all the same
                do throws(LMDBError) {
                    _ = try environment.freeDeadReaders()
                } catch {
                    #expect(error == .closed)
                    break
                }
            }
            return try transaction.get(table, key: unsafe key(1).span.bytes)?.array
        }
        #expect(seen == value(1))
        while closer?.isFinished == false { usleep(1_000) }
        #expect(throws: LMDBError.closed) { try environment.get(table, key(1)) }
    }

    @Test("refuses what is not a folder")
    func notAFolder() throws {
        let file = folder.path + "/file"
        try Data([1]).write(to: URL(fileURLWithPath: file))
        for path in [file, folder.path + "/absent", file + "/below"] {
            #expect(throws: LMDBError.notAFolder(path: path)) {
                try Environment(folder: path, options: EnvironmentOptions(mapSize: 1 << 20))
            }
        }
    }

    // In a process of its own: forking a process whose other threads run tests can hang the child.
    @Test("is refused in a forked child, which also does not close it for its parent")
    func forked() async throws {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let (environment, table) = try folder.open()
            try environment.put(table, [1])
            let child = fork()
            if child == 0 {
                var refused: Int32 = 0
                do throws(LMDBError) { _ = try environment.get(table, key(1)) } catch {
                    refused += error == .forked ? 1 : 0
                }
                do throws(LMDBError) { try environment.put(table, [1]) } catch { refused += error == .forked ? 1 : 0 }
                do throws(LMDBError) { _ = try environment.info() } catch { refused += error == .forked ? 1 : 0 }
                environment.close()
                _exit(refused)
            }
            var status: Int32 = 0
            #expect(unsafe waitpid(child, &status, 0) == child)
            #expect(status >> 8 == 3 && status & 0x7F == 0)
            try environment.put(table, [2])
            #expect(try environment.count(table) == 2)
        }
    }

    @Test("opened for reading writes nothing and creates nothing")
    func readOnly() throws {
        let reading = EnvironmentOptions(mapSize: 1 << 20, access: .readOnly)
        #expect(throws: LMDBError.code(ENOENT, call: "mdb_env_open")) {
            try Environment(folder: folder.path, options: reading)
        }
        #expect(!FileManager.default.fileExists(atPath: folder.data.path))
        do {
            let (environment, table) = try folder.open()
            try environment.put(table, [1])
        }
        let (environment, table) = try folder.open(access: .readOnly)
        #expect(try environment.get(table, key(1)) == value(1))
        #expect(throws: LMDBError.code(EACCES, call: "mdb_txn_begin")) { try environment.put(table, [2]) }
        #expect(throws: LMDBError.tableMissing(name: "absent")) { try environment.openTables(["table", "absent"]) }
        #expect(environment.openTransactions == 0)
    }

    @Test("follows a map that another process enlarged")
    func followsMap() async throws {
        let (environment, table) = try folder.open(mapSize: 1 << 20)
        try environment.put(table, [1])
        await #expect(processExitsWith: .success) { [path = folder.path as String] in
            let environment = try Environment(folder: path, options: EnvironmentOptions(mapSize: 64 << 20))
            let table = try environment.openTables(["table"])[0]
            try environment.put(table, 2..<20, count: 1_000_000)
            environment.close()
        }
        #expect(try environment.get(table, key(19)) == value(19, count: 1_000_000))
        #expect(try environment.info().mapSize == 64 << 20)
        try environment.put(table, [20], count: 2_000_000)
        #expect(try environment.count(table) == 20)
    }

    @Test("reports sizes, free pages and readers")
    func info() throws {
        let (environment, table) = try folder.open(maxReaders: 21)
        try environment.put(table, 0..<20, count: 20_000)
        let full = try environment.info()
        #expect(full.mapSize == 16 << 20)
        #expect(full.pageSize == environment.pageSize)
        #expect(full.maxReaders == 21)
        #expect(full.readers == 0)
        #expect(full.oldestReaderLag == nil)
        #expect(full.usedBytes > 400_000)
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in try transaction.clear(table)
        }
        let cleared = try environment.info()
        #expect(cleared.freePages >= 100)
        #expect(cleared.usedBytes < full.usedBytes - 400_000)
        #expect(cleared.fileBytes >= full.fileBytes)
        #expect(cleared.lastTransaction == full.lastTransaction + 1)
        #expect(try environment.count(table) == 0)
    }

    @Test("counts open snapshots and how far the oldest lags behind")
    func readers() throws {
        let (environment, table) = try folder.open()
        try environment.put(table, [1])
        let info = try environment.read { (_) throws(LMDBError) in
            try environment.put(table, [2])
            try environment.put(table, [3])
            return try environment.info()
        }
        #expect(info.readers == 1)
        #expect(info.oldestReaderLag == 2)
        #expect(try environment.freeDeadReaders() == 0)
    }

    @Test("frees the slots of killed readers when it opens, on request, and when no slot is left")
    func deadReaders() async throws {
        let (environment, table) = try folder.open(maxReaders: 1)
        try environment.put(table, [1])
        await #expect(processExitsWith: .signal(SIGKILL)) { [path = folder.path as String] in
            let environment = try Environment(folder: path, options: EnvironmentOptions(mapSize: 16 << 20))
            try environment.read { (_) throws(LMDBError) in _ = kill(getpid(), SIGKILL) }
        }
        #expect(try environment.get(table, key(1)) == value(1))
        #expect(try environment.freeDeadReaders() == 0)
    }

    @Test("says so when live processes use all reader slots")
    func readersFull() throws {
        let (environment, table) = try folder.open(maxReaders: 1)
        try environment.put(table, [1])
        try environment.read { (_) throws(LMDBError) in
            do throws(LMDBError) {
                _ = try environment.get(table, key(1))
                Issue.record("a second reader in one slot")
            } catch {
                #expect(error.isReadersFull)
                #expect(error.description.contains("maxReaders"))
            }
        }
        #expect(try environment.get(table, key(1)) == value(1))
    }

    @Test("waits a moment for a reader's slot rather than fail")
    func readersAlmostFull() throws {
        let (environment, table) = try folder.open(maxReaders: 1)
        try environment.put(table, [1])
        let isReading = Guarded(false)
        let other = try Threads.Thread {
            try? environment.read { (_) throws(LMDBError) in
                isReading.withLock { $0 = true }
                isReading.broadcast()
                usleep(5_000)
            }
        }
        isReading.wait { $0 }
        #expect(try environment.get(table, key(1)) == value(1))
        other.join()
    }

    @Test("starts to write early on request, which changes nothing that is stored, and does nothing once it is closed")
    func writeback() throws {
        let (environment, table) = try folder.open()
        try environment.put(table, 0..<100)
        try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            try transaction.put(table, key: unsafe key(100).span.bytes, value: unsafe value(100).span.bytes)
            environment.startWriteback()
        }
        for number in 0...100 { #expect(try environment.get(table, key(number)) == value(number)) }
        environment.close()
        environment.startWriteback()
    }
}
