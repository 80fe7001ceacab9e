// Counters against what they count.

internal import KVFormat
internal import LMDB

extension Verification {
    /// How often the check tries to count between two write transactions.
    private static let attempts = 8

    /// Compares the counters of the store with the sums over what is stored. Only when no writer wrote during
    /// the count, which the generation tells; and only when every node can be read.
    mutating func checkCounters() throws(LMDBError) {
        for _ in 0..<Self.attempts {
            guard let before = try counters() else { return }
            var sums = CounterSums()
            do throws(LMDBError) { try count(&sums) } catch {
                guard error.isDamage else { throw error }
                return
            }
            guard sums.isComplete else { return }
            guard let after = try counters() else { return }
            guard before.generation == after.generation else { continue }
            report.comparedCounters = true
            compare(after, with: sums)
            return
        }
    }

    /// The stored counters; nil when they are damaged, which was reported.
    private func counters() throws(LMDBError) -> CountersRecord? {
        try tier.environment.read { (transaction) throws(LMDBError) in
            try transaction.read(tables.meta, MetaKey.counters) { CountersRecord($0) }.record
        }
    }

    private func count(_ sums: inout CounterSums) throws(LMDBError) {
        try tier.walk(tables.nodes) { (_, key, value) throws(LMDBError) in
            guard let hash = PrefixHash(key: key), let node = NodeRecord(value, key: hash) else {
                sums.isComplete = false
                return .stop
            }
            sums.store.count(node, by: 1)
            return .next
        }
        try tier.walk(tables.sides) { (_, _, value) throws(LMDBError) in
            sums.store.sideStates += 1
            sums.store.slotBytes.shift(by: value.byteCount + SlotSize.header)
            return .next
        }
    }

    private mutating func compare(_ stored: CountersRecord, with sums: CounterSums) {
        let counts: [(String, UInt64, UInt64)] = [
            ("pages", stored.pages, sums.store.pages),
            ("slot bytes", stored.slotBytes, sums.store.slotBytes),
            ("encoded bytes", stored.encodedBytes, sums.store.encodedBytes),
            ("raw bytes", stored.rawBytes, sums.store.rawBytes),
            ("index bytes", stored.indexBytes, sums.store.indexBytes),
            ("side states", stored.sideStates, sums.store.sideStates),
        ]
        for (name, count, sum) in counts where count != sum {
            report.add(VerifyFinding(.wrongCounters, nil, "The store counts \(count) \(name), there are \(sum)."))
        }
    }
}

/// What the stored entries add up to.
struct CounterSums {
    var store = CountersRecord()
    /// Whether every node could be read.
    var isComplete = true
}
