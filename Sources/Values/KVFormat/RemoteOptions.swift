// How a store uses a server that other hosts use too.

/// Which pages go to the remote.
public enum RemotePuts: Hashable, Sendable {
    /// Every page, after it was written to the folder.
    case all
    /// A page that matches of this process have found this many times.
    case afterHits(Int)
    /// The pages of prefixes that this process pins.
    case pinned
    /// None: the store only reads.
    case none
}

/// A server beyond this host that keeps what hosts have computed for all of them: Redis, Valkey, or an S3-compatible
/// object store.
///
/// A remote that is slow, down, full or wrong costs hits and nothing else. Two hosts share pages if everything in their
/// `ModelIdentity` is equal.
public struct RemoteOptions: Hashable, Sendable {
    /// Where it is: `redis://host:port`, `rediss://` with TLS, `redis+cluster://host:port,host:port`,
    /// `rediss+cluster://`, `s3://bucket/prefix?endpoint=https://host:port`. docs/fleet.md has all parts of a URL. A
    /// password is never among them: it comes from the environment variable `REDISCLI_AUTH`, or from the file that
    /// `password_file` in the URL names; for S3 from `AWS_ACCESS_KEY_ID` and its like, or from `~/.aws/credentials`.
    /// Several URLs have white space between them: they are read in turn, and pages are put to the first one.
    public var url: String
    /// Which pages are put there.
    public var puts: RemotePuts
    /// How long one look-up waits for it; nil for `lookup_ms` of the URL, or else 20 milliseconds, and 100 with S3,
    /// which answers no sooner.
    public var lookupTime: Duration?
    /// How long a load waits while nothing comes.
    public var stallTime: Duration
    /// How long `Store.close()` waits for what is to be put.
    public var closeTime: Duration
    /// Limit on the bytes of the pages that wait to be put: encoded ones, or of `.pinned` and `.afterHits`, which do
    /// not know that, the engine's. Later pages are not put.
    public var queueCapacity: ByteCount
    /// Limit on the bytes that are put per second; nil for none.
    public var putRate: ByteCount?
    /// How long the server keeps a page that is put, whole seconds; nil for as long as it likes. Nil for S3, where the
    /// bucket's lifecycle rules say so.
    public var timeToLive: Duration?

    /// Options with the given values.
    public init(
        url: String, puts: RemotePuts = .all, lookupTime: Duration? = nil,
        stallTime: Duration = .milliseconds(250), closeTime: Duration = .seconds(5),
        queueCapacity: ByteCount = .mebibytes(256), putRate: ByteCount? = nil, timeToLive: Duration? = nil
    ) {
        self.url = url
        self.puts = puts
        self.lookupTime = lookupTime
        self.stallTime = stallTime
        self.closeTime = closeTime
        self.queueCapacity = queueCapacity
        self.putRate = putRate
        self.timeToLive = timeToLive
    }

    /// Refuses what cannot work, before anything is opened.
    package func validate() throws(StoreError) {
        if case .afterHits(let hits) = puts, hits < 1 {
            throw .invalidOption("a page cannot be put to the remote after \(hits) hits")
        }
        guard lookupTime.map({ $0 > .zero }) ?? true, stallTime > .zero, closeTime >= .zero else {
            throw .invalidOption("a time of the remote is not positive")
        }
        if putRate == .zero { throw .invalidOption("a rate of 0 puts nothing to the remote; give none for no limit") }
        if let timeToLive, timeToLive < .seconds(1) {
            throw .invalidOption("the remote keeps pages for whole seconds, 1 or more")
        }
    }
}
