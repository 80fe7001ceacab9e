// A writer of another process that stands still in the middle of a transaction.

import Foundation
import Glibc
import LMDB
import StoreTestKit
import Testing
import TestKit
import Threads

@Suite("A writer that stands still", .timeLimit(.minutes(10)))
struct HeldUpTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        let (environment, _) = try folder.open()
        environment.close()
    }

    /// A process that stands still inside a transaction of the folder, in which it stores one key.
    private func stoppedWriter() throws -> Worker {
        try #require(try Worker.stopped(["hold-table", folder.path, "table"]))
    }

    @Test("holds up writers for as long as they want, and is named; opening and reading go on")
    func stopped() throws {
        let holder = try stoppedWriter()
        let (environment, table) = try folder.open()
        #expect(try environment.count(table) == 0)
        for _ in 0..<2 {
            #expect(throws: LMDBError.busy(process: holder.processID)) {
                try environment.write(before: .after(.milliseconds(50))) {
                    (transaction: inout WriteTransaction) throws(LMDBError) in try transaction.clear(table)
                }
            }
        }
        #expect(try environment.freeDeadReaders() == 0)
        try environment.setMapSize(32 << 20)
        #expect(try environment.info().readers == 0)
        #expect(holder.goOn() == 0)
        try environment.put(table, [2])
        #expect(try environment.count(table) == 2)
    }

    @Test("and is killed leaves nothing, and the next writer goes on at once")
    func killed() throws {
        let holder = try stoppedWriter()
        let (environment, table) = try folder.open()
        let failure = Guarded<LMDBError?>(nil)
        let waiting = try Threads.Thread {
            do throws(LMDBError) { try environment.put(table, [2]) } catch { failure.withLock { $0 = error } }
        }
        while !Environment.isHeldUp { usleep(1000) }
        holder.kill()
        waiting.join()
        #expect(failure.withLock { $0 } == nil)
        #expect(try environment.count(table) == 1)
    }

    @Test("does not keep the environment from being closed, nor the folder from being opened again")
    func closed() throws {
        let holder = try stoppedWriter()
        let failure = Guarded<LMDBError?>(nil)
        do {
            let (environment, table) = try folder.open()
            let waiting = try Threads.Thread {
                do throws(LMDBError) { try environment.put(table, [2]) } catch { failure.withLock { $0 = error } }
            }
            while !Environment.isHeldUp { usleep(1000) }
            environment.close()
            waiting.join()
        }
        #expect(failure.withLock { $0 } == .closed)
        let (environment, table) = try folder.open()
        #expect(try environment.count(table) == 0)
        #expect(holder.goOn() == 0)
        try environment.put(table, [3])
        #expect(try environment.count(table) == 2)
        environment.close()
    }
}
