// Damage of every kind to every kind of page, and real processes that open, read, write and check the store.

import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("Stores with a damaged page")
struct DamageRunTests {
    @Test(
        "give no wrong byte, end no process, and work again with the third process or the next",
        .timeLimit(.minutes(10)))
    func damage() throws {
        let seed = TestSeed.fresh("damaged stores")
        let tally = try DamageRun(seed: seed, worker: ChildProcess.product("store-worker")).run(count: 30)
        #expect(tally.isGood, "PFX_SEED=\(seed)\n\(tally.text)")
        // The harm is real: most of it was seen, and much was loaded from what it left.
        #expect(tally.checks.values.reduce(0) { $0 + ($1["damaged"] ?? 0) + ($1["refused"] ?? 0) } > 10)
        #expect(tally.loaded > 0)
    }
}
