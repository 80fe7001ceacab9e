// What a check of a remote has found, for people who set one up.

package import KVFormat
internal import RemoteTier
internal import Threads

/// What a check of a remote has found.
public struct RemoteReport: Sendable, Encodable {
    /// Where it is: scheme and servers of the URL.
    public let url: String
    /// The server's own name and version; nil if this user may not ask.
    public let version: String?
    /// Servers that take changes.
    public let primaries: Int
    /// Servers that have copies.
    public let replicas: Int
    /// The servers that the URL names, if there are several that have the same.
    public let servers: [Server]
    /// What stores and commands do there, by the server's name of it, and whether this user may.
    public let rights: [Right]
    /// Whether this user may read: if not, nothing is measured.
    public let isReadable: Bool
    /// Whether this user may write, and there is room.
    public let isWritable: Bool
    /// Whether it has no room.
    public let isFull: Bool
    /// The median time of a question, in seconds.
    public let questionSeconds: Double
    /// The longest time of a question, in seconds.
    public let longestQuestionSeconds: Double
    /// Bytes per second of values of 1 MiB that are put; 0 for a user who may not write.
    public let putRate: Double
    /// Bytes per second of such values that are fetched.
    public let fetchRate: Double
    /// Limit on the server's memory in bytes; 0 for none, nil if this user may not ask.
    public let memoryLimit: UInt64?
    /// What the server does when its memory is full.
    public let evictionPolicy: String?
    /// What to change, one sentence each.
    public let advice: [String]

    /// One of several servers.
    public struct Server: Sendable, Encodable {
        /// Its host and port.
        public let address: String
        /// What is wrong with it, as a clause; nil for one that is well.
        public let fault: String?
    }

    /// Something that stores or commands do with a remote.
    public struct Right: Sendable, Encodable {
        /// The server's name of it, such as `GET` or `s3:GetObject`.
        public let name: String
        /// Who needs it.
        public let use: String
        /// Whether this user may.
        public let isGranted: Bool
        /// Why not, as a clause; nil if it may.
        public let refusal: String?
    }

    /// Tries everything that a store does with a remote. What it puts there is gone after ten seconds.
    ///
    /// - Throws: `.invalidOption`; `.remoteFailure` when the remote cannot be reached.
    public init(checking options: RemoteOptions) throws(StoreError) {
        let tier = try RemoteTier(options)
        defer { tier.close() }
        try self.init(tier)
    }

    /// The same for each of several remotes, in their order: what was found, or why nothing was.
    ///
    /// - Throws: `.invalidOption`; no remote was asked anything then.
    public static func all(
        checking options: RemoteOptions
    ) throws(StoreError) -> [(url: String, found: Result<RemoteReport, StoreError>)] {
        let tiers = try RemoteTier.each(options)
        return tiers.map { tier in
            defer { tier.close() }
            return (tier.shownURL, Result { () throws(StoreError) in try RemoteReport(tier) })
        }
    }

    private init(_ tier: RemoteTier) throws(StoreError) {
        let found = try tier.check()
        url = found.url
        version = found.version
        primaries = found.primaries
        replicas = found.replicas
        servers = found.servers.map { Server(address: $0.address, fault: $0.fault?.text) }
        rights = found.rights.map { right in
            Right(
                name: right.name, use: right.use, isGranted: right.refusal == nil, refusal: right.refusal?.text)
        }
        isReadable = found.isReadable
        isWritable = found.refusal == nil
        isFull = found.refusal == .full
        questionSeconds = Double(found.questionTime.nanoseconds) / 1e9
        longestQuestionSeconds = Double(found.longestQuestionTime.nanoseconds) / 1e9
        putRate = found.putRate
        fetchRate = found.fetchRate
        memoryLimit = found.memoryLimit
        evictionPolicy = found.evictionPolicy
        advice = found.advice
    }
}

extension RemoteOptions {
    /// The files that the URL names: a program may want to say of one that it is not there.
    package var namedFiles: [String] { RemoteTier.files(named: self) }
}
