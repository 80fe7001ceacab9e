// What became of pages that were moved by hand between a folder and a remote.

internal import KVFormat
internal import Records

/// What was moved between a folder and a remote. Each page that was looked at is in one of the other counts.
public struct RemoteTransfer: Sendable, Equatable, Encodable {
    /// Pages that were looked at.
    public internal(set) var pages = 0
    /// Pages that were there already.
    public internal(set) var alreadyThere = 0
    /// Pages that are there now.
    public internal(set) var moved = 0
    /// Bytes of those, encoded.
    public internal(set) var movedBytes = ByteCount.zero
    /// Pages that were there and damaged, and were replaced; `moved` has them too.
    public internal(set) var replaced = 0
    /// Ends of prompts whose tokens are in a longer page beside them.
    public internal(set) var covered = 0
    /// Pages that were damaged, or gone, where they came from.
    public internal(set) var damaged = 0
    /// Pages before which another page is missing.
    public internal(set) var orphaned = 0
    /// Pages for which the other side had no room.
    public internal(set) var withoutRoom = 0

    /// Pages that are not there.
    public var missing: Int { damaged + orphaned + withoutRoom }

    /// Counts a batch of `count` pages, of which `known` were there, and `records` came.
    mutating func count(_ count: Int, known: Int, _ records: [PageRecord], _ outcomes: [TakeOutcome]) {
        pages += count
        alreadyThere += known
        damaged += count - known - records.count
        for (record, outcome) in zip(records, outcomes) {
            switch outcome {
            case .stored:
                moved += 1
                movedBytes = ByteCount(movedBytes.value + UInt64(record.bytes.encodedBytes))
            case .alreadyThere: alreadyThere += 1
            case .orphan: orphaned += 1
            case .noRoom: withoutRoom += 1
            case .invalid: damaged += 1
            }
        }
    }
}
