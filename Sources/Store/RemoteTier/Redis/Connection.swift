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

    /// The user and the password to log in with; nil when neither was given. A user without a password has an empty
    /// one: the server decides whether it needs another.
    fileprivate var login: (user: [UInt8]?, password: [UInt8])? {
        user == nil && password == nil ? nil : (user.map { Array($0.utf8) }, password ?? [])
    }
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
    /// Things that the server has said without having been asked since its last reply.
    private var pushes = 0
    /// Whether a reply has come since it was lent last.
    private(set) var hasAnswered = false
    /// What it was lent for last.
    var loan = Loan(kind: .question, isTrial: false) { didSet { hasAnswered = false } }

    /// What a caller has a connection for.
    struct Loan {
        let kind: CircuitBreaker.Kind
        /// Whether it finds out if the server is well again.
        let isTrial: Bool
    }

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
            if let (user, password) = settings.login {
                hello += [Array("AUTH".utf8), user ?? Array("default".utf8), password]
            }
            let reply = try ask(RedisCommand(hello), before: deadline)
            switch reply {
            case .list: version = 3
            // A server that has too many connections says so with the same code.
            case .error where reply.refusal == .refused("ERR" + RemoteFault.noConnection): throw reply.refusal
            // Servers before Redis 6 do not know the command; others say that they do not know the version.
            case .error where reply.errorCode == "ERR" || reply.errorCode == "NOPROTO": break
            default: throw reply.refusal
            }
        }
        if version == 2, let (user, password) = settings.login {
            try require(RedisCommand([Array("AUTH".utf8)] + (user.map { [$0] } ?? []) + [password]), before: deadline)
        }
        if settings.database != 0 {
            try require(RedisCommand("SELECT", "\(settings.database)"), named: "SELECT", before: deadline)
        }
        // Without it a replica sends every question to its primary. A primary takes it for a courtesy.
        if settings.isCluster { try require(RedisCommand("READONLY"), named: "READONLY", before: deadline) }
        let reply = try ask(RedisCommand("PING"), before: deadline)
        if case .error = reply { throw refusal(reply, "PING") }
    }

    /// Who may not begin a connection may perhaps do all else: the right is named.
    private func refusal(_ reply: RespValue, _ name: String?) -> RemoteFault {
        guard let name, reply.errorCode == "NOPERM" else { return reply.refusal }
        return .refusedConnection(name)
    }

    private func require(
        _ command: RedisCommand, named name: String? = nil, before deadline: Deadline
    ) throws(RemoteFault) {
        let reply = try ask(command, before: deadline)
        guard reply.isOK else { throw refusal(reply, name) }
    }

    /// Sends one command and waits for its reply.
    func ask(_ command: RedisCommand, before deadline: Deadline) throws(RemoteFault) -> RespValue {
        expect([command])
        enqueue(command)
        var answer: RespValue?
        while true {
            do throws(RemoteFault) {
                try send()
                try receive { answer = $0 }
            } catch {
                // What a server has said before it ended the connection says why.
                if answer == nil { _ = try? receive { answer = $0 } }
                guard let answer else { throw error }
                return answer
            }
            if let answer { return answer }
            // A server that never stops talking is late all the same.
            guard !deadline.hasPassed, holdsInput || socket.wait(for: wantedEvents, before: deadline) else {
                throw .late
            }
        }
    }

    /// Limit on the strings of greetings and of what is asked without a size.
    private static let shortString = 1 << 20

    /// Pushes in a row that are skipped: this client asks for none.
    private static let pushLimit = 16

    /// Takes answers to these commands. A server that announces more ends the conversation.
    func expect(_ commands: some Sequence<RedisCommand>) {
        var (weight, isLong) = (0, false)
        for command in commands { (weight, isLong) = (max(weight, command.weight), isLong || command.hasLongAnswer) }
        // An encoded page is never much larger than the page; the header of its value is short.
        reader.largest = 2 * weight + Self.shortString
        reader.longest = isLong ? RespReader.longList : RespReader.shortList
    }

    // MARK: Steps, none of which waits

    var descriptor: Int32 { socket.descriptor }

    /// Whether bytes have come that the system knows nothing of any more: `receive` goes on without a poll.
    var holdsInput: Bool { socket.holdsInput }

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

    /// Reads once what has come, and passes every reply that is complete to `onReply`.
    ///
    /// - Returns: bytes that came.
    @discardableResult
    func receive(_ onReply: (RespValue) -> Void) throws(RemoteFault) -> Int {
        var transfer = Transfer.wait
        try unsafe reader.receive { (room) throws(RemoteFault) in
            transfer = try unsafe socket.read(room)
            guard case .bytes(let count) = transfer else { return 0 }
            return count
        }
        do throws(RespFault) {
            while let reply = try reader.next() {
                if case .push = reply {
                    pushes += 1
                    guard pushes <= Self.pushLimit else { throw .malformed }
                    continue
                }
                guard unanswered > 0 else { throw .malformed }
                unanswered -= 1
                pushes = 0
                hasAnswered = true
                onReply(reply)
            }
        } catch {
            throw .nonsense
        }
        switch transfer {
        case .bytes(let count): return count
        case .wait: return 0
        case .ended: throw .unreachable("it has ended the connection")
        }
    }
}
