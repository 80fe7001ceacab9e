// The seeds of random tests: printed, and taken back from the environment.

internal import Glibc

/// Where a random test gets its seed. Every seed is printed as `PFX_SEED=...`; with that variable set, all random tests
/// use it.
package enum TestSeed {
    /// A seed that no run had before, for the test called `name`.
    package static func fresh(_ name: String) -> UInt64 { told(name, given ?? UInt64.random(in: 0...UInt64.max)) }

    /// The same seed in every run, for a test whose figures were chosen with it in mind.
    package static func fixed(_ seed: UInt64, _ name: String) -> UInt64 { told(name, given ?? seed) }

    /// The seeds `1...count`, for a test with a case for each.
    package static func each(_ count: Int, _ name: String) -> [UInt64] {
        let seeds = given.map { [$0] } ?? Array(1...UInt64(count))
        return seeds.map { told(name, $0) }
    }

    private static var given: UInt64? {
        guard let text = unsafe getenv("PFX_SEED") else { return nil }
        guard let seed = unsafe UInt64(String(cString: text)) else {
            preconditionFailure("PFX_SEED is no number from 0 to 2^64 - 1")
        }
        return seed
    }

    private static func told(_ name: String, _ seed: UInt64) -> UInt64 {
        print("\(name): PFX_SEED=\(seed)")
        return seed
    }
}
