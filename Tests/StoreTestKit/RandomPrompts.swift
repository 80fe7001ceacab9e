// Prompts as a server sees them: a few long beginnings, shared by many, with endings of their own.

public import PrefixStore
internal import TestKit

/// Prompts that share beginnings, from a seed.
public struct RandomPrompts: Sendable {
    private var generator: SplitMix64
    private let documents: [[TokenID]]

    /// Prompts with `documents` different beginnings. The beginnings depend on `documents` alone, so that two processes
    /// with different seeds share them.
    public init(seed: UInt64, documents: Int = 5, longest: Int = 200) {
        generator = SplitMix64(seed: seed)
        var shared = SplitMix64(seed: 99)
        self.documents = (0..<documents).map { _ in
            (0..<Int.random(in: longest / 2...longest, using: &shared)).map { _ in
                TokenID.random(in: 0..<1000, using: &shared)
            }
        }
    }

    /// The next prompt: a beginning cut anywhere, then up to 40 tokens of its own, which few other prompts share.
    public mutating func next() -> [TokenID] {
        let document = documents[Int.random(in: 0..<documents.count, using: &generator)]
        let cut = Int.random(in: 0...document.count, using: &generator)
        let own = Int.random(in: (cut == 0 ? 1 : 0)...40, using: &generator)
        return document[..<cut] + (0..<own).map { _ in TokenID.random(in: 0..<4, using: &generator) }
    }
}
