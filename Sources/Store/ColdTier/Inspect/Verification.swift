// The full check of a store: every entry of every table, and what each says about the others.
//
// Read only, in bounded read transactions. One entry and all that belongs to it is checked in one snapshot, and writers
// publish a page with all its entries at once, so that a page on its way in or out looks whole or not at all. What
// looks wrong all the same is looked at again in a later snapshot before it is reported.

package import KVFormat
internal import LMDB
internal import PageCodec

extension ColdTier {
    /// Checks everything. Damage of any kind is a finding, never an error; nothing is changed.
    ///
    /// - Parameter progress: called now and then on the calling thread.
    /// - Throws: `.closed`, `.forked`, `.readersFull`, `.system`.
    /// - Complexity: reads and decodes every stored byte once, on the calling thread.
    package func verify(progress: (VerifyProgress) -> Void = { _ in }) throws(StoreError) -> VerifyReport {
        try withoutActuallyEscaping(progress) { progress throws(StoreError) in
            var verification = Verification(tier: self, progress: progress)
            do throws(LMDBError) { try verification.run() } catch {
                throw StoreError(error, path: path, options: options)
            }
            return verification.report
        }
    }
}

/// A check under way.
struct Verification {
    /// Suspicious entries that are remembered for a second look, before the walk goes on.
    private static let suspectLimit = 256

    let tier: ColdTier
    let progress: (VerifyProgress) -> Void
    let decoder = RecordDecoder()
    let scratch = PageScratch()
    var report = VerifyReport()
    var totalPages = 0

    var tables: Tables { tier.tables }

    init(tier: ColdTier, progress: @escaping (VerifyProgress) -> Void) {
        self.tier = tier
        self.progress = progress
    }

    /// Runs all checks. Throws only what is no damage.
    mutating func run() throws(LMDBError) {
        try checkFile()
        totalPages = try orDamage(0) { (verification) throws(LMDBError) in
            try verification.entryCount(verification.tables.nodes)
        }
        try check(tables.meta, name: .meta) { (_, key, value, _) throws(LMDBError) in Self.findings(meta: key, value) }
        let tier = tier
        try check(tables.spaces, name: .spaces) { (_, key, value, report) throws(LMDBError) in
            report.spaces += 1
            return Self.findings(space: key, value, tier)
        }
        let pages = PageCheck(tier: tier, decoder: decoder, scratch: scratch)
        try check(tables.nodes, name: .nodes) { (transaction, key, value, report) throws(LMDBError) in
            try pages.findings(transaction, key, value, &report)
        }
        let entries = EntryCheck(tier: tier, decoder: decoder, scratch: scratch)
        try check(tables.pages, name: .pages) { (transaction, key, _, _) throws(LMDBError) in
            try entries.findings(record: key, transaction)
        }
        try check(tables.edges, name: .edges) { (transaction, key, value, report) throws(LMDBError) in
            report.edges += 1
            return try entries.findings(edge: key, value, transaction)
        }
        try check(tables.recency, name: .recency) { (transaction, key, _, _) throws(LMDBError) in
            try entries.findings(recency: key, transaction)
        }
        try check(tables.queue, name: .queue) { (transaction, key, _, report) throws(LMDBError) in
            report.queueEntries += 1
            return try entries.findings(queue: key, transaction)
        }
        try check(tables.sides, name: .sides) { (transaction, key, value, report) throws(LMDBError) in
            report.sideStates += 1
            return try entries.findings(side: key, value, transaction)
        }
        try check(tables.quarantine, name: .quarantine) { (_, key, value, report) throws(LMDBError) in
            report.quarantinedPages += 1
            return Self.findings(quarantine: key, value)
        }
        try check(tables.names, name: .names) { (_, key, value, _) throws(LMDBError) in
            Self.findings(name: key, value)
        }
        try orDamage(()) { (verification) throws(LMDBError) in try verification.checkCounters() }
        tell()
    }

    /// Runs a step that has nothing to say about damage itself, because another step finds it: answers `otherwise`
    /// then.
    private mutating func orDamage<R>(
        _ otherwise: R, _ step: (inout Verification) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        do throws(LMDBError) {
            return try step(&self)
        } catch {
            guard error.isDamage else { throw error }
            return otherwise
        }
    }

    /// What a check answers about one entry; counts go into the report.
    typealias Check = (borrowing ReadTransaction, RawSpan, RawSpan, inout VerifyReport) throws(LMDBError) ->
        [VerifyFinding]

    /// Walks a table and reports what `check` finds twice.
    private mutating func check(_ table: Table, name: TableName, _ check: Check) throws(LMDBError) {
        var suspects: [[UInt8]] = []
        var start: [UInt8] = [0]
        var isDone = false
        while !isDone {
            isDone = true
            suspects.removeAll(keepingCapacity: true)
            do throws(LMDBError) {
                var rawBytes = report.rawBytes.value
                try tier.walk(table, from: start) { (transaction, key, value) throws(LMDBError) in
                    let look = try look(transaction, key, value, check)
                    if look != .right { suspects.append(key.copy(from: 0)) }
                    if suspects.count >= Self.suspectLimit {
                        try start.advance(behind: key)
                        isDone = false
                        return .stop
                    }
                    let isLong = report.rawBytes.value - rawBytes >= UInt64(Limits.transactionBytes)
                    guard isLong || look == .broken else { return .next }
                    rawBytes = report.rawBytes.value
                    tell()
                    return .renew
                }
            } catch {
                guard error.isDamage else { throw error }
                report.add(.unreadable(name))
            }
            for key in suspects { try lookAgain(table, name, key, check) }
            tell()
        }
    }

    /// What a first look says about an entry.
    private enum Look {
        /// All is as it should be.
        case right
        /// Something is not.
        case wrong
        /// LMDB itself met damage; it does not serve a transaction any more in which it has.
        case broken
    }

    private mutating func look(
        _ transaction: borrowing ReadTransaction, _ key: RawSpan, _ value: RawSpan, _ check: Check
    ) throws(LMDBError) -> Look {
        do throws(LMDBError) {
            return try check(transaction, key, value, &report).isEmpty ? .right : .wrong
        } catch {
            guard error.isDamage else { throw error }
            return .broken
        }
    }

    /// Checks one entry in a new snapshot and reports what is wrong now. An entry that is gone was deleted meanwhile.
    private mutating func lookAgain(
        _ table: Table, _ name: TableName, _ key: [UInt8], _ check: Check
    ) throws(LMDBError) {
        // What is counted was counted at the first look.
        var ignored = VerifyReport()
        var findings: [VerifyFinding]
        do throws(LMDBError) {
            findings = try tier.environment.read { (transaction) throws(LMDBError) in
                guard let value = try unsafe transaction.get(table, key: key.span.bytes) else { return [] }
                return try unsafe check(transaction, key.span.bytes, value, &ignored)
            }
        } catch {
            guard error.isDamage else { throw error }
            let hash = unsafe PrefixHash(key: key.span.bytes)
            findings = [VerifyFinding(.unreadableTable, hash, "What belongs to it cannot be read.")]
        }
        for finding in findings { report.add(finding) }
    }

    func entryCount(_ table: Table) throws(LMDBError) -> Int {
        try tier.environment.read { (transaction) throws(LMDBError) in try transaction.entryCount(table) }
    }

    private func tell() {
        progress(
            VerifyProgress(
                pages: report.pages, totalPages: max(totalPages, report.pages), encodedBytes: report.encodedBytes))
    }
}

extension VerifyFinding {
    static func unreadable(_ table: TableName) -> VerifyFinding {
        VerifyFinding(
            .unreadableTable, nil,
            "The table \(table.rawValue) cannot be read to its end; what follows there was not checked.")
    }
}
