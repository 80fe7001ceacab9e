// A writer of another process that stands still in the middle of a transaction.

import Foundation
import Glibc
import LMDB
import Testing
import TestKit
import Threads

/// Forks a process that stops itself inside a write transaction of the folder, and waits until it has. Only for a
/// process of its own, as an exit test is: forking a process whose other threads run tests can hang the child.
private func stoppedWriter(_ path: String) -> pid_t {
    let child = fork()
    if child == 0 {
        do throws(LMDBError) {
            let environment = try Environment(folder: path, options: EnvironmentOptions(mapSize: 16 << 20))
            let table = try environment.openTables(["table"])[0]
            try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                try transaction.put(table, key: unsafe key(1).span.bytes, value: unsafe value(1).span.bytes)
                _ = kill(getpid(), SIGSTOP)
            }
            environment.close()
            _exit(0)
        } catch {
            _exit(1)
        }
    }
    var status: Int32 = 0
    #expect(unsafe waitpid(child, &status, WUNTRACED) == child)
    #expect(status & 0xFF == 0x7F, "it did not stop")
    return child
}

private func end(_ child: pid_t, _ signal: Int32) -> Int32 {
    kill(child, signal)
    var status: Int32 = -1
    #expect(unsafe waitpid(child, &status, 0) == child)
    return status
}

@Suite("A writer that stands still", .timeLimit(.minutes(1)))
struct HeldUpTests {
    @Test("holds up writers for as long as they want, and is named; opening and reading go on")
    func stopped() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            do {
                let (environment, _) = try folder.open()
                environment.close()
            }
            let child = stoppedWriter(folder.path)
            let (environment, table) = try folder.open()
            #expect(try environment.count(table) == 0)
            for _ in 0..<2 {
                #expect(throws: LMDBError.busy(process: child)) {
                    try environment.write(before: .after(.milliseconds(50))) {
                        (transaction: inout WriteTransaction) throws(LMDBError) in try transaction.clear(table)
                    }
                }
            }
            #expect(try environment.freeDeadReaders() == 0)
            try environment.setMapSize(32 << 20)
            #expect(try environment.info().readers == 0)
            #expect(end(child, SIGCONT) == 0)
            try environment.put(table, [2])
            #expect(try environment.count(table) == 2)
        }
    }

    @Test("and is killed leaves nothing, and the next writer goes on at once")
    func killed() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            do {
                let (environment, _) = try folder.open()
                environment.close()
            }
            let child = stoppedWriter(folder.path)
            let (environment, table) = try folder.open()
            let failure = Guarded<LMDBError?>(nil)
            let waiting = try Threads.Thread {
                do throws(LMDBError) { try environment.put(table, [2]) } catch { failure.withLock { $0 = error } }
            }
            while !Environment.isHeldUp { usleep(1000) }
            #expect(end(child, SIGKILL) == SIGKILL)
            waiting.join()
            #expect(failure.withLock { $0 } == nil)
            #expect(!Environment.isHeldUp)
            #expect(try environment.count(table) == 1)
        }
    }

    @Test("does not keep the environment from being closed, nor the folder from being opened again")
    func closed() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            do {
                let (environment, _) = try folder.open()
                environment.close()
            }
            let child = stoppedWriter(folder.path)
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
            #expect(end(child, SIGCONT) == 0)
            try environment.put(table, [3])
            #expect(try environment.count(table) == 2)
            environment.close()
        }
    }
}
