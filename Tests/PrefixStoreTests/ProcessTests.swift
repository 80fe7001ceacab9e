// Real processes on one folder: two at once, and one that is killed.

import Foundation
import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("Processes that share a store", .serialized)
struct ProcessTests {
    let folder: TemporaryFolder
    var path: String { folder.path("store") }

    init() throws { folder = try TemporaryFolder() }

    @Test("read and write it at once with no error and no wrong byte, within its quota", .timeLimit(.minutes(10)))
    func hammer() throws {
        let workers = try (0..<2).map { try Worker(["hammer", path, "60", "\($0)", "8MiB"]) }
        for worker in workers {
            let (lines, status) = worker.finish()
            #expect(status == 0, "\(lines)")
            let words = lines.last?.split(separator: " ") ?? []
            #expect(words.count == 10 && words[0] == "rounds" && words[3] == "0", "\(lines)")
            #expect(Int(words[1]) ?? 0 > 20)
        }
        let inspector = try StoreInspector(at: path)
        let report = try inspector.verify()
        #expect(report.findings.isEmpty, "\(report.findings)")
        let info = try inspector.info()
        #expect(info.usedBytes <= info.quotaBytes, "\(info)")
        inspector.close()
    }

    @Test("keep its files off standard input, output and error, when a host runs with those closed")
    func standardDescriptors() throws {
        let worker = try ChildProcess(
            "/bin/sh",
            ["-c", "exec \"$0\" \"$@\" <&- >&- 2>&-", ChildProcess.product("store-worker"), "fill", path, "1"])
        defer {
            worker.send(SIGKILL)
            _ = worker.wait()
        }
        let folder = "/proc/\(worker.processID)/fd"
        var open: [String: String] = [:]
        for _ in 0..<1000 where !open.values.contains(where: { $0.hasSuffix("data.mdb") }) {
            usleep(10_000)
            for number in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
                open[number] = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(number)")
            }
        }
        #expect(open.values.contains { $0.hasSuffix("data.mdb") })
        for (number, file) in open where file.hasPrefix(path) { #expect(try #require(Int(number)) > 2, "\(file)") }
    }

    @Test("lose nothing that a flush returned for when one is killed at any moment", .timeLimit(.minutes(10)))
    func kills() throws {
        for round in 0..<12 {
            let folder = try TemporaryFolder()
            let worker = try Worker(["fill", folder.path("store"), "\(round)"])
            var flushed = 0
            // Killed at another point of its cycle each time: after a flush, or some pages later.
            for _ in 0...(round % 4) {
                guard let line = worker.nextLine(), let count = line.split(separator: " ").last else { break }
                flushed = Int(count) ?? 0
            }
            if round % 3 != 0 { spin(round * 100_000) }
            worker.kill()
            #expect(flushed >= 3)
            let (lines, status) = try Worker(["check", folder.path("store"), "\(round)", "\(flushed)"]).finish()
            #expect(status == 0 && lines == ["lost 0 wrong 0"], "round \(round): \(lines)")
        }
    }

    @Test("all read and write, also when there are more of them than slots for readers or openers")
    func moreThanSlots() throws {
        let filler = try Worker(["fill", path, "1"])
        #expect(filler.nextLine()?.hasPrefix("flushed") == true)
        filler.kill()
        let workers = try (0..<520).map { try Worker(["stay", path, "\($0)"]) }
        // 128 when another process replaced the last, partial page by a longer one between the look-up and the load.
        let good = { (line: String?) in
            ["loaded 139 of 139 wrong 0", "loaded 128 of 139 wrong 0"].contains(line)
        }
        for worker in workers { #expect(good(worker.nextLine())) }
        for worker in workers { #expect(worker.nextLine() == "holding") }
        let inspector = try StoreInspector(at: path)
        #expect(try inspector.info().readerSlots < workers.count)
        inspector.close()
        // A few at a time: 520 that write at once wait longer for each other on a busy machine than a writer does.
        for start in stride(from: 0, to: workers.count, by: 20) {
            for worker in workers[start..<start + 20] { worker.signalToGoOn() }
            for worker in workers[start..<start + 20] {
                let (lines, status) = worker.finish()
                #expect(status == 0 && good(lines.last), "\(status) \(lines)")
            }
        }
    }

    @Test("refuse a store that was opened before a fork, and leave the parent alone", .timeLimit(.minutes(10)))
    func forked() throws {
        let (lines, status) = try Worker(["fork", path]).finish()
        #expect(status == 0 && lines == ["child 0 loaded 40 wrong 0"], "\(lines)")
    }

    @Test(
        "are listed while they have it open; one that is killed is seen to have ended without closing it",
        .timeLimit(.minutes(10)))
    func openers() throws {
        let worker = try Worker(["fill", path, "1"])
        #expect(worker.nextLine() != nil)
        let inspector = try StoreInspector(at: path)
        defer { inspector.close() }
        func listed() throws -> [OpenerInfo] { try inspector.info().openers.filter { $0.program == "store-worker" } }
        let open = try listed()
        #expect(open.count == 1 && open.allSatisfy { $0.isAlive && $0.role == .engine })
        worker.kill()
        let killed = try listed()
        #expect(killed.count == 1 && killed.allSatisfy { !$0.isAlive && $0.processID == open.first?.processID })
        // One that closes in order leaves nothing.
        let (lines, status) = try Worker(["check", path, "1", "3"]).finish()
        #expect(status == 0 && lines == ["lost 0 wrong 0"])
        #expect(try listed() == killed)
        // A child that was forked takes its parent's place neither when it closes nor when it ends.
        #expect(try Worker(["fork", path]).finish().status == 0)
        #expect(try listed() == killed)
    }

    /// Lets a little time go by that depends on the round and on nothing else.
    private func spin(_ count: Int) {
        var sum: UInt64 = 0
        for number in 0..<count { sum = SplitMix64.mix(sum ^ UInt64(number)) }
        #expect(sum != 1)
    }
}
