// The seam between the tier and its servers: what the tier asks of them, whichever protocol they speak.

internal import KVFormat
internal import PageCodec
internal import Records
internal import Threads

/// How long a call to servers may take.
struct Patience: Sendable {
    /// When it gives up.
    let deadline: Deadline
    /// How long it waits while no byte moves.
    let stall: Duration

    /// For calls of threads that nobody waits for, and of tools.
    static var long: Patience { Patience(deadline: .after(.seconds(30)), stall: .seconds(2)) }
}

/// What a look-up has learned of a chain of pages.
struct LeadingPages: Sendable {
    /// Pages that are there, from the first on.
    var count = 0
    /// Whether the next page is known not to be there.
    var isSure = true
    /// Questions that were asked, each of one round trip.
    var questions: UInt64 = 0
    /// Whether a question had no answer in time.
    var isLate = false
}

/// A page that is to be put.
struct RemotePut: Sendable {
    let page: PageRecord
    /// Whether what is there under its key is damaged, and must be replaced.
    let replaces: Bool
}

/// What is there under the key of a page.
enum FetchedValue: Sendable {
    /// A value, which must still prove itself.
    case value(EncodedRecord)
    /// Nothing.
    case nothing
    /// Something that cannot be the page's value: it is too short, or of another type. The client does not trust it any
    /// more, and says whether the page may be there once more, elsewhere.
    case unreadable(isCopied: Bool)
}

/// What a list of a space's pages names.
enum ListedValue: Sendable {
    /// A page, and the beginning of its value.
    case page(PrefixHash, EncodedRecord)
    /// A page whose value cannot be read.
    case unreadable(PrefixHash)
    /// A pack that does not say which pages it has.
    case unreadablePack
}

/// Servers that keep the values of pages for many hosts. Thread-safe. Calls run on the caller's thread and trust
/// nothing that comes: the tier checks each value.
protocol RemoteClient: Sendable {
    /// Begins to connect, so that the first look-up need not wait for that.
    func prepare()
    /// Ends connections and threads; a call that runs ends soon.
    func close()
    /// What is wrong with servers now, as one clause each.
    var faults: [String] { get }

    /// How many pages of a chain are there, from the first on. A page counts as missing if no answer comes in time.
    ///
    /// - Parameter earlier: the pages before the chain, as far as they are known.
    func leading(_ chain: [PrefixHash], behind earlier: [PrefixHash], _ patience: Patience) -> LeadingPages
    /// Which of these pages are there. In a chain each page is the child of the one before.
    func held(_ chains: [[PrefixHash]], _ patience: Patience) throws(RemoteFault) -> Set<PrefixHash>
    /// Passes each value to `onValue` as it comes, with its page's place: in any order.
    ///
    /// - Parameters:
    ///   - pageBytes: bytes of a whole page; a value is never much larger.
    ///   - onValue: false ends the call early.
    /// - Returns: why some pages have no answer; nil when all have one, or `onValue` has ended the call.
    func fetch(
        _ hashes: [PrefixHash], pageBytes: Int, _ patience: Patience, _ onValue: (Int, FetchedValue) -> Bool
    ) -> RemoteFault?
    /// Puts pages, and says what became of each: `.stored`, `.alreadyThere` or `.noRoom`.
    ///
    /// - Parameter timeToLive: how long they are kept; nil for as long as the server likes.
    /// - Returns: why some pages have no outcome.
    func put(
        _ pages: [RemotePut], timeToLive: Duration?, _ patience: Patience, _ onOutcome: (Int, TakeOutcome) -> Void
    ) -> RemoteFault?
    /// Notes that what was fetched of a page cannot be trusted.
    ///
    /// - Parameter withNeighbours: whether what lies beside it, in the same object, is not to be trusted either.
    /// - Returns: whether it may be there once more, elsewhere: then it is worth asking again.
    func distrust(_ hash: PrefixHash, withNeighbours: Bool) -> Bool

    /// Puts the descriptor of a space. A server that expires values keeps it for `timeToLive`; nil for no limit.
    func put(space: SpaceDescriptor, timeToLive: Duration?, _ patience: Patience) throws(RemoteFault)
    /// The encoded descriptor of a space; nil when it is not there.
    func space(_ root: PrefixHash, _ patience: Patience) throws(RemoteFault) -> [UInt8]?
    /// Lists pages: of the space at least, perhaps of others too. Passes the first `bytes` bytes of each value.
    func list(_ root: PrefixHash, bytes: Int, _ onValue: (ListedValue) -> Void) throws(RemoteFault)
    /// Which of these pages are there, and no list names them.
    func unlisted(_ hashes: [PrefixHash], _ patience: Patience) throws(RemoteFault) -> Set<PrefixHash>
    /// Has lists name again what `unlisted` has found, whether it was put anew or not.
    func mendLists(_ patience: Patience) throws(RemoteFault)

    /// Asks for a page that is not there.
    func question(_ hash: PrefixHash, _ patience: Patience) throws(RemoteFault)
    /// Puts a value under each of these keys, for seconds only. Returns why some were not put.
    func putTrial(_ keys: [String], _ value: [UInt8], _ patience: Patience) -> RemoteFault?
    /// Fetches the values that were put; how many have `bytes` bytes.
    func fetchTrial(_ keys: [String], bytes: Int, _ patience: Patience) throws(RemoteFault) -> Int
    /// Tries what a store and the commands `pfx push` and `pfx pull` do, each by itself, and says what each is for and
    /// why this user may not; nil when it may.
    ///
    /// - Parameter isWritable: whether there is room to put something.
    func rights(isWritable: Bool) -> [(name: String, use: String, refusal: RemoteFault?)]
    /// The servers that the user has named, if there are several that have the same: what is wrong with each, or nil.
    func namedServers() -> [(address: String, fault: RemoteFault?)]
    /// Fills in what the servers say of themselves, and what to change.
    func describe(_ found: inout RemoteCheck)
}
