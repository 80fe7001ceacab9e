import Dispatch
import Foundation
import Glibc
import LMDB
import Synchronization
import Testing
import TestKit

@Suite("Several threads and processes")
struct ConcurrencyTests {
    /// Runs `body` on several threads at once and waits for all of them.
    static func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
        let running = DispatchGroup()
        for index in 0..<count {
            running.enter()
            Thread.detachNewThread {
                body(index)
                running.leave()
            }
        }
        running.wait()
    }

    /// Writes one number under two keys in one transaction.
    static func writePairs(_ environment: Environment, _ table: Table, numbers: Range<Int>) throws(LMDBError) {
        for number in numbers {
            try environment.write { (transaction: inout WriteTransaction) throws(LMDBError) in
                let bytes = value(number, count: 3_000)
                try transaction.put(table, key: unsafe key(1).span.bytes, value: unsafe bytes.span.bytes)
                try transaction.put(table, key: unsafe key(2).span.bytes, value: unsafe bytes.span.bytes)
            }
        }
    }

    @Test("never see half a transaction, and lose none")
    func snapshotsAreWhole() throws {
        let folder = try TemporaryFolder()
        let (environment, table) = try folder.open()
        try Self.writePairs(environment, table, numbers: 0..<1)
        let problems = Atomic<Int>(0)
        let writers = Atomic<Int>(2)
        Self.onThreads(4) { index in
            do throws(LMDBError) {
                if index < 2 {
                    try Self.writePairs(environment, table, numbers: (index * 100)..<(index * 100 + 40))
                    try environment.put(table, [1_000 + index])
                    writers.subtract(1, ordering: .sequentiallyConsistent)
                    return
                }
                while writers.load(ordering: .sequentiallyConsistent) > 0 {
                    let isWhole = try environment.read { (transaction) throws(LMDBError) in
                        let one = try transaction.get(table, key: unsafe key(1).span.bytes)?.array
                        return try one == transaction.get(table, key: unsafe key(2).span.bytes)?.array
                    }
                    if !isWhole { problems.add(1, ordering: .relaxed) }
                }
            } catch {
                Issue.record(error)
            }
        }
        #expect(problems.load(ordering: .relaxed) == 0)
        #expect(try environment.count(table) == 4)
        #expect(environment.openTransactions == 0)
    }

    /// Threads that work until they are told to stop.
    final class Users: Sendable {
        let mustStop = Atomic<Bool>(false)
        let running = DispatchGroup()
    }

    @Test("continue when another process enlarges the map under them")
    func followMapTogether() async throws {
        let folder = try TemporaryFolder()
        let (environment, table) = try folder.open(mapSize: 1 << 20)
        try Self.writePairs(environment, table, numbers: 0..<1)
        let users = Users()
        for index in 0..<3 {
            users.running.enter()
            Thread.detachNewThread {
                defer { users.running.leave() }
                do throws(LMDBError) {
                    while !users.mustStop.load(ordering: .relaxed) {
                        if index == 0 {
                            try environment.put(table, [10])
                        } else {
                            _ = try environment.get(table, key(1))
                        }
                    }
                } catch {
                    // A writer in the old, small map may find it full as long as a snapshot keeps its freed pages.
                    if index > 0 || !error.isFull { Issue.record(error) }
                }
            }
        }
        await #expect(processExitsWith: .success) { [path = folder.path as String] in
            let environment = try Environment(folder: path, options: EnvironmentOptions(mapSize: 64 << 20))
            try environment.put(try environment.openTables(["table"])[0], 100..<110, count: 1_000_000)
        }
        #expect(try environment.get(table, key(109)) == value(109, count: 1_000_000))
        users.mustStop.store(true, ordering: .relaxed)
        while users.running.wait(timeout: .now()) == .timedOut { usleep(1_000) }
        #expect(try environment.info().mapSize == 64 << 20)
    }
}
