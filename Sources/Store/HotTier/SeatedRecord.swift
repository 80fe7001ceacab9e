// A record that is in the tier before its page is, so that several threads can bring the records of one sequence.

package import KVFormat
internal import Threads

/// The copy of a record in a tier's memory that no page has yet. A page can only be published behind its parent, but
/// the records of a sequence may be copied in any order. The end of an object that was not published gives its memory
/// back. Thread-safe.
package final class SeatedRecord: @unchecked Sendable {
    // Unchecked because the variable is only touched under the lock of the tier's state, and by `deinit`.
    private let tier: HotTier
    private var seat: Seat?

    fileprivate init(_ tier: HotTier, _ seat: Seat) {
        self.tier = tier
        self.seat = seat
    }

    deinit {
        guard let seat else { return }
        tier.state.withLock { state in
            state.seatsInFlight -= 1
            state.arena.give(seat)
        }
    }

    /// Hands the seat over to a page. Called under the mutex, once.
    fileprivate func take() -> Seat {
        guard let taken = seat else { preconditionFailure("this record has its page already") }
        seat = nil
        return taken
    }
}

extension HotTier {
    /// Copies a record into the tier, for `HotSpace.insert(_:seated:now:)`.
    ///
    /// - Parameter now: milliseconds since the Unix epoch.
    /// - Returns: nil when nothing could be evicted for it.
    /// - Complexity: one copy of the record, with no lock held; evicts as many pages as the record needs.
    package func seat(_ record: RawSpan, now: Int64) -> SeatedRecord? {
        guard let room = makeRoom(record.byteCount, now: now) else { return nil }
        room.copy(record)
        return SeatedRecord(self, room.seat)
    }
}

extension HotSpace {
    /// Publishes a page whose record is in the tier already, behind its parent.
    ///
    /// - Parameter seated: the page's record, from `HotTier.seat` of the same tier. It is used up by `.inserted`.
    ///   The other parameters are those of `insert(_:record:now:isStored:expiry:)`.
    package func insert(_ name: PageName, seated: SeatedRecord, now: Int64) -> InsertOutcome {
        let page = newPage(name, now, isStored: false, 0)
        return tier.state.withLock { state in
            switch state.beginInsert(page, in: record) {
            case .done(let outcome): outcome
            case .copy(let parent): state.finishInsert(page, .record(seated.take()), parent: parent, in: record)
            }
        }
    }
}
