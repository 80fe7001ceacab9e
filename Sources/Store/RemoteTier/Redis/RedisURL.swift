// What the URL of a Redis or Valkey says.

internal import KVFormat

/// The parts of a URL such as `rediss://user@host:6379/0?ca=ca.pem`. docs/fleet.md describes them.
struct RedisURL: Sendable, Equatable {
    /// Whether connections use TLS.
    var isTLS = false
    /// Whether the servers are a cluster.
    var isCluster = false
    /// The servers that are named.
    var hosts: [NodeAddress] = []
    /// The user of the servers' access lists; nil for the default one.
    var user: String?
    /// The number of the database.
    var database = 0
    /// File with the certificates of the authorities that are trusted; nil for those of the system.
    var ca: String?
    /// File with the own certificate.
    var certificate: String?
    /// File with its key.
    var key: String?
    /// The name in the server's certificate; nil for that of its host.
    var serverName: String?
    /// File with the password.
    var passwordFile: String?
    /// The newest version of the protocol that is tried.
    var version = 3
    /// Whether replicas are read while their primary is well.
    var readsReplicas = false

    private static let schemes = [
        "redis": (false, false), "rediss": (true, false), "redis+cluster": (false, true),
        "rediss+cluster": (true, true), "valkey": (false, false), "valkeys": (true, false),
        "valkey+cluster": (false, true), "valkeys+cluster": (true, true),
    ]
    private static let settings = ["ca", "cert", "key", "server_name", "password_file", "protocol", "read"]
    private static let defaultPort: UInt16 = 6379

    /// The schemes that this reads.
    static var names: [String] { schemes.keys.sorted() }

    /// Reads a URL.
    ///
    /// - Throws: `.invalidOption`, which says what is wrong, and repeats no more of the URL than that needs.
    init(_ text: URLText) throws(StoreError) {
        guard let (isTLS, isCluster) = Self.schemes[text.scheme] else { preconditionFailure("a scheme of this list") }
        (self.isTLS, self.isCluster) = (isTLS, isCluster)
        let place = text.place.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        try readServers(place[0])
        if place.count > 1, !place[1].isEmpty {
            guard !isCluster, let number = Int(place[1]), (0...65_535).contains(number) else {
                throw .invalidOption("the remote's path is not the number of a database; a cluster has only one")
            }
            database = number
        }
        try text.check(Self.settings)
        for (name, value) in text.settings { try read(name, value) }
        guard isTLS || (ca == nil && certificate == nil && key == nil && serverName == nil) else {
            throw .invalidOption("certificates are of use with TLS only; name the remote rediss://")
        }
        guard (certificate == nil) == (key == nil) else {
            throw .invalidOption("the remote needs cert and key together")
        }
    }

    private mutating func readServers(_ text: Substring) throws(StoreError) {
        var servers = text
        if let at = text.lastIndex(of: "@") {
            let user = text[..<at]
            guard !user.contains(":") else {
                throw .invalidOption(URLText.password)
            }
            self.user = try URLText.decoded(user)
            servers = text[text.index(after: at)...]
        }
        for server in servers.split(separator: ",", omittingEmptySubsequences: false) {
            guard let address = Self.address(server) else {
                throw .invalidOption("the remote has a server that is not host:port")
            }
            hosts.append(address)
        }
    }

    private static func address(_ text: Substring) -> NodeAddress? {
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            // Between address and zone, RFC 6874 has %25.
            guard let host = try? URLText.decoded(text[text.index(after: text.startIndex)..<end]) else { return nil }
            let rest = text[text.index(after: end)...]
            guard !host.isEmpty else { return nil }
            if rest.isEmpty { return NodeAddress(host: host, port: defaultPort) }
            guard rest.first == ":", let port = UInt16(rest.dropFirst()), port > 0 else { return nil }
            return NodeAddress(host: host, port: port)
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, let host = parts.first, !host.isEmpty,
            host.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) })
        else { return nil }
        guard parts.count == 2 else { return NodeAddress(host: String(host), port: defaultPort) }
        guard let port = UInt16(parts[1]), port > 0 else { return nil }
        return NodeAddress(host: String(host), port: port)
    }

    private mutating func read(_ name: String, _ value: String) throws(StoreError) {
        switch (name, value) {
        case ("ca", _): ca = value
        case ("cert", _): certificate = value
        case ("key", _): key = value
        case ("server_name", _): serverName = value
        case ("password_file", _): passwordFile = value
        case ("protocol", "2"): version = 2
        case ("protocol", "3"): version = 3
        case ("read", "primary"): readsReplicas = false
        case ("read", "any"): readsReplicas = true
        default: throw .invalidOption("the remote's '\(name)' has an unknown value")
        }
    }

    /// The password: of the file that the URL names, or of the environment; nil for none.
    ///
    /// - Throws: `.invalidOption` when the file cannot be read, or others than its owner may read it. The text has
    ///   nothing of its content.
    func password() throws(StoreError) -> [UInt8]? {
        guard let passwordFile else { return ProcessEnvironment.bytes("REDISCLI_AUTH") }
        var bytes: [UInt8]
        do throws(SecretFile.Unreadable) {
            bytes = try SecretFile.contents(ofFile: passwordFile)
        } catch {
            throw .invalidOption("the remote's password: \(error.text)")
        }
        while let last = bytes.last, last == 10 || last == 13 { bytes.removeLast() }
        guard !bytes.isEmpty else { throw .invalidOption("the password file \(passwordFile) is empty") }
        return bytes
    }

    /// The URL without what only its owner needs to know: scheme and servers.
    var shown: String {
        let scheme = (isTLS ? "rediss" : "redis") + (isCluster ? "+cluster" : "")
        return "\(scheme)://" + hosts.map(\.description).joined(separator: ",")
    }

    /// The client of these servers.
    ///
    /// - Throws: `.invalidOption`.
    func client() throws(StoreError) -> RedisClient {
        let tls = isTLS ? try TLSContext(ca: ca, certificate: certificate, key: key) : nil
        let settings = ConnectionSettings(
            tls: tls, serverName: serverName, user: user, password: try password(), database: database,
            version: version, isCluster: isCluster)
        return RedisClient(hosts, settings, readsReplicas: readsReplicas)
    }
}
