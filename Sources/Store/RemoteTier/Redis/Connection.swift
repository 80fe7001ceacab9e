// A conversation with one server: commands go out in order, and replies come back in the same order.

internal import Glibc
internal import KVFormat
internal import Records
internal import Threads

/// How connections to a server are made. Thread-safe.
struct ConnectionSettings: Sendable {
    let tls: TLSContext?
    /// The name in the certificate, if it is not that of the host.
    let serverName: String?
    let user: String?
    let password: [UInt8]?
    let database: Int
    /// The newest version of the protocol that is tried: 2 or 3.
    let version: Int
    let isCluster: Bool
}

/// One connection that is ready for commands. Used by one thread at a time.
final class Connection {
    let address: NodeAddress
    private let socket: Socket
    private var reader: RespReader
    private var pending: [OutPiece] = []
    /// Where the first of the pending pieces goes on.
    private var sent = 0
    private(set) var version = 2
    /// Commands whose replies have not come.
    private(set) var unanswered = 0
    /// Whether a reply has come since it was lent last.
    var hasAnswered = false

    /// Connects, says who it is, and waits until the server answers: only then it counts as there.
    init(_ address: NodeAddress, _ settings: ConnectionSettings, before deadline: Deadline) throws(RemoteFault) {
        self.address = address
        var fault = RemoteFault.unreachable("no address")
        var opened: Socket?
        for candidate in try address.resolve() where opened == nil {
            do throws(RemoteFault) { opened = try Socket(candidate, before: deadline) } catch { fault = error }
        }
        guard let opened else { throw fault }
        if let tls = settings.tls {
            try opened.startTLS(tls, name: settings.serverName ?? address.host, before: deadline)
        }
        socket = opened
        reader = RespReader(largest: Self.shortString)
        try greet(settings, before: deadline)
    }

    private func greet(_ settings: ConnectionSettings, before deadline: Deadline) throws(RemoteFault) {
        if settings.version == 3 {
            var hello = ["HELLO", "3"].map { Array($0.utf8) }
            if let password = settings.password {
                hello += [Array("AUTH".utf8), Array((settings.user ?? "default").utf8), password]
            }
            let reply = try ask(RedisCommand(hello), before: deadline)
            switch reply {
            case .list: version = 3
            // Servers before Redis 6 do not know the command; others say that they do not know the version.
            case .error where reply.errorCode == "ERR" || reply.errorCode == "NOPROTO": break
            default: throw .refused(Self.code(reply))
            }
        }
        if version == 2, let password = settings.password {
            let words = [Array("AUTH".utf8)] + (settings.user.map { [Array($0.utf8)] } ?? []) + [password]
            try require(RedisCommand(words), before: deadline)
        }
        if settings.database != 0 { try require(RedisCommand("SELECT", "\(settings.database)"), before: deadline) }
        // Without it a replica sends every question to its primary. A primary takes it for a courtesy.
        if settings.isCluster { try require(RedisCommand("READONLY"), before: deadline) }
        let reply = try ask(RedisCommand("PING"), before: deadline)
        if case .error = reply { throw .refused(Self.code(reply)) }
    }

    private func require(_ command: RedisCommand, before deadline: Deadline) throws(RemoteFault) {
        let reply = try ask(command, before: deadline)
        guard reply.isOK else { throw .refused(Self.code(reply)) }
    }

    /// The first word of a refusal, if it is one: the rest could repeat what was sent.
    private static func code(_ reply: RespValue) -> String {
        guard let code = reply.errorCode, code.count <= 16, code.allSatisfy({ $0.isASCII && $0.isUppercase }) else {
            return "an unexpected answer"
        }
        return String(code)
    }

    /// Sends one command and waits for its reply.
    func ask(_ command: RedisCommand, before deadline: Deadline) throws(RemoteFault) -> RespValue {
        enqueue(command)
        var answer: RespValue?
        while true {
            try send()
            try receive { answer = $0 }
            if let answer { return answer }
            guard socket.wait(for: wantedEvents, before: deadline) else { throw .late }
        }
    }

    /// Limit on the strings of greetings and of what is asked without a size.
    private static let shortString = 1 << 20

    /// Takes strings of up to so many bytes, and short ones in any case. A server that announces more ends the
    /// conversation.
    func expect(strings bytes: Int) { reader.largest = max(bytes, Self.shortString) }

    // MARK: Steps, none of which waits

    var descriptor: Int32 { socket.descriptor }

    /// What to poll for.
    var wantedEvents: Int16 { Int16(POLLIN) | (hasOutput ? Int16(POLLOUT) : 0) }

    private var hasOutput: Bool { !pending.isEmpty || socket.hasPending }

    /// Whether nothing is under way.
    var isQuiet: Bool { unanswered == 0 && !hasOutput && reader.isIdle }

    /// Whether the server has ended the connection, or speaks out of turn, while nobody was asking.
    var isStale: Bool {
        var entry = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, 0) != 0
    }

    /// Queues a command.
    func enqueue(_ command: RedisCommand) {
        for piece in command.pieces { append(piece) }
        unanswered += 1
    }

    /// Short pieces are joined, so that a batch of questions is one call of the system.
    private func append(_ piece: OutPiece) {
        guard case .bytes(let new) = piece, case .bytes(var last)? = pending.last, last.count < Self.joinedBytes else {
            return pending.append(piece)
        }
        pending.removeLast()
        last += new
        pending.append(.bytes(last))
    }

    private static let joinedBytes = 64 << 10

    /// Sends what the system takes.
    ///
    /// - Returns: bytes that were sent.
    @discardableResult
    func send() throws(RemoteFault) -> Int {
        var total = 0
        _ = try socket.flush()
        while let piece = pending.first {
            let transfer: Transfer
            switch piece {
            case .bytes(let bytes):
                transfer = try unsafe bytes.span.bytes.withUnsafeBytes { (bytes) throws(RemoteFault) in
                    try unsafe socket.write(UnsafeRawBufferPointer(rebasing: bytes[sent...]))
                }
            case .record(let record):
                transfer = try unsafe record.bytes.withUnsafeBytes { (bytes) throws(RemoteFault) in
                    try unsafe socket.write(UnsafeRawBufferPointer(rebasing: bytes[sent...]))
                }
            }
            guard case .bytes(let count) = transfer else { break }
            total += count
            sent += count
            if sent == piece.byteCount {
                pending.removeFirst()
                sent = 0
            }
        }
        return total
    }

    /// Reads what has come, and passes every reply that is complete to `onReply`.
    ///
    /// - Returns: bytes that came.
    @discardableResult
    func receive(_ onReply: (RespValue) throws(RemoteFault) -> Void) throws(RemoteFault) -> Int {
        var total = 0
        while true {
            var transfer = Transfer.wait
            try unsafe reader.receive { (room) throws(RemoteFault) in
                transfer = try unsafe socket.read(room)
                guard case .bytes(let count) = transfer else { return 0 }
                total += count
                return count
            }
            do throws(RespFault) {
                while let reply = try reader.next() {
                    if case .push = reply { continue }
                    guard unanswered > 0 else { throw .malformed }
                    unanswered -= 1
                    hasAnswered = true
                    do throws(RemoteFault) { try onReply(reply) } catch { throw .malformed }
                }
            } catch {
                throw .nonsense
            }
            switch transfer {
            // One reply after the other is enough for one turn: other connections wait too.
            case .bytes: if unanswered == 0 || total > 4 << 20 { return total }
            case .wait: return total
            case .ended: throw .unreachable("it has ended the connection")
            }
        }
    }
}
