// What the program does when its standard descriptors are closed, or files may not grow.

import Foundation
import StoreTestKit
import TestKit
import Testing

@Suite("Surroundings that lack something")
struct DescriptorTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Runs `pfx` from a shell that prepares its surroundings; the status, or that of a signal.
    private func run(_ surroundings: String, _ arguments: [String]) throws -> Int32 {
        let pfx = ChildProcess.product("pfx")
        return try ChildProcess("/bin/sh", ["-c", "exec \(surroundings)", pfx] + arguments).wait()
    }

    private func prompts() throws -> String {
        let path = folder.path("prompts.jsonl")
        let lines = (0..<4).map { #"{"id": "\#($0)", "prompt": "The quick brown fox \#($0)", "max_tokens": 4}"# }
        try Data(lines.map { $0 + "\n" }.joined().utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    @Test(
        "leave the store as it was meant to be when standard descriptors are closed, and end with a status",
        arguments: [("<&-", 0), (">&-", 73), ("2>&-", 0), ("<&- >&-", 73), ("<&- >&- 2>&-", 73)])
    func closed(descriptors: String, expected: Int32) throws {
        let store = folder.path("store")
        let status = try run(
            "\"$0\" \"$@\" \(descriptors)",
            ["batch", "--model", Prompts.model, "--store", store, "--input", try prompts()])
        #expect(status == expected)
        for file in ["data.mdb", "lock.mdb", "openers"] {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: store + "/" + file))
            #expect(bytes.range(of: Data("finish_reason".utf8)) == nil, "\(file)")
        }
        #expect(try Run("verify", store).status == 0)
        #expect(try run("\"$0\" \"$@\" \(descriptors)", ["show", store, "zz"]) == 64)
    }

    @Test("make a file that may not grow an error, not the end of the program")
    func fileSizeLimit() throws {
        let output = folder.path("replies.jsonl")
        try Data(repeating: UInt8(ascii: "\n"), count: 4096).write(to: URL(fileURLWithPath: output))
        // Blocks of 512 bytes: the file is as long as it may be.
        let status = try run(
            "/bin/sh -c 'ulimit -f 8; exec \"$0\" \"$@\"' \"$0\" \"$@\"",
            [
                "batch", "--model", Prompts.model, "--no-store", "--input", try prompts(), "--output", output,
                "--append",
            ])
        #expect(status == 73)
    }
}
