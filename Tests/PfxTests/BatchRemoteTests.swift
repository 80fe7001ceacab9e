// `pfx batch --remote`: whoever names a remote is told whether it was used.

import Foundation
import StoreTestKit
import TestKit
import Testing

@Suite("pfx batch with a remote", .serialized)
struct BatchRemoteTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func batch(_ store: String, _ remote: String, _ more: [String] = []) throws -> Finished {
        try Program.run(
            [
                "batch", "--model", Prompts.model, "--input", "-", "--max-new-tokens", "2", "--threads", "1", "--store",
                folder.path(store), "--remote", remote,
            ] + more, input: Prompts.lines(4))
    }

    /// The lines of a summary from the one of the remote on.
    private func remoteLines(_ run: Finished) -> [String] {
        Array(run.errors.split(separator: "\n").map(String.init).drop { !$0.hasPrefix("remote ") })
    }

    /// Runs until a run is as wanted. On a busy machine a server may not answer in the time that it is given.
    private func patiently(
        _ run: (_ turn: Int) throws -> Finished, until isGood: (Finished) -> Bool
    ) throws -> Finished {
        for turn in 0..<20 {
            let finished = try run(turn)
            if isGood(finished) { return finished }
        }
        return try run(20)
    }

    @Test("says what came from it and what was put there")
    func works() throws {
        let server = try RedisServer()
        let url = "redis://127.0.0.1:\(server.port)"
        let first = try patiently {
            try server.ask("flushall")
            return try batch("first \($0)", url)
        } until: {
            remoteLines($0).count == 1
        }
        let pages = try #require(Int(server.ask("dbsize"))) - 1
        #expect(pages > 4)
        #expect(remoteLines(first) == ["remote    \(url): 0 tokens loaded, \(pages) pages put"])
        let second = try patiently {
            try batch("second \($0)", url, ["--parallel", "1"])
        } until: {
            !remoteLines($0)[0].contains(": 0 tokens")
        }
        #expect(remoteLines(second)[0].hasPrefix("remote    \(url): "))
        #expect(!remoteLines(second)[0].contains(": 0 tokens"), "\(remoteLines(second))")
        #expect(try second.lines().replies == first.lines().replies)
    }

    @Test("says what is wrong, and what was not put")
    func broken() throws {
        let none = try RedisServer.freePort()
        let run = try batch("alone", "redis://127.0.0.1:\(none)")
        #expect(run.status == 0)
        let lines = remoteLines(run)
        #expect(lines.count == 3 && lines.first == "remote    redis://127.0.0.1:\(none): 0 tokens loaded, 0 pages put")
        #expect(lines.contains { $0.contains("Connection refused") && $0.contains("pfx remote check") }, "\(lines)")
        #expect(lines.contains { $0.contains("not put") && $0.contains("pfx push") }, "\(lines)")
    }

    @Test("says it of a server that takes nothing")
    func readOnly() throws {
        let server = try RedisServer()
        try server.ask("acl", "setuser", "default", "-set")
        let url = "redis://127.0.0.1:\(server.port)"
        let run = try patiently {
            try batch("kv \($0)", url, ["--json"])
        } until: {
            $0.errors.contains("refuses")
        }
        #expect(run.status == 0)
        let summary = run.errors.drop { $0 != "{" }
        let fields = try #require(JSONSerialization.jsonObject(with: Data(summary.utf8)) as? [String: Any])
        let store = try #require(fields["store"] as? [String: Any])
        let remote = try #require(store["remote"] as? [String: Any])
        #expect(remote["put_pages"] as? Int == 0)
        #expect(remote["waiting_pages"] as? Int ?? 0 > 0)
        #expect((remote["faults"] as? [String])?.contains { $0.contains("refuses") } == true, "\(remote)")
    }
}
