// What became of pages that were moved by hand between a folder and a remote.

internal import KVFormat
internal import Records

/// What was moved between a folder and a remote. Each page that was looked at is in one of the other counts.
public struct RemoteTransfer: Sendable, Equatable, Encodable {
    /// Pages of the space where they come from.
    public internal(set) var offered = 0
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
    /// Pages that were damaged, or gone, where they came from; values that cannot be read at all, and packs of an
    /// object store that do not say which pages they have, count too.
    public internal(set) var damaged = 0
    /// Of those the packs that do not say which pages they have.
    public internal(set) var unreadablePacks = 0
    /// Pages of the space that another folder has sealed, so that this one cannot read them; in no other count.
    public internal(set) var otherwiseSealed = 0
    /// Pages before which another page is missing.
    public internal(set) var orphaned = 0
    /// Pages for which the other side had no room, also those that it has evicted again.
    public internal(set) var withoutRoom = 0
    /// Pages that were left alone because their date has passed in the folder, or that of a page before them.
    public internal(set) var expired = 0
    /// Pages that were not moved because a remote failed, or the folder.
    public internal(set) var unanswered = 0
    /// Other pages of the store that were evicted to make room.
    public internal(set) var evicted = 0
    /// What was found of the prompts that were asked for; nil when none were.
    public internal(set) var prompts: Prompts?
    /// Remotes that have failed, and what the folder has failed with. What was moved before stays: give the call again.
    public internal(set) var failures: [Failure] = []

    /// Pages that are not there.
    public var missing: Int { damaged + orphaned + withoutRoom + unanswered }

    /// Whether all that was asked for is known to be there: each page, and the whole of each prompt.
    public internal(set) var isComplete = false

    /// How much of a list of prompts is there afterwards.
    public struct Prompts: Sendable, Equatable, Encodable {
        /// Prompts of the list.
        public internal(set) var count = 0
        /// Those that are there to their last token.
        public internal(set) var whole = 0
        /// Those whose beginning is there.
        public internal(set) var partial = 0
        /// Those of which nothing is there.
        public internal(set) var absent = 0
        /// Tokens of all of them.
        public internal(set) var tokens = 0
        /// Those of these tokens that are there.
        public internal(set) var tokensThere = 0
    }

    /// A remote, or the folder, that did not do what was asked of it.
    public struct Failure: Sendable, Equatable, Encodable {
        /// What happened, in one sentence that names the remote.
        public let sentence: String
        /// What to do about it, in one sentence.
        public let remedy: String
        /// The error itself.
        public let error: StoreError
        /// Whether a remote has failed, and not the folder.
        public var isRemote: Bool {
            guard case .remoteFailure = error else { return false }
            return true
        }

        enum CodingKeys: CodingKey { case sentence, remedy }
    }

    /// Says whether all is there.
    ///
    /// - Parameter isSure: whether what the prompts found is right whatever the failures have kept back.
    mutating func finish(isSure: Bool) {
        let isWhole = prompts.map { $0.whole == $0.count }
        isComplete = missing == 0 && isWhole ?? true && (failures.isEmpty || isSure && isWhole == true)
    }

    mutating func note(_ error: StoreError) {
        failures.append(Failure(sentence: error.description, remedy: error.remedy, error: error))
    }

    /// Counts a batch of `count` pages, of which `known` were there, `silent` had no answer, and `records` came.
    mutating func count(
        _ count: Int, known: Int, silent: Int, _ records: [PageRecord], _ outcomes: [TakeOutcome]
    ) {
        pages += count
        alreadyThere += known
        unanswered += silent
        damaged += count - known - silent - records.count
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

/// Which of the pages of a transfer are at their place: some go again before it ends.
struct PlacedPages {
    /// Pages that were there, or came.
    private(set) var hashes: Set<PrefixHash> = []
    /// Encoded bytes of those that came.
    private var moved: [PrefixHash: UInt64] = [:]

    mutating func add(_ known: some Sequence<PrefixHash>) { hashes.formUnion(known) }

    mutating func add(_ records: [PageRecord], _ outcomes: [TakeOutcome]) {
        for (record, outcome) in zip(records, outcomes) where outcome == .stored || outcome == .alreadyThere {
            hashes.insert(record.name.hash)
            if outcome == .stored { moved[record.name.hash] = UInt64(record.bytes.encodedBytes) }
        }
    }

    mutating func remove(_ gone: some Sequence<PrefixHash>) { hashes.subtract(gone) }

    /// Counts those that are gone as without room.
    func count(gone: some Sequence<PrefixHash>, in done: inout RemoteTransfer) {
        for hash in gone {
            done.withoutRoom += 1
            if let bytes = moved[hash] {
                done.moved -= 1
                done.movedBytes = ByteCount(done.movedBytes.value - bytes)
            } else {
                done.alreadyThere -= 1
            }
        }
    }
}
