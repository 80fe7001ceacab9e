// Where servers are.

internal import Glibc

/// A server, as a user or another server names it.
struct NodeAddress: Hashable, Sendable, CustomStringConvertible {
    /// A name or an address.
    let host: String
    /// Its port.
    let port: UInt16

    /// The address of a server.
    init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// As people write it.
    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    private static let hostBytes = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:%".utf8)

    /// Reads `host:port`, as redirections name servers; nil when it is none. The host may be empty.
    init?(_ text: Substring) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]),
            Self.isHost(text[..<colon])
        else { return nil }
        self.init(host: String(text[..<colon]), port: port)
    }

    /// Whether a server may call a host that: faults repeat it, and so it comes to terminals.
    static func isHost(_ name: some StringProtocol) -> Bool {
        name.utf8.count <= 255 && name.utf8.allSatisfy { hostBytes.contains($0) }
    }

    /// Asks the system for the addresses of the host. Nothing bounds how long that takes.
    func resolve() throws(RemoteFault) -> [ResolvedAddress] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        unsafe hints.ai_flags = Int32(AI_NUMERICSERV)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = unsafe getaddrinfo(host, "\(port)", &hints, &list)
        defer { unsafe freeaddrinfo(list) }
        guard status == 0 else { throw .unreachable(unsafe String(cString: gai_strerror(status))) }
        var found: [ResolvedAddress] = []
        var entry = unsafe list
        while let info = unsafe entry {
            if let address = unsafe info.pointee.ai_addr {
                let bytes = unsafe UnsafeRawBufferPointer(start: address, count: Int(info.pointee.ai_addrlen))
                unsafe found.append(ResolvedAddress(family: info.pointee.ai_family, bytes: Array(bytes)))
            }
            unsafe entry = info.pointee.ai_next
        }
        guard !found.isEmpty else { throw .unreachable("the name has no address") }
        return found
    }
}

/// An address as the system takes it.
struct ResolvedAddress: Sendable {
    /// IPv4 or IPv6.
    let family: Int32
    /// A `sockaddr` of that family.
    let bytes: [UInt8]
}
