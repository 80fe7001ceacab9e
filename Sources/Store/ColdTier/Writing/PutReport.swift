// The result of storing a batch of pages.

package import Records

/// What a put did.
package struct PutReport: Sendable, Equatable {
    /// One outcome per page of the batch, in its order.
    package var outcomes: [TakeOutcome] = []
    /// Pages evicted to make room.
    package var evicted = 0
    /// Tails that a longer page replaced.
    package var replacedTails = 0
    /// Bytes of the pages stored, decoded.
    package var rawBytes = 0
    /// Bytes of their records.
    package var encodedBytes = 0
    /// Bytes of the slots that they have on disk.
    package var slotBytes = 0

    /// How many pages had this outcome.
    package func count(_ outcome: TakeOutcome) -> Int { outcomes.count { $0 == outcome } }
}
