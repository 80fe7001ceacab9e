// What is left of a store after something has happened to it.

import PrefixStore
import StoreTestKit
import TestKit

/// What could be read of the prompts that a store had.
struct ReadBack {
    /// Tokens that had been flushed.
    private(set) var flushed = 0
    /// Those of them that are not there.
    private(set) var lost = 0
    /// Bytes that were delivered and wrong.
    private(set) var wrongBytes = 0

    /// Reads all prompts. The first `count` of them had been flushed.
    init(_ prompts: [[TokenID]], flushed count: Int, from space: Space, by model: GeneratedModel) throws {
        for (number, prompt) in prompts.enumerated() {
            let read = try space.loadGenerated(prompt, by: model)
            wrongBytes += read.wrongBytes
            guard number < count else { continue }
            flushed += prompt.count
            lost += prompt.count - read.loaded.tokens
        }
    }

    /// What a check of a closed store has found; nil when it is sound.
    static func damage(of path: String) throws -> String? {
        let inspector = try StoreInspector(at: path)
        defer { inspector.close() }
        let report = try inspector.verify()
        return report.isSound ? nil : "\(report.findings.prefix(2))"
    }
}
