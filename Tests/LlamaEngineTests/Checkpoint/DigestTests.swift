import Foundation
import KVFormat
import Testing
import TestKit

@testable import LlamaEngine

@Suite("A checkpoint's digest")
struct DigestTests {
    /// A time at which every file of this test has long settled.
    private let later = DigestCache.now() + 3_600_000_000_000

    @Test("is the SHA-256 of its files, each framed by name and length")
    func definition() throws {
        let folder = try copy("llama-sharded")
        var expected = framed("prefixstore weights 1")
        let names = [
            "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
        ]
        for name in names { expected += framed(name) + framed(try folder.read(name)) }
        #expect(try weights(folder, cache: nil) == sha256(expected))
    }

    @Test("does not depend on the folder, its times or files that do not count")
    func independence() throws {
        let first = try copy("llama-bf16")
        let second = try copy("llama-bf16")
        try second.write("README.md", "hello")
        #expect(try weights(first, cache: nil) == weights(second, cache: nil))
        #expect(
            try Checkpoint(folder: first.path).tokenizerDigest() == Checkpoint(folder: second.path).tokenizerDigest())
    }

    @Test("changes with any byte of configuration or weights", arguments: ["config.json", "model.safetensors"])
    func sensitivity(name: String) throws {
        let folder = try copy("llama-bf16")
        let before = try weights(folder, cache: nil)
        var bytes = try folder.read(name)
        if name == "config.json" { bytes.append(0x20) } else { bytes[bytes.count - 1] ^= 1 }
        try folder.write(name, bytes)
        #expect(try weights(folder, cache: nil) != before)
    }

    @Test("of the tokenizer changes with it, and a missing one differs from an empty one")
    func tokenizer() throws {
        let folder = try copy("llama-bf16")
        let checkpoint = try Checkpoint(folder: folder.path)
        let full = try checkpoint.tokenizerDigest()
        try folder.write("tokenizer.json", "")
        let empty = try checkpoint.tokenizerDigest()
        try FileManager.default.removeItem(atPath: folder.path("tokenizer.json"))
        let missing = try checkpoint.tokenizerDigest()
        #expect(Set([full, empty, missing]).count == 3)
        #expect(empty == sha256(framed("prefixstore tokenizer 1") + framed("tokenizer.json") + framed([])))
    }

    @Test("is remembered under the files' stamps and found again")
    func remembers() throws {
        let folder = try copy("llama-bf16")
        let home = try TemporaryFolder()
        let cache = DigestCache(folder: home.path + "/a/b")
        let first = try weights(folder, cache: cache)
        let entry = try #require(try entries(cache).first)
        #expect(try entries(cache).count == 1)
        // Planted in place of what was remembered: if it comes back, the weights were not read.
        let planted = Digest.sha256([7])
        let files = try Checkpoint(folder: folder.path)
        let key = try DigestCache.key(of: [
            ("config.json", files.configFile), ("model.safetensors", files.weights.files[0]),
        ])
        cache.remember(planted, for: key)
        #expect(try entries(cache) == [entry])
        #expect(try weights(folder, cache: cache) == planted)
        #expect(first != planted)
        try folder.write("model.safetensors", try folder.read("model.safetensors"))
        #expect(try weights(folder, cache: cache) == first)
    }

    @Test("is not remembered for files that changed a moment ago, or since they were opened")
    func settles() throws {
        let folder = try copy("llama-bf16")
        let home = try TemporaryFolder()
        let cache = DigestCache(folder: home.path)
        _ = try Checkpoint(folder: folder.path).weightsDigest(rememberedIn: cache, now: DigestCache.now())
        #expect(try entries(cache).isEmpty)
        let checkpoint = try Checkpoint(folder: folder.path)
        try folder.write("config.json", "{}")
        _ = try checkpoint.weightsDigest(rememberedIn: cache, now: later)
        #expect(try entries(cache).isEmpty)
    }

    @Test("is computed again when the entry is damaged, cut short, writable by others or a link")
    func distrusts() throws {
        let folder = try copy("llama-bf16")
        let home = try TemporaryFolder()
        let cache = DigestCache(folder: home.path)
        let digest = try weights(folder, cache: cache)
        let name = try #require(try entries(cache).first)
        let path = cache.folder + "/" + name
        let sound = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        #expect(sound.count == 80)
        let key = try #require(Digest(bytes: sound[8..<40]))
        for position in sound.indices {
            var damaged = sound
            damaged[position] ^= 0x10
            try Data(damaged).write(to: URL(fileURLWithPath: path))
            #expect(cache.digest(for: key) == nil)
        }
        for bytes in [[], Array(sound.dropLast()), sound + [0]] {
            try Data(bytes).write(to: URL(fileURLWithPath: path))
            #expect(cache.digest(for: key) == nil)
        }
        #expect(try weights(folder, cache: cache) == digest)
        #expect(cache.digest(for: key) == digest)
        try FileManager.default.setAttributes([.posixPermissions: 0o666], ofItemAtPath: path)
        #expect(cache.digest(for: key) == nil)
        try FileManager.default.moveItem(atPath: path, toPath: path + ".moved")
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path + ".moved")
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: path + ".moved")
        #expect(cache.digest(for: key) == nil)
    }

    @Test("does without a cache that cannot be written")
    func unwritable() throws {
        let folder = try copy("llama-bf16")
        let digest = try weights(folder, cache: DigestCache(folder: "/proc/none"))
        #expect(try weights(folder, cache: nil) == digest)
        #expect(try Checkpoint(folder: folder.path).weightsDigest() == digest)
    }

    private func weights(_ folder: TemporaryFolder, cache: DigestCache?) throws -> Digest {
        try Checkpoint(folder: folder.path).weightsDigest(rememberedIn: cache, now: later)
    }

    private func copy(_ name: String) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try folder.copy(Fixtures.checkpoint(name))
        return folder
    }

    private func entries(_ cache: DigestCache) throws -> [String] {
        guard FileManager.default.fileExists(atPath: cache.folder) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: cache.folder)
    }

    private func framed(_ text: String) -> [UInt8] { framed(Array(text.utf8)) }

    private func framed(_ bytes: [UInt8]) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> (8 * $0)) } + bytes
    }

    private func sha256(_ bytes: [UInt8]) -> Digest { .sha256(bytes) }
}
