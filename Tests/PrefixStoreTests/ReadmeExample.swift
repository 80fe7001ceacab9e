// The README's example as code that compiles and runs. tools/docs-check compares the marked lines with the README.

import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("The README's example")
struct ReadmeExample {
    let folder: TemporaryFolder
    let prompt = (0..<100).map { TokenID($0 * 7 % 251) }

    init() throws { folder = try TemporaryFolder() }

    @Test("computes a prompt once, and loads it in the next process's life")
    func runsTwice() throws {
        let first = try StandInEngine(tokens: prompt.count)
        #expect(try serve(prompt, with: first, folder: folder.path("kv")) == Loaded())
        let second = try StandInEngine(tokens: prompt.count)
        #expect(try serve(prompt, with: second, folder: folder.path("kv")) == Loaded(coldTokens: 99))
        #expect(second.computedTokens == 1)
        #expect(second.differences(from: first, tokens: prompt.count) == 0)
    }

    /// The marked lines are the README's; `engine` stands for the reader's.
    private func serve(_ prompt: [TokenID], with engine: StandInEngine, folder: String) throws -> Loaded {
        // README begins
        let store = try Store(at: folder, options: StoreOptions(quota: .gibibytes(20)))
        let layout = try KVLayout(layers: 16, kvHeads: 8, headDimension: 64, element: .bf16, pageSize: 64)
        let identity = try ModelIdentity(
            weights: engine.weightsDigest, layout: layout, positions: "rope theta=500000",
            tokenizer: engine.tokenizerDigest, engine: "my engine", engineFormat: 1)
        let space = try store.space(identity)

        // Load what is stored of the prompt into the engine's memory; leave its last token to be computed.
        let match = try space.match(prompt)
        let targets = (0..<match.pageCount).map { unsafe PageTarget(engine.page($0), capacity: layout.pageSize) }
        let loaded = try space.load(match, into: targets, limit: prompt.count - 1)

        // Compute the rest, and store the pages that are new.
        engine.prefill(prompt, from: loaded.tokens)
        let first = loaded.tokens / layout.pageSize
        let sources = (first..<engine.pageCount).map { unsafe PageSource(engine.page($0), capacity: layout.pageSize) }
        try space.insert(prompt, fromPage: first, pages: sources)
        try store.flush()  // from here on the pages survive a kill and a power cut
        // README ends
        #expect(layout.bytesPerPage == StandInEngine.pageBytes)
        try store.close()
        return loaded
    }
}

/// Memory for pages, and a prefill that fills it from the token ids.
@safe
private final class StandInEngine {
    /// 16 layers of keys and values, 64 tokens, 8 heads of 64 numbers of 2 bytes.
    static let pageBytes = 16 * 2 * 64 * 8 * 64 * 2
    private static let planes = 32
    private static let pageSize = 64
    private static let planeBytesPerToken = 8 * 64 * 2

    let weightsDigest = PrefixHash.sha256(Array("weights".utf8))
    let tokenizerDigest = PrefixHash.sha256(Array("tokenizer".utf8))
    let pageCount: Int
    private(set) var computedTokens = 0
    private let memory: UnsafeMutableRawPointer

    init(tokens: Int) throws {
        pageCount = (tokens + Self.pageSize - 1) / Self.pageSize
        unsafe memory = .allocate(byteCount: pageCount * Self.pageBytes, alignment: 64)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: pageCount * Self.pageBytes)
    }

    deinit { unsafe memory.deallocate() }

    @unsafe
    func page(_ index: Int) -> UnsafeMutableRawPointer { unsafe memory + index * Self.pageBytes }

    func prefill(_ prompt: [TokenID], from start: Int) {
        for token in start..<prompt.count {
            for plane in 0..<Self.planes {
                let value = UInt8(truncatingIfNeeded: Int(prompt[token]) + 3 * token + 5 * plane)
                unsafe (memory + Self.offset(token, plane)).initializeMemory(
                    as: UInt8.self, repeating: value, count: Self.planeBytesPerToken)
            }
        }
        computedTokens += prompt.count - start
    }

    /// Bytes of the first `tokens` tokens in which two engines differ.
    func differences(from other: StandInEngine, tokens: Int) -> Int {
        var count = 0
        for token in 0..<tokens {
            for plane in 0..<Self.planes {
                for byte in 0..<Self.planeBytesPerToken {
                    let place = Self.offset(token, plane) + byte
                    let same =
                        unsafe memory.load(fromByteOffset: place, as: UInt8.self)
                        == other.memory.load(fromByteOffset: place, as: UInt8.self)
                    count += same ? 0 : 1
                }
            }
        }
        return count
    }

    private static func offset(_ token: Int, _ plane: Int) -> Int {
        token / pageSize * pageBytes + (plane * pageSize + token % pageSize) * planeBytesPerToken
    }
}
