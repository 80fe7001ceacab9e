// The README's example as a program: Tests/readme-example/main.swift, which tools/docs-check compares with the README.

import Foundation
import StoreTestKit
import TestKit
import Testing

@Suite("The README's example")
struct ReadmeExample {
    @Test("computes a prompt once, and loads it in the next process")
    func runsTwice() throws {
        let folder = try TemporaryFolder()
        #expect(try run(in: folder.path) == "computing 200 of 200 tokens\n")
        #expect(try run(in: folder.path) == "computing 1 of 200 tokens\n")
    }

    private func run(in folder: String) throws -> String {
        let pipe = ChildProcess.pipe()
        let output = FileHandle(fileDescriptor: pipe.reading, closeOnDealloc: true)
        let command = "cd '\(folder)' && exec '\(ChildProcess.product("readme-example"))'"
        let process = try ChildProcess("/bin/sh", ["-c", command], output: pipe.writing)
        close(pipe.writing)
        let text = String(decoding: output.readDataToEndOfFile(), as: UTF8.self)
        #expect(process.wait() == 0)
        return text
    }
}
