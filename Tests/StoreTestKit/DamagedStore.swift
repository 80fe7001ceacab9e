// What a process does with a store that may be damaged: it looks, reads, writes, and compares every byte.

internal import Foundation
internal import PrefixStore
internal import TestKit

/// The store that damage is done to, and what any process knows of its content.
public struct DamagedStore: Sendable {
    /// The store's folder.
    public let path: String
    private let seed: UInt64
    private static let prompts = 60

    /// The store in a folder; prompts and pages come from the seed.
    public init(_ path: String, seed: UInt64) {
        self.path = path
        self.seed = seed
    }

    /// Fills the store, so that it has all kinds of pages: evictions leave a free list, and many prompts tall trees.
    public func fill() throws {
        let store = try open()
        let model = try GeneratedModel("damage")
        let space = try store.space(model.identity)
        var prompts = RandomPrompts(seed: seed, documents: 12)
        for number in 0..<Self.prompts {
            try space.insertGenerated(prompts.next(), by: model)
            if number % 6 == 5 { try store.flush() }
        }
        try store.close()
        let inspector = try StoreInspector(at: path)
        let used = try inspector.info().usedBytes
        _ = try inspector.trim(to: ByteCount(used.value * 9 / 10))
        inspector.close()
    }

    private func open() throws -> Store {
        try Store(at: path, options: StoreOptions(quota: .mebibytes(16), hotCapacity: .kibibytes(64), codec: .zstd))
    }

    /// What one process saw.
    public struct Outcome: Sendable, Equatable {
        /// What a check of the store said before anything else: `sound`, `damaged`, or `refused` when it could not be
        /// opened.
        public var check = "refused"
        /// Bytes that were delivered and are not those that were stored.
        public var wrong = 0
        /// Tokens that were loaded.
        public var loaded = 0
        /// Tokens that were written and flushed now, and could not be read back: damage in the list of free pages lets
        /// new pages take the place of others, and a miss is what becomes of those.
        public var lost = 0
        /// `works` when the store could be opened and written, and gave back something of what was written; otherwise
        /// what failed.
        public var state = "open:failed"
        /// Whether it works.
        public var works: Bool { state == "works" }

        /// One line.
        public var line: String { "check \(check) wrong \(wrong) loaded \(loaded) lost \(lost) state \(state)" }

        /// Reads a line; nil when it is none.
        public init?(line: String) {
            let words = line.split(separator: " ").map(String.init)
            guard words.count == 10, words[0] == "check", let wrong = Int(words[3]), let loaded = Int(words[5]),
                let lost = Int(words[7])
            else { return nil }
            (check, self.wrong, self.loaded, self.lost, state) = (words[1], wrong, loaded, lost, words[9])
        }

        init() {}
    }

    /// Checks the store, reads all prompts from it, writes new ones, and reads those again. Errors of the store are
    /// part of the outcome. The new prompts come from the seed and the number of the use.
    public func use(_ number: UInt64) throws -> Outcome {
        var outcome = Outcome()
        if let inspector = try? StoreInspector(at: path) {
            // An error here would be a broken promise: damage of any kind is a finding.
            outcome.check = try inspector.verify().isSound ? "sound" : "damaged"
            // The broken twin of the damage: a process that damage ends.
            if outcome.check == "damaged", ProcessInfo.processInfo.environment["PFX_LIES"] == "1" { abort() }
            _ = try? inspector.info()
            _ = try? inspector.spaces()
            _ = try? inspector.pages(order: .hits, limit: 20)
            inspector.close()
        }
        let model = try GeneratedModel("damage")
        guard let store = try? open(), let space = try? store.space(model.identity) else { return outcome }
        var prompts = RandomPrompts(seed: seed, documents: 12)
        for _ in 0..<Self.prompts {
            guard let read = try? space.loadGenerated(prompts.next(), by: model) else { continue }
            outcome.wrong += read.wrongBytes
            outcome.loaded += read.loaded.tokens
        }
        var fresh = RandomPrompts(seed: SplitMix64.mix(seed &+ number), documents: 12)
        let new = (0..<8).map { _ in fresh.next() }
        for prompt in new { _ = try? space.insertGenerated(prompt, by: model) }
        do {
            try store.flush()
            try store.close()
            outcome.state = "works"
        } catch {
            outcome.state = "flush:\(error.code)"
            try? store.close()
            return outcome
        }
        let again = try open()
        for prompt in new {
            let read = try again.space(model.identity).loadGenerated(prompt, by: model)
            outcome.wrong += read.wrongBytes
            outcome.lost += prompt.count - read.loaded.tokens
        }
        if outcome.lost == new.reduce(0, { $0 + $1.count }) { outcome.state = "read:nothing" }
        try? again.close()
        return outcome
    }
}
