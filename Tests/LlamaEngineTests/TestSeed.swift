import Foundation

/// The seed of random tests: `PFX_SEED`, or a fixed one. Failures print it.
enum TestSeed {
    static let value = ProcessInfo.processInfo.environment["PFX_SEED"].flatMap { UInt64($0) } ?? 20_261_124
}
