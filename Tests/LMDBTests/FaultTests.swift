// Calls of the system that fail once, and files that are exchanged while they are open.

import CFaults
import Foundation
import Glibc
import LMDB
import Testing
import TestKit

@Suite("A fault")
struct FaultTests {
    @Test(
        "of one write of a meta page costs that transaction, and nothing in the process has to be opened again",
        arguments: [EIO, ENOSPC, EDQUOT, 0])
    func metaPage(number: Int32) async {
        await #expect(processExitsWith: .success) { [number = number as Int32] in
            let folder = try TemporaryFolder()
            let (environment, table) = try folder.open()
            let other = try environment.openTables(["other"])[0]
            try environment.put(table, 0..<10)
            try environment.put(other, [1])
            for round in 1...3 {
                unsafe cfaults_fail("meta", "data.mdb", 1, 1, number)
                #expect(throws: LMDBError.self) { try environment.put(table, [100]) }
                #expect(cfaults_failed() == 1)
                #expect(try environment.count(table) == 9 + round)
                try environment.put(table, [10 + round])
                #expect(try environment.get(table, key(10 + round)) == value(10 + round))
                #expect(try environment.get(other, key(1)) == value(1))
                #expect(try environment.get(table, key(100)) == nil)
            }
            environment.close()
            let again = try folder.open()
            #expect(try again.environment.count(again.table) == 13)
        }
    }

    @Test("of the second opening leaves an environment that the next transaction opens")
    func reopening() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let (environment, table) = try folder.open()
            try environment.put(table, [1])
            unsafe cfaults_fail("meta", "data.mdb", 1, 1, EIO)
            #expect(throws: LMDBError.self) { try environment.put(table, [2]) }
            unsafe cfaults_fail("open", "lock.mdb", 1, 2, EMFILE)
            for _ in 0..<2 {
                do throws(LMDBError) {
                    _ = try environment.get(table, key(1))
                    Issue.record("an environment without files")
                } catch {
                    #expect(error.status == EMFILE)
                }
            }
            #expect(try environment.freeDeadReaders() == 0)
            #expect(try environment.get(table, key(1)) == value(1))
            try environment.put(table, [2])
            #expect(try environment.count(table) == 2)
        }
    }

    @Test("of any write, once or from then on, loses nothing that was committed", .timeLimit(.minutes(10)))
    func anyWrite() async {
        await #expect(processExitsWith: .success) {
            for (call, error) in [("any", EIO), ("any", ENOSPC), ("pwrite", 0), ("writev", 0), ("fdatasync", EIO)] {
                for count in [Int32(1), 0] {
                    for first in 1...6 {
                        let folder = try TemporaryFolder()
                        let (environment, table) = try folder.open()
                        try environment.put(table, 0..<10, count: 5_000)
                        var committed = Set(0..<10)
                        unsafe cfaults_fail(call, "data.mdb", Int32(first), count, error)
                        for number in 10..<14 {
                            do throws(LMDBError) {
                                try environment.put(table, [number], count: 5_000)
                                committed.insert(number)
                            } catch {
                                #expect(!error.isDamage, "\(error)")
                            }
                        }
                        cfaults_stop()
                        try environment.put(table, [20], count: 5_000)
                        committed.insert(20)
                        for number in 0..<30 {
                            let found = try environment.get(table, key(number))
                            #expect(found == (committed.contains(number) ? value(number, count: 5_000) : nil))
                        }
                        environment.close()
                    }
                }
            }
        }
    }

    @Test("of a full disk while the lock file is made is an error, and all of the file has room on the disk")
    func lockFile() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            unsafe cfaults_fail("fallocate", "lock.mdb", 1, 1, ENOSPC)
            #expect(throws: LMDBError.code(ENOSPC, call: "allocating lock.mdb")) { try folder.open(maxReaders: 200) }
            let (environment, _) = try folder.open(maxReaders: 200)
            #expect(try environment.info().maxReaders == 200)
            var status = stat()
            #expect(unsafe stat(folder.path("lock.mdb"), &status) == 0)
            #expect(status.st_size == 128 + 200 * 64)
            #expect(status.st_blocks * 512 >= status.st_size)
            environment.close()
            // A file that is larger than LMDB needs keeps its size, and loses its holes.
            #expect(unsafe truncate(folder.path("lock.mdb"), 1 << 20) == 0)
            _ = try folder.open(maxReaders: 200)
            #expect(unsafe stat(folder.path("lock.mdb"), &status) == 0)
            #expect(status.st_size == 1 << 20 && status.st_blocks * 512 >= status.st_size)
        }
    }

    @Test("of the limit on the size of files is an error where a host has not asked for the signal")
    func fileSizeLimit() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let (environment, table) = try folder.open()
            try environment.put(table, 0..<10, count: 10_000)
            var limit = rlimit()
            #expect(unsafe getrlimit(__rlimit_resource_t(1), &limit) == 0)  // 1 is RLIMIT_FSIZE
            let before = limit
            limit.rlim_cur = 1 << 20
            #expect(unsafe setrlimit(__rlimit_resource_t(1), &limit) == 0)
            do throws(LMDBError) {
                try environment.put(table, 10..<300, count: 10_000)
                Issue.record("3 MB in a file of 1 MiB")
            } catch {
                #expect(error.isDiskFull)
            }
            limit.rlim_cur = 4096
            #expect(unsafe setrlimit(__rlimit_resource_t(1), &limit) == 0)
            let other = try TemporaryFolder()
            do throws(LMDBError) {
                _ = try Environment(folder: other.path, options: EnvironmentOptions(mapSize: 1 << 20))
                Issue.record("two files in 4 KiB")
            } catch {
                #expect(error.isDiskFull, "\(error)")
            }
            limit = before
            #expect(unsafe setrlimit(__rlimit_resource_t(1), &limit) == 0)
            #expect(try environment.count(table) == 10)
        }
    }
}

@Suite("Files that are exchanged while they are open")
struct ExchangedFileTests {
    @Test("the lock file: every process joins the others at the new one, and nobody writes beside them")
    func lockFile() async throws {
        let folder = try TemporaryFolder()
        let (environment, table) = try folder.open()
        try environment.put(table, [1])
        for round in 0..<3 {
            #expect(unsafe unlink(folder.path("lock.mdb")) == 0)
            await #expect(processExitsWith: .success) { [path = folder.path as String, round = round as Int] in
                let environment = try Environment(folder: path, options: EnvironmentOptions(mapSize: 16 << 20))
                try environment.put(try environment.openTables(["table"])[0], [10 + round])
            }
            try environment.put(table, [20 + round])
            #expect(try environment.count(table) == 3 + 2 * round)
        }
        #expect(unsafe unlink(folder.path("lock.mdb")) == 0)
        usleep(150_000)
        #expect(try environment.count(table) == 7)
        #expect(FileManager.default.fileExists(atPath: folder.path("lock.mdb")))
    }

    @Test("the data file: a write is refused, and soon a read too")
    func dataFile() throws {
        for isDeleted in [true, false] {
            let folder = try TemporaryFolder()
            let (environment, table) = try folder.open()
            try environment.put(table, [1])
            try environment.checkFiles()
            let copy = try Data(contentsOf: folder.data)
            #expect(unsafe unlink(folder.data.path) == 0)
            if !isDeleted { try copy.write(to: folder.data) }
            let replaced = LMDBError.replaced(file: "data.mdb")
            #expect(throws: replaced) { try environment.checkFiles() }
            #expect(throws: replaced) { try environment.put(table, [2]) }
            usleep(150_000)
            #expect(throws: replaced) { _ = try environment.get(table, key(1)) }
            environment.close()
        }
    }

    @Test("the folder, moved away or replaced: a write is refused, and soon a read too", arguments: [true, false])
    func folderMoved(isReplaced: Bool) throws {
        let folder = try TemporaryFolder()
        let old = folder.path("old")
        #expect(unsafe mkdir(old, 0o700) == 0)
        let environment = try Environment(folder: old, options: EnvironmentOptions(mapSize: 1 << 20))
        let table = try environment.openTables(["table"])[0]
        #expect(unsafe rename(old, folder.path("new")) == 0)
        if isReplaced { #expect(unsafe mkdir(old, 0o700) == 0) }
        let moved = LMDBError.replaced(file: "the folder")
        #expect(throws: moved) { try environment.checkFiles() }
        #expect(throws: moved) { try environment.put(table, [1]) }
        usleep(150_000)
        #expect(throws: moved) { _ = try environment.get(table, key(1)) }
        if isReplaced { #expect(unsafe rmdir(old) == 0) }
        #expect(unsafe rename(folder.path("new"), old) == 0)
        try environment.checkFiles()
        try environment.put(table, [1])
        environment.close()
    }

    @Test("are not: whoever looks at the data file in the process that writes does not take its lock away")
    func locksStay() throws {
        let folder = try TemporaryFolder()
        let (environment, table) = try folder.open()
        /// Locks of this process on the data file.
        func locks() throws -> Int {
            var status = stat()
            #expect(unsafe stat(folder.data.path, &status) == 0)
            let list = try String(contentsOfFile: "/proc/locks", encoding: .utf8)
            return list.split(separator: "\n").count { $0.contains("POSIX") && $0.contains(":\(status.st_ino) ") }
        }
        let (before, after) = try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
            try transaction.clear(table)
            let before = try? locks()
            _ = try DataFile.look(in: folder.path)
            _ = DataFile.isReadable(in: folder.path)
            return (before, try? locks())
        }
        #expect(before == 1 && after == 1)
        environment.close()
    }
}
