// Uses: buffered by readers, written by the next writer.

package import KVFormat
internal import LMDB
package import Threads

extension ColdTier {
    /// Pages whose uses one transaction writes. That takes about ten milliseconds, for which other writers wait.
    private static let touchesPerTransaction = 2048

    /// Counts a use of each page at `now`, in milliseconds since the Unix epoch. Give the whole path, so that a page
    /// never looks less used than those after it. The call never waits for a writer; the next `put`, `flushTouches` or
    /// `close` writes the uses.
    /// - Parameter use: the kind of use; a match says that the pages saved something.
    package func touch(_ hashes: [PrefixHash], now: Int64, as use: PathUse = .match) {
        pending.touch(hashes, now: now, as: use)
    }

    /// Writes all pending uses and removes all suspects.
    ///
    /// - Parameter deadline: as in `writing`.
    /// - Throws: `.writerBusy` when the deadline has passed; `.diskFull`, `.mapFull`, `.damaged`, `.closed`, `.forked`,
    ///   `.system`. What was not written stays pending.
    package func flushTouches(before deadline: Deadline? = nil) throws(StoreError) {
        do throws(LMDBError) {
            // Only what is pending now: other threads may touch pages faster than the disk can sync.
            var left = pending.touchCount
            while !pending.isEmpty {
                // Uses only make eviction more accurate, and each write of them makes such a file longer.
                if pending.suspects.isEmpty, try isHeldAtBound() { break }
                try writePending(
                    touchLimit: Self.touchesPerTransaction, before: deadline
                ) { (_, _) throws(LMDBError) in }
                left -= Self.touchesPerTransaction
                if left <= 0 { break }
            }
        } catch {
            throw StoreError(error, path: path, options: options)
        }
    }

    /// The expiry dates of the pages whose uses were written since the last call. A copy in RAM may not know them,
    /// because another process can have set them.
    package func takeDates() -> [PrefixHash: Int64] { pending.takeDates() }

    /// One transaction: writes what is pending, then runs `body`.
    func writePending(
        touchLimit: Int, reserving bytes: Int = 0, before deadline: Deadline? = nil,
        _ body: (inout WriteTransaction, inout WriteSession) throws(LMDBError) -> Void
    ) throws(LMDBError) {
        let suspects = pending.suspects
        let touches = pending.takeTouches(limit: touchLimit)
        var dates: [PrefixHash: Int64] = [:]
        do throws(LMDBError) {
            try transact(reserving: bytes, before: deadline) { (transaction, session) throws(LMDBError) in
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
