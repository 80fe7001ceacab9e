// What people give instead of a checkpoint, and what they are told.

import Foundation
import TestKit
import Testing

@testable import LlamaEngine

@Suite("What is no checkpoint")
struct OtherFilesTests {
    @Test("is called a file where a folder is wanted")
    func file() throws {
        let folder = try TemporaryFolder()
        try folder.write("model.gguf", "GGUF")
        let error = EngineError.notAFolder(path: folder.path("model.gguf"))
        #expect(throws: error) { _ = try Checkpoint(folder: folder.path("model.gguf")) }
        #expect(error.remedy.contains("GGUF"))
    }

    @Test("is to be downloaded first, if it may be a name on the Hub")
    func hubName() {
        let error = EngineError.missingFolder(path: "meta-llama/Llama-3.2-1B")
        #expect(throws: error) { _ = try Checkpoint(folder: "meta-llama/Llama-3.2-1B") }
        #expect(error.remedy.contains("hf download meta-llama/Llama-3.2-1B --local-dir"))
        for path in ["/models/llama", "./llama", "llama", "a/b/c", "~/llama"] {
            #expect(!EngineError.missingFolder(path: path).remedy.contains("hf download"))
        }
    }

    @Test(
        "is told by the weights that are there",
        arguments: [
            ("pytorch_model.bin", "save_pretrained"), ("pytorch_model-00001-of-00002.bin", "save_pretrained"),
            ("consolidated.00.pth", "save_pretrained"), ("consolidated.safetensors", "safetensors files"),
            ("model.fp16.safetensors", "Rename"), ("model-00001-of-00002.safetensors", "model.safetensors.index.json"),
            ("adapter_model.safetensors", "Merge the adapter"), ("llama.Q4_0.gguf", "GGUF"),
        ])
    func otherWeights(name: String, remedy: String) throws {
        let folder = try TemporaryFolder()
        try folder.write(name, "weights")
        let error = EngineError.otherWeights(folder: folder.path, file: name)
        #expect(throws: error) { _ = try Checkpoint(folder: folder.path) }
        try folder.write("config.json", try TemporaryFolder.config())
        #expect(throws: error) { _ = try Checkpoint(folder: folder.path) }
        #expect(error.remedy.contains(remedy))
    }

    @Test("lacks its configuration, if the weights are there")
    func noConfiguration() throws {
        let folder = try TemporaryFolder()
        try folder.write("model.safetensors", "weights")
        try folder.write("other.safetensors", "weights")
        #expect(throws: EngineError.missingFile(path: folder.path("config.json"))) {
            _ = try Checkpoint(folder: folder.path)
        }
    }

    @Test(
        "is a Git LFS pointer, whichever file it stands for",
        arguments: ["config.json", "model.safetensors", "tokenizer.json"])
    func pointer(name: String) throws {
        let folder = try TemporaryFolder()
        try folder.copy(Fixtures.checkpoint("llama-bf16"))
        try folder.write(name, "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 9085657\n")
        let error = EngineError.gitLFSPointer(path: folder.path(name))
        #expect(throws: error) { _ = try Checkpoint(folder: folder.path).tokenizer() }
        #expect(error.remedy.contains("git lfs pull"))
    }

    @Test("is text where weights should be")
    func text() throws {
        let folder = try TemporaryFolder()
        try folder.write("config.json", try TemporaryFolder.config())
        try folder.write("model.safetensors", "<!DOCTYPE html><html>401</html>")
        let error = EngineError.malformedHeader(
            file: "model.safetensors", reason: "it begins with the text <!DOCTYP")
        #expect(throws: error) { _ = try Checkpoint(folder: folder.path) }
    }
}
