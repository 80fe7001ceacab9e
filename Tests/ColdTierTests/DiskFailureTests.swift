// A disk that fails, as opposed to a full one: nothing that was stored is given up for it.

import CFaults
import ColdTier
import Glibc
import KVFormat
import Records
import Testing
import TestKit

@Suite("A disk that fails")
struct DiskFailureTests {
    @Test(
        "once costs nothing: the write is done again, and no stored page goes",
        arguments: ["pwrite", "writev", "fdatasync", "meta"])
    func once(call: String) async {
        await #expect(processExitsWith: .success) { [call = call as String] in
            for first in 1...3 {
                let folder = try TemporaryFolder()
                let model = try Model(pageSize: 16, width: 640)
                let tier = try ColdTier(folder.store, quota: .mebibytes(64))
                try tier.open(space: model.descriptor)
                for round in 0..<5 { _ = try tier.put(model.pages(tokens(64, from: TokenID(round * 100)))) }
                unsafe cfaults_fail(call, "data.mdb", Int32(first), 1, EIO)
                for round in 5..<10 {
                    let report = try tier.put(model.pages(tokens(64, from: TokenID(round * 100))))
                    #expect(report.outcomes == [.stored, .stored, .stored, .stored])
                }
                #expect(cfaults_failed() == 1)
                for round in 0..<10 {
                    #expect(try model.load(tokens(64, from: TokenID(round * 100)), from: tier) == 64)
                }
                #expect(try tier.statistics.evictedPages == 0)
                #expect(try tier.verify().findings.isEmpty)
            }
        }
    }

    @Test("for good is an error of its own, and all that was stored can be read")
    func forGood() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            let model = try Model(pageSize: 16, width: 640)
            let tier = try ColdTier(folder.store, quota: .mebibytes(64))
            try tier.open(space: model.descriptor)
            for round in 0..<5 { _ = try tier.put(model.pages(tokens(64, from: TokenID(round * 100)))) }
            for call in ["writev", "fdatasync", "meta"] {
                unsafe cfaults_fail(call, "data.mdb", 1, 0, EIO)
                for _ in 0..<2 {
                    do throws(StoreError) {
                        _ = try tier.put(model.pages(tokens(64, from: 90_000)))
                        Issue.record("written to a disk that fails")
                    } catch {
                        guard case .diskFailure = error else {
                            Issue.record(error)
                            continue
                        }
                    }
                    for round in 0..<5 {
                        #expect(try model.load(tokens(64, from: TokenID(round * 100)), from: tier) == 64)
                    }
                }
                cfaults_stop()
            }
            #expect(try tier.put(model.pages(tokens(64, from: 90_000))).count(.stored) == 4)
            #expect(try tier.statistics.evictedPages == 0)
            #expect(try tier.verify().findings.isEmpty)
        }
    }

    @Test("is not confused with a limit of the process: open files, address space, a file system without maps")
    func limits() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            do {
                let tier = try ColdTier(folder.store)
                tier.close()
            }
            for (call, file, number) in [("open", "lock.mdb", EMFILE), ("mmap", "data.mdb", ENODEV)] {
                unsafe cfaults_fail(call, file, 1, 0, number)
                do throws(StoreError) {
                    _ = try ColdTier(folder.store)
                    Issue.record("opened without \(call)")
                } catch {
                    guard case .system(_, let found) = error else {
                        Issue.record(error)
                        continue
                    }
                    #expect(found == number)
                    #expect(!error.remedy.contains("disk"))
                }
                cfaults_stop()
            }
            let tier = try ColdTier(folder.store)
            tier.close()
        }
    }

    @Test("is full while the files of a new store are made: an error, nothing is left behind, no process ends")
    func newStore() async {
        await #expect(processExitsWith: .success) {
            let folder = try TemporaryFolder()
            unsafe cfaults_fail("fallocate", "lock.mdb", 1, 0, ENOSPC)
            for _ in 0..<2 {
                #expect(throws: StoreError.diskFull(path: folder.store)) { _ = try ColdTier(folder.store) }
            }
            #expect(TemporaryFolder.names(folder.store).isEmpty)
            cfaults_stop()
            let tier = try ColdTier(folder.store)
            tier.close()
        }
    }
}
