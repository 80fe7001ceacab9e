// The store's folder: how a store comes to be, and which folders are refused.

import Glibc
import KVFormat
import LMDB
import Synchronization
import Testing
import TestKit
import Threads

@testable import ColdTier

@Suite("A store's folder")
struct StoreFolderTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func open(_ path: String) throws(StoreError) { try ColdTier(path).close() }

    @Test("is made with mode 0700, its files with 0600, and nothing is left beside them")
    func modes() throws {
        try open(folder.store)
        #expect(TemporaryFolder.mode(folder.store) == 0o700)
        #expect(TemporaryFolder.names(folder.store) == ["data.mdb", "lock.mdb", "openers"])
        #expect(TemporaryFolder.mode(folder.store + "/data.mdb") == 0o600)
        #expect(TemporaryFolder.mode(folder.store + "/lock.mdb") == 0o600)
        #expect(TemporaryFolder.mode(folder.store + "/openers") == 0o600)
    }

    @Test("that exists and is empty becomes a store")
    func empty() throws {
        unsafe mkdir(folder.store, 0o700)
        try open(folder.store)
        try open(folder.store)
    }

    @Test("that does not exist is refused when it must exist, and so is an empty one")
    func mustExist() throws {
        let options = ColdOptions(quota: .mebibytes(64), opening: .existing)
        #expect(throws: StoreError.notAFolder(path: folder.store)) {
            _ = try ColdTier(path: folder.store, options: options)
        }
        unsafe mkdir(folder.store, 0o700)
        #expect(throws: StoreError.notAStore(path: folder.store)) {
            _ = try ColdTier(path: folder.store, options: options)
        }
        #expect(TemporaryFolder.names(folder.store).isEmpty)
    }

    @Test("is not made in a folder that does not exist, nor where a file is")
    func noParent() throws {
        let missing = folder.path + "/a/b"
        #expect(throws: StoreError.notAFolder(path: missing)) { try open(missing) }
        let file = unsafe creat(folder.path + "/file", 0o600)
        close(file)
        #expect(throws: StoreError.notAFolder(path: folder.path + "/file")) { try open(folder.path + "/file") }
        #expect(throws: StoreError.notAFolder(path: folder.path + "/file/x")) { try open(folder.path + "/file/x") }
    }

    @Test("with other contents is refused and left alone")
    func foreign() throws {
        unsafe mkdir(folder.store, 0o700)
        close(unsafe creat(folder.store + "/letter.txt", 0o600))
        #expect(throws: StoreError.notAStore(path: folder.store)) { try open(folder.store) }
        #expect(TemporaryFolder.names(folder.store) == ["letter.txt"])
    }

    @Test("of another program that uses LMDB is refused and left alone")
    func foreignEnvironment() throws {
        unsafe mkdir(folder.store, 0o700)
        do {
            let environment = try Environment(folder: folder.store, options: EnvironmentOptions(mapSize: 1 << 20))
            _ = try environment.openTables(["theirs"])
            environment.close()
        }
        #expect(throws: StoreError.notAStore(path: folder.store)) { try open(folder.store) }
        let environment = try Environment(
            folder: folder.store, options: EnvironmentOptions(mapSize: 1 << 20, access: .readOnly))
        #expect(throws: LMDBError.tableMissing(name: "meta")) { _ = try environment.openTables(["meta"]) }
    }

    @Test("of another format is refused by its number, newer or older", arguments: [0, 1, 77] as [UInt32])
    func format(version: UInt32) throws {
        try open(folder.store)
        try withTables(folder.store) { transaction, tables in
            let record = FormatRecord(version: version, pageSize: 4096, createdAt: 0)
            try transaction.write(tables.meta, MetaKey.format, record.encoded)
        }
        let expected = StoreError.formatMismatch(path: folder.store, found: version, supported: 2)
        #expect(throws: expected) { try open(folder.store) }
    }

    @Test("is opened by LMDB once when it holds a store, with a map for the quota that the store has")
    func once() async {
        // In a process of its own, since the count is the process's.
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            try ColdTier(folder.store, quota: .gibibytes(2)).close()
            for options in [ColdOptions(), ColdOptions(quota: .gibibytes(2)), ColdOptions(opening: .existing)] {
                let before = Environment.openings
                let tier = try ColdTier(path: folder.store, options: options)
                #expect(Environment.openings == before + 1)
                #expect(try tier.environment.info().mapSize == 8 << 30)
                tier.close()
            }
        }
    }

    @Test("that others may write is refused, and so is a data file that they may")
    func writableByOthers() throws {
        try open(folder.store)
        unsafe chmod(folder.store, 0o770)
        #expect(throws: StoreError.permissions(path: folder.store, "others may write the folder")) {
            try open(folder.store)
        }
        unsafe chmod(folder.store, 0o700)
        unsafe chmod(folder.store + "/data.mdb", 0o602)
        #expect(throws: StoreError.permissions(path: folder.store, "others may write the data file")) {
            try open(folder.store)
        }
    }

    @Test("that is open in this process is refused, by any name")
    func twice() throws {
        let tier = try ColdTier(folder.store)
        #expect(throws: StoreError.alreadyOpen(path: folder.store + "/.")) { try open(folder.store + "/.") }
        tier.close()
        try open(folder.store)
    }

    @Test("whose data file is cut short is damaged")
    func cutShort() throws {
        try open(folder.store)
        unsafe truncate(folder.store + "/data.mdb", 100)
        #expect(throws: StoreError.damaged(path: folder.store, "the data file is cut short")) {
            try ColdTier(existing: folder.store).close()
        }
    }

    @Test("whose data file is not LMDB's is damaged")
    func noDataFile() throws {
        try open(folder.store)
        let file = unsafe Glibc.open(folder.store + "/data.mdb", O_WRONLY)
        let zeros = [UInt8](repeating: 0x5A, count: 8192)
        #expect(unsafe write(file, zeros, zeros.count) == zeros.count)
        close(file)
        #expect {
            try ColdTier(existing: folder.store).close()
        } throws: { error in
            if case .damaged = error as? StoreError { true } else { false }
        }
    }

    @Test("in which a process died while it made a store becomes one, and what it left goes")
    func halfMade() throws {
        unsafe mkdir(folder.store, 0o700)
        unsafe mkdir(folder.store + "/.making-7-1", 0o700)
        close(unsafe creat(folder.store + "/.making-7-1/data.mdb", 0o600))
        let old = [timeval(tv_sec: 1_700_000_000, tv_usec: 0), timeval(tv_sec: 1_700_000_000, tv_usec: 0)]
        #expect(unsafe utimes(folder.store + "/.making-7-1", old) == 0)
        // Another one may be making it just now.
        unsafe mkdir(folder.store + "/.making-1-1", 0o700)
        try open(folder.store)
        #expect(TemporaryFolder.names(folder.store) == [".making-1-1", "data.mdb", "lock.mdb", "openers"])
    }

    @Test("is refused with a quota or a number of readers that makes no sense")
    func options() throws {
        for quota in [ByteCount(0), .mebibytes(3), ByteCount(UInt64.max)] {
            #expect(throws: StoreError.self) { _ = try ColdTier(folder.store, quota: quota) }
        }
        #expect(throws: StoreError.outside(Limits.readers, "number of readers", 0)) {
            _ = try ColdTier(path: folder.store, options: ColdOptions(quota: .mebibytes(64), maxReaders: 0))
        }
        #expect(TemporaryFolder.names(folder.path).isEmpty)
    }

    @Test("is a store for all threads that make it at once, one of which has it open")
    func race() throws {
        for _ in 0..<20 {
            let folder = try TemporaryFolder()
            let opened = Atomic<Int>(0)
            let refused = Atomic<Int>(0)
            let threads = try (0..<4).map { _ in
                try Thread {
                    do throws(StoreError) {
                        let tier = try ColdTier(folder.store)
                        opened.add(1, ordering: .relaxed)
                        tier.close()
                    } catch {
                        if error == .alreadyOpen(path: folder.store) { refused.add(1, ordering: .relaxed) }
                    }
                }
            }
            for thread in threads { thread.join() }
            #expect(opened.load(ordering: .relaxed) >= 1)
            #expect(opened.load(ordering: .relaxed) + refused.load(ordering: .relaxed) == 4)
            #expect(TemporaryFolder.names(folder.store) == ["data.mdb", "lock.mdb", "openers"])
            try open(folder.store)
        }
    }

    @Test("that this user may not write is read-only, and one that cannot be read says so")
    func readOnly() throws {
        try open(folder.store)
        let nobody: uid_t = 65_534
        unsafe chmod(folder.path, 0o755)
        let errors = Guarded<[StoreError]>([])
        let path = folder.store
        for (folderMode, fileMode) in [(0o555, 0o644), (0o755, 0o444), (0o711, 0o600)] as [(mode_t, mode_t)] {
            unsafe chmod(path, folderMode)
            unsafe chmod(path + "/data.mdb", fileMode)
            try Thread {
                // Takes the rights of root from this thread only. If another user runs the tests, it has none to
                // lose.
                becomeForFiles(nobody)
                do throws(StoreError) { try ColdTier(path).close() } catch {
                    errors.withLock { $0.append(error) }
                }
            }.join()
        }
        unsafe chmod(path, 0o700)
        guard geteuid() == 0 else { return }
        #expect(
            errors.withLock { $0 } == [
                .readOnly(path: path), .readOnly(path: path), .permissions(path: path, "it cannot be read"),
            ])
    }

    @Test("refuses every call after a close, and a second close does nothing")
    func closed() throws {
        let model = try Model()
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        tier.close()
        tier.close()
        #expect(throws: StoreError.closed) { _ = try model.match(tokens(4), in: tier) }
        #expect(throws: StoreError.closed) { _ = try tier.put(model.pages(tokens(4))) }
        #expect(throws: StoreError.closed) { _ = try tier.contains(model.root) }
        #expect(throws: StoreError.closed) { _ = try tier.statistics }
        #expect(throws: StoreError.closed) { try tier.open(space: model.descriptor) }
    }

    @Test("keeps a space's first descriptor, and writes it again in place of another one under its root")
    func spaces() throws {
        let model = try Model()
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        try tier.open(space: model.descriptor)
        tier.close()
        try withTables(folder.store) { transaction, tables in
            let other = SpaceRecord(try Model("another").descriptor)
            try transaction.write(tables.spaces, model.root.bytes, other.encoded)
        }
        let again = try ColdTier(folder.store)
        #expect(try again.space(model.root) == nil)
        try again.open(space: model.descriptor)
        #expect(try again.space(model.root)?.descriptor == model.descriptor)
    }
}

/// Changes the tables of a closed store behind its back, in one write transaction.
func withTables(_ path: String, _ body: (inout WriteTransaction, Tables) throws -> Void) throws {
    let environment = try Environment(folder: path, options: EnvironmentOptions(mapSize: 1 << 30))
    defer { environment.close() }
    let tables = try Tables(environment)
    var failure: (any Error)?
    try environment.write { (transaction) throws(LMDBError) in
        do { try body(&transaction, tables) } catch { failure = error }
    }
    if let failure { throw failure }
}

/// `setfsuid`, which the module Glibc leaves out: changes the user that file checks see, for the calling thread only.
private func becomeForFiles(_ user: uid_t) {
    guard let symbol = unsafe dlsym(nil, "setfsuid") else { return }
    typealias SetUser = @convention(c) (uid_t) -> Int32
    _ = unsafe unsafeBitCast(symbol, to: SetUser.self)(user)
}
