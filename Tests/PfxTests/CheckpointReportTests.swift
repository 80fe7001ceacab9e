// What the commands say of a checkpoint that cannot be computed with as it stands, and of those that have a store open.

import Foundation
import StoreTestKit
import TestKit
import Testing

@Suite("What pfx says of a checkpoint")
struct CheckpointReportTests {
    let folder: TemporaryFolder
    var model: String { folder.path("model") }

    init() throws {
        folder = try TemporaryFolder()
        try FileManager.default.copyItem(atPath: Prompts.model, toPath: model)
    }

    /// Changes the weight file: `body` gets its header and its data.
    private func change(_ body: (inout [String: Any], inout Data) throws -> Void) throws {
        let file = URL(fileURLWithPath: model + "/model.safetensors")
        let old = try Data(contentsOf: file)
        let length = old.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
        var header = try #require(
            try JSONSerialization.jsonObject(with: old.dropFirst(8).prefix(length)) as? [String: Any])
        var data = Data(old.dropFirst(8 + length))
        try body(&header, &data)
        let json = try JSONSerialization.data(withJSONObject: header)
        var new = Data((0..<8).map { UInt8(truncatingIfNeeded: json.count >> (8 * $0)) })
        new.append(json)
        new.append(data)
        try new.write(to: file)
    }

    private func batch(_ input: String, _ more: String...) throws -> Finished {
        try Program.run(["batch", "--model", model, "--input", "-", "--max-new-tokens", "2"] + more, input: input)
    }

    @Test("ends a run with status 65 when outputs are not finite, and stores nothing of it")
    func notFinite() throws {
        try change { header, data in
            let tensor = try #require(header["model.norm.weight"] as? [String: Any])
            let offset = try #require((tensor["data_offsets"] as? [Int])?.first)
            // The bf16 number that is none, in little-endian order.
            data[offset] = 0xC0
            data[offset + 1] = 0x7F
        }
        let store = folder.path("store")
        let run = try batch(Prompts.lines(2), "--store", store)
        #expect(run.status == 65, "\(run.errors)")
        #expect(run.errors.contains("pfx: "))
        #expect(try run.lines().allSatisfy { $0.tokens == nil })
        #expect(try Run("ls", store).output == "No pages.\n")
        let one = try Program.run(["generate", "--model", model, "--prompt", "x", "--no-store"])
        #expect(one.status == 65, "\(one.errors)")
    }

    @Test("names tensors that the model does not use, and computes without them")
    func unusedTensor() throws {
        let expected = try batch(Prompts.lines(1), "--no-store")
        #expect(!expected.errors.contains("does not use"))
        try change { header, data in
            header["value_head.weight"] = [
                "dtype": "BF16", "shape": [2], "data_offsets": [data.count, data.count + 4],
            ]
            data.append(Data(count: 4))
        }
        let run = try batch(Prompts.lines(1), "--no-store")
        #expect(run.status == 0)
        #expect(run.errors.contains("has 1 tensor that the model does not use, such as value_head.weight."))
        #expect(try run.lines().replies == expected.lines().replies)
    }
}

@Suite("pfx info, of the processes that have a store open")
struct OpenersTests {
    @Test("names a running engine with its process id, and one that ended without closing")
    func openers() throws {
        let folder = try TemporaryFolder()
        let store = folder.path("store")
        let engine = try Program(
            ["batch", "--model", Prompts.model, "--store", store, "--input", "-", "--output", folder.path("out")])
        try engine.write(Prompts.lines(1))
        #expect(try waitForLines(1, in: folder.path("out")).count == 1)
        let running = try Run("info", store).output
        #expect(running.contains("opened by    process \(engine.processID), pfx, engine, since "), "\(running)")
        #expect(!running.contains("ended without closing"))
        let json = try #require(try Run("info", store, "--json").json()["openers"] as? [[String: Any]])
        #expect(json.map { $0["process_id"] as? Int } == [Int(engine.processID)])
        #expect(json.map { $0["is_alive"] as? Bool } == [true])
        engine.send(SIGKILL)
        _ = try engine.wait()
        #expect(try Run("info", store).output.contains("process \(engine.processID), pfx, engine, since "))
        #expect(try Run("info", store).output.contains(", ended without closing\n"))
    }
}
