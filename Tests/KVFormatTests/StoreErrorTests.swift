// Errors of the store, as numbers and as sentences.

import Glibc
import KVFormat
import Testing

@Suite("A store error")
struct StoreErrorTests {
    /// Every case with the number that it has for good. A new case gets a new number, in its group.
    static let recorded: [(error: StoreError, code: Int32)] = [
        (.invalidLayout("what"), 101),
        (.invalidIdentity("what"), 102),
        (.invalidOption("what"), 103),
        (.invalidTokens(count: 0), 104),
        (.invalidPages("what"), 105),
        (.invalidSideState("what"), 106),
        (.alreadyOpen(path: "kv"), 107),
        (.forked, 108),
        (.closed, 109),
        (.noSuchPage("3fa9"), 110),
        (.noSuchSpace("3fa9"), 111),
        (.invalidBlock("what"), 112),
        (.invalidName("what"), 113),
        (.tooManyNames(limit: 4096), 114),
        (.noSuchName("system"), 115),
        (.notAFolder(path: "kv"), 201),
        (.notAStore(path: "kv"), 202),
        (.readOnly(path: "kv"), 203),
        (.permissions(path: "kv", "what"), 204),
        (.networkFileSystem(path: "kv"), 205),
        (.formatMismatch(path: "kv", found: 3, supported: 2), 206),
        (.sealedSpace("3fa9"), 207), (.wrongKey(found: "1", given: "2"), 208), (.invalidKey("what"), 209),
        (.diskFull(path: "kv"), 301),
        (.quotaFull(quota: .mebibytes(4)), 302),
        (.mapFull(mapSize: .mebibytes(16)), 303),
        (.readersFull(slots: 512), 304),
        (.damaged(path: "kv", "what"), 305),
        (.system(call: "open", errno: 5), 306),
        (.writerBusy(path: "kv", holder: "Process 4711"), 307),
        (.diskFailure(path: "kv", call: "fdatasync"), 308),
        (.fileReplaced(path: "kv", file: "data.mdb"), 309),
        (.remoteFailure(remote: "redis://cache:6379", "it is full", remedy: "Make room there."), 310),
    ]

    /// Whether `recorded` has to have the case: a case that is not named here does not compile. Add it there too.
    private static func isKnown(_ error: StoreError) -> Bool {
        switch error {
        case .invalidLayout, .invalidIdentity, .invalidOption, .invalidTokens, .invalidPages, .invalidSideState,
            .alreadyOpen, .forked, .closed, .noSuchPage, .noSuchSpace, .invalidBlock, .invalidName,
            .tooManyNames, .noSuchName, .notAFolder, .notAStore, .readOnly,
            .permissions, .networkFileSystem, .formatMismatch, .sealedSpace, .wrongKey, .invalidKey, .diskFull,
            .quotaFull, .mapFull, .readersFull, .damaged, .system, .writerBusy, .diskFailure, .fileReplaced,
            .remoteFailure:
            true
        }
    }

    @Test("has the number that was recorded, and no other error has it")
    func codes() {
        #expect(Self.recorded.allSatisfy { Self.isKnown($0.error) })
        for (error, code) in Self.recorded { #expect(error.code == code, "\(error)") }
        #expect(Set(Self.recorded.map(\.code)).count == Self.recorded.count)
    }

    @Test("has a number in the group of its audience")
    func audiences() {
        for (error, code) in Self.recorded {
            #expect(error.audience.rawValue == code / 100, "\(error)")
            #expect((1..<100).contains(code % 100), "\(error)")
        }
        #expect(Set(Self.recorded.map(\.error.audience)) == Set(StoreError.Audience.allCases))
    }

    @Test("says what happened and what to do, each in one sentence")
    func sentences() {
        let older = StoreError.formatMismatch(path: "kv", found: 1, supported: 2)
        for error in Self.recorded.map(\.error) + [older] {
            for sentence in [error.description, error.remedy] {
                #expect(sentence.count > 10 && sentence.hasSuffix("."), "\(error)")
            }
            #expect(error.description != error.remedy)
            // A program in C or Python has no `pfx`.
            #expect(!error.remedy.contains("pfx"), "\(error)")
        }
    }

    @Test("names what the system lacked, and sends nobody to the disk for it")
    func system() {
        let files = StoreError.system(call: "open", errno: EMFILE)
        #expect(files.description == "The system call open failed: Too many open files (error number 24).")
        #expect(files.remedy.contains("ulimit -n") && !files.remedy.contains("disk"))
        let memory = StoreError.system(call: "mdb_env_open", errno: ENOMEM)
        #expect(memory.description.contains("Cannot allocate memory"))
        #expect(memory.remedy.contains("address space") && !memory.remedy.contains("disk"))
        #expect(StoreError.system(call: "mdb_env_open", errno: ENODEV).remedy.contains("mapped"))
        #expect(StoreError.system(call: "pthread_create", errno: EAGAIN).remedy.contains("threads"))
        #expect(StoreError.system(call: "mdb_txn_begin", errno: -30_783).description.contains("error number -30783"))
    }
}
