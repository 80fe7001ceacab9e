// Uses: buffered by readers, written by the next writer.

package import KVFormat
internal import LMDB

extension ColdTier {
    /// Pages whose uses one transaction writes: some ten milliseconds, for which other writers wait.
    private static let touchesPerTransaction = 2048

    /// Counts a use of each page at `now`, milliseconds since the Unix epoch. Give the whole path, so that a page never
    /// looks less used than those after it. Never waits for a writer; written by the next `put`, `flushTouches` or
    /// `close`.
    ///
    /// - Parameter use: what the use says of the pages; a match says that they saved something.
    package func touch(_ hashes: [PrefixHash], now: Int64, as use: PathUse = .match) {
        pending.touch(hashes, now: now, as: use)
    }

    /// Writes all uses and takes out all damage that are pending.
    ///
    /// - Throws: `.diskFull`, `.mapFull`, `.damaged`, `.closed`, `.forked`, `.system`; what was not written stays
    ///   pending.
    package func flushTouches() throws(StoreError) {
        do throws(LMDBError) {
            while !pending.isEmpty {
                try writePending(touchLimit: Self.touchesPerTransaction) { (_, _) throws(LMDBError) in }
            }
        } catch {
            throw StoreError(error, path: path, options: options)
        }
    }

    /// The dates of used pages that writing their uses has met since the last call: what a copy in RAM may not know,
    /// since another process can have set them.
    package func takeDates() -> [PrefixHash: Int64] { pending.takeDates() }

    /// One transaction: what is pending, then `body`.
    func writePending(
        touchLimit: Int, _ body: (inout WriteTransaction, inout WriteSession) throws(LMDBError) -> Void
    ) throws(LMDBError) {
        let suspects = pending.suspects
        let touches = pending.takeTouches(limit: touchLimit)
        var dates: [PrefixHash: Int64] = [:]
        do throws(LMDBError) {
            try transact { (transaction, session) throws(LMDBError) in
                try quarantine(suspects, &transaction, &session)
                for (hash, touch) in touches { try session.touch(hash, touch, &transaction) }
                dates = session.dates
                try body(&transaction, &session)
            }
        } catch {
            pending.giveBack(touches)
            throw error
        }
        pending.forget(suspects)
        pending.note(dates: dates)
    }
}
