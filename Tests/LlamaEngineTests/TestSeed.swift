import Foundation

/// The seed of random tests: `ENGINE_SEED`, or a fixed one. Failures print it.
enum TestSeed {
    static let value = ProcessInfo.processInfo.environment["ENGINE_SEED"].flatMap { UInt64($0) } ?? 20_261_124
}
