// A full disk: what was stored stays, and storing goes on within what the disk holds.

import ColdTier
import Glibc
import KVFormat
import LMDB
import Records
import Testing
import TestKit
import Threads

/// Lets no file of this process grow past `bytes`; writes beyond fail, as on a full disk.
private func limitFiles(to bytes: rlim_t) -> Bool {
    signal(SIGXFSZ, SIG_IGN)
    return setFileLimit { $0.rlim_cur = bytes }
}

/// Makes room again: a process whose coverage is measured writes a file of its own when it ends.
private func liftFileLimit() -> Bool { setFileLimit { $0.rlim_cur = $0.rlim_max } }

private func setFileLimit(_ change: (inout rlimit) -> Void) -> Bool {
    let size = __rlimit_resource_t(1)  // 1 is RLIMIT_FSIZE
    var limit = rlimit()
    guard unsafe getrlimit(size, &limit) == 0 else { return false }
    change(&limit)
    return unsafe setrlimit(size, &limit) == 0
}

@Suite("A full disk")
struct FullDiskTests {
    /// A file that may not grow past 12 MiB is a full disk that needs no rights to make; the limit is a process's,
    /// hence the child.
    @Test("loses nothing that was stored, and new pages take the place of old ones")
    func goesOn() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let model = try Model(pageSize: 16, width: 640)
            let tier = try ColdTier(folder.store, quota: .mebibytes(64))
            try tier.open(space: model.descriptor)
            let pinned = tokens(64, from: 900_000)
            _ = try tier.put(model.pages(pinned))
            try tier.pin(path: model.path(pinned))
            #expect(limitFiles(to: 12 << 20))
            var stored = 0
            for round in 0..<75 {
                let sequence = tokens(64, from: TokenID(round * 100))
                let report = try tier.put(model.pages(sequence, now: Int64(1000 + round)))
                stored += report.count(.stored)
                #expect(try model.load(sequence, from: tier) == report.count(.stored) * 16)
            }
            #expect(stored == 300)
            #expect(try tier.statistics.fileBytes <= 12 << 20)
            #expect(try tier.statistics.evictedPages > 50)
            #expect(try model.load(pinned, from: tier) == 64)
            tier.close()
            let again = try ColdTier(folder.store, quota: .mebibytes(64))
            #expect(try model.load(pinned, from: again) == 64)
            #expect(try model.load(tokens(64, from: 7400), from: again) == 64)
            #expect(liftFileLimit())
        }
    }

    @Test(
        "is no error of a put, whatever the size of pages", .timeLimit(.minutes(10)),
        arguments: [80, 640, 960, 1300, 2600])
    func goesOnForAllSizes(width: Int) async {
        await #expect(processExitsWith: .success) { [width] in
            let folder = try TemporaryFolder()
            let model = try Model(pageSize: 16, width: width)
            let tier = try ColdTier(folder.store, quota: .mebibytes(64))
            try tier.open(space: model.descriptor)
            #expect(limitFiles(to: 12 << 20))
            for round in 0..<150 {
                let sequence = tokens(64, from: TokenID(round * 100))
                let report = try tier.put(model.pages(sequence, now: Int64(1000 + round)))
                #expect(report.count(.stored) == 4)
                #expect(try model.load(sequence, from: tier) == 64)
            }
            #expect(try tier.statistics.fileBytes <= 12 << 20)
            #expect(try tier.verify().findings.isEmpty)
            #expect(liftFileLimit())
        }
    }

    @Test("gives a side state room as well, in place of old pages")
    func sideStates() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let model = try Model(pageSize: 16, width: 640)
            let tier = try ColdTier(folder.store, quota: .mebibytes(64))
            try tier.open(space: model.descriptor)
            #expect(limitFiles(to: 12 << 20))
            for round in 0..<60 {
                _ = try tier.put(model.pages(tokens(64, from: TokenID(round * 100)), now: Int64(1000 + round)))
            }
            let page = model.path(tokens(64, from: 5900))[3]
            let state = (0..<600_000).map { UInt8(truncatingIfNeeded: SplitMix64.mix(UInt64($0))) }
            let before = try tier.statistics.evictedPages
            try unsafe tier.putSideState("state", of: page, state.span.bytes)
            #expect(try tier.sideState("state", of: page) == state)
            let after = try tier.statistics.evictedPages
            #expect(after > before)
            #expect(try model.load(tokens(64, from: 5900), from: tier) == 64)
            let large = (0..<16 << 20).map { UInt8(truncatingIfNeeded: SplitMix64.mix(UInt64($0))) }
            #expect(throws: StoreError.diskFull(path: folder.store)) {
                try unsafe tier.putSideState("large", of: page, large.span.bytes)
            }
            #expect(try tier.statistics.evictedPages == after, "for a state that is larger than the disk")
            #expect(try tier.verify().findings.isEmpty)
            #expect(liftFileLimit())
        }
    }

    @Test("is provided for by a reserve that makes the file little longer than what is stored")
    func reserve() throws {
        let folder = try TemporaryFolder()
        let model = try Model(pageSize: 16, width: 8192)
        let tier = try ColdTier(folder.store, quota: .gibibytes(8))
        try tier.open(space: model.descriptor)
        #expect(try tier.put(model.pages(tokens(256))).count(.stored) == 16)
        let statistics = try tier.statistics
        // The rest is the index, which is written anew beside the old one; a reserve of twice the batch made it 3 / 4.
        #expect(statistics.fileBytes - statistics.usedBytes < statistics.usedBytes / 5)
    }

    @Test("does not empty the store while a reader keeps what was evicted: the new pages are refused")
    func reader() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let model = try Model(pageSize: 16, width: 640)
            let tier = try ColdTier(folder.store, quota: .mebibytes(64))
            try tier.open(space: model.descriptor)
            #expect(limitFiles(to: 12 << 20))
            for round in 0..<60 {
                _ = try tier.put(model.pages(tokens(64, from: TokenID(round * 100)), now: Int64(1000 + round)))
            }
            let next = model.pages(tokens(160, from: 50_000), now: 5000)
            let before = try tier.statistics.pages
            let outcomes = try tier.reading { (_) throws(LMDBError) in
                // Its own thread: a thread that reads may not write as well.
                let outcomes = Guarded<[TakeOutcome]>([])
                let writer = try? Thread {
                    for _ in 0..<10 { outcomes.withLock { $0 += (try? tier.put(next).outcomes) ?? [] } }
                }
                writer?.join()
                return outcomes.withLock { $0 }
            }
            #expect(outcomes == [TakeOutcome](repeating: .noRoom, count: 100))
            let lost = try before - tier.statistics.pages
            #expect((10..<30).contains(lost), "\(lost)")
            #expect(try tier.put(next).count(.stored) == 10)
            #expect(try tier.verify().findings.isEmpty)
            #expect(liftFileLimit())
        }
    }

    @Test("with nothing to give up is an error that says what to do")
    func nothingLeft() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let model = try Model(pageSize: 16, width: 640)
            let tier = try ColdTier(folder.store, quota: .mebibytes(64))
            try tier.open(space: model.descriptor)
            #expect(limitFiles(to: 256 << 10))
            var failures = 0
            for round in 0..<5 {
                do throws(StoreError) {
                    _ = try tier.put(model.pages(tokens(64, from: TokenID(round * 100))))
                } catch {
                    #expect(error == .diskFull(path: folder.store))
                    failures += 1
                }
            }
            #expect(failures == 5)
            #expect(try model.match(tokens(64), in: tier).isEmpty)
            #expect(liftFileLimit())
        }
    }
}

@Suite("Failures of LMDB")
struct ErrorTests {
    @Test("are reported as errors of the store")
    func words() {
        let path = "/store"
        let options = ColdOptions(quota: .mebibytes(64))
        func word(_ error: LMDBError) -> StoreError { StoreError(error, path: path, options: options) }
        #expect(word(.forked) == .forked)
        #expect(word(.closed) == .closed)
        #expect(word(.networkFileSystem(path: path)) == .networkFileSystem(path: path))
        #expect(word(.notAFolder(path: path)) == .notAFolder(path: path))
        #expect(word(.tableMissing(name: "meta")) == .notAStore(path: path))
        #expect(word(.damaged("x")) == .damaged(path: path, "x"))
        #expect(word(.keySize(600)) == .damaged(path: path, "a key of 600 bytes"))
        #expect(word(.code(ENOSPC, call: "c")) == .diskFull(path: path))
        #expect(word(.code(EFBIG, call: "c")) == .diskFull(path: path))
        #expect(word(.code(EDQUOT, call: "mkdir")) == .diskFull(path: path))
        #expect(word(.code(EIO, call: "c")) == .diskFailure(path: path, call: "c"))
        #expect(word(.code(EMFILE, call: "c")) == .system(call: "c", errno: EMFILE))
        #expect(word(.busy(process: nil)) == .writerBusy(path: path, holder: "Another writer"))
        #expect(word(.busy(process: 1 << 30)) == .writerBusy(path: path, holder: "Process 1073741824"))
        #expect(word(.replaced(file: "data.mdb")) == .fileReplaced(path: path, file: "data.mdb"))
        #expect(word(.code(-30_792, call: "c")) == .mapFull(mapSize: .gibibytes(1)))
        #expect(word(.code(-30_790, call: "c")) == .readersFull(slots: 512))
        #expect(word(.code(-30_796, call: "c")) == .damaged(path: path, "c reports -30796"))
        #expect(word(.code(EROFS, call: "c")) == .readOnly(path: path))
        #expect(word(.code(EINTR, call: "c")) == .system(call: "c", errno: EINTR))
        #expect(word(.mapResized) == .system(call: "following the enlarged map", errno: EBUSY))
        #expect(word(.alreadyOpen(path: path)) == .alreadyOpen(path: path))
        let taken = "opening with a process id that another namespace uses"
        #expect(word(.processIdTaken) == .system(call: taken, errno: EAGAIN))
    }
}
