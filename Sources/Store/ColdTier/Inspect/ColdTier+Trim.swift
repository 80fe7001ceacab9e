// Making a store smaller by hand.

package import KVFormat
internal import LMDB
internal import Threads

extension ColdTier {
    /// About how many pages one transaction of a trim evicts: other writers wait for it, some ten milliseconds.
    private static let pagesPerTrim: UInt64 = 500

    /// Evicts in the order of the queue until at most `target` bytes are in use, as the quota counts them. Pinned pages
    /// stay. The quota is not changed: engines fill the store again.
    ///
    /// Each transaction is bounded and durable, so a trim that is interrupted keeps what it has done so far.
    ///
    /// - Throws: `.diskFull`, `.mapFull`, `.damaged`, `.closed`, `.forked`, `.system`.
    package func trim(to target: ByteCount) throws(StoreError) -> TrimReport {
        var report = TrimReport(pages: 0, freedBytes: .zero, usedBytes: .zero, isComplete: false)
        var isStuck = false
        while !report.isComplete && !isStuck {
            let (used, before, pages) = try writing { (transaction, session) throws(LMDBError) in
                let before = session.counters.usedBytes
                let average = before / max(1, session.counters.pages)
                let step = max(target.value, before &- min(before, max(4 << 20, average &* Self.pagesPerTrim)))
                _ = try session.makeRoom(for: 0, within: step, &transaction)
                return (session.counters.usedBytes, before, session.evicted)
            }
            report.pages += pages
            report.freedBytes = ByteCount(report.freedBytes.value + (before - min(before, used)))
            report.usedBytes = ByteCount(used)
            report.isComplete = used <= target.value
            // One walk passes pages whose children are yet to go; only a walk that evicts nothing has met pins alone.
            isStuck = pages == 0
        }
        return report
    }

    /// What `trim(to:)` would do: evicts in one transaction and then aborts it. Other writers wait meanwhile.
    ///
    /// - Throws: as `trim(to:)`.
    package func rehearseTrim(to target: ByteCount) throws(StoreError) -> TrimReport {
        do throws(Rehearsal) {
            return try environment.write { (transaction) throws(Rehearsal) -> TrimReport in
                let report: TrimReport
                do throws(LMDBError) {
                    report = try rehearse(to: target, &transaction)
                } catch {
                    throw .failed(error)
                }
                throw .done(report)
            }
        } catch {
            switch error {
            case .done(let report): return report
            case .failed(let error): throw StoreError(error, path: path, options: options)
            }
        }
    }

    private func rehearse(
        to target: ByteCount, _ transaction: inout WriteTransaction
    ) throws(LMDBError) -> TrimReport {
        var session = try WriteSession(&transaction, tables, now: SystemClock.wallMilliseconds())
        let before = session.counters.usedBytes
        // One walk passes pages whose children are yet to go.
        var evicted = -1
        while session.counters.usedBytes > target.value, session.evicted != evicted {
            evicted = session.evicted
            _ = try session.makeRoom(for: 0, within: target.value, &transaction)
        }
        let used = session.counters.usedBytes
        return TrimReport(
            pages: session.evicted, freedBytes: ByteCount(before - min(before, used)), usedBytes: ByteCount(used),
            isComplete: used <= target.value)
    }
}

/// How a rehearsal ends: always by an error, since that aborts its transaction.
private enum Rehearsal: LMDBErrorConvertible {
    case done(TrimReport)
    case failed(LMDBError)

    init(_ error: LMDBError) { self = .failed(error) }
}
