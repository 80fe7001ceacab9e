// A TCP connection that never blocks: its owner polls, and gives up when it likes.

internal import CTLS
internal import Glibc
internal import Threads

/// What a read or write came to.
enum Transfer: Equatable {
    /// So many bytes.
    case bytes(Int)
    /// Nothing now: poll first.
    case wait
    /// The other side has ended the connection.
    case ended
}

/// One connection to a server, plain or with TLS. Used by one thread at a time.
@safe
final class Socket {
    let descriptor: Int32
    private var tls: TLSSession?
    /// Whether bytes of the network may lie in memory, encrypted or not: the system no longer says that they are there.
    private(set) var holdsInput = false

    /// Begins to connect to an address, and waits for the connection until the deadline.
    init(_ address: ResolvedAddress, before deadline: Deadline) throws(RemoteFault) {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        descriptor = StandardDescriptors.taken { socket(address.family, type, 0) }
        guard descriptor >= 0 else { throw .system("socket") }
        var one: Int32 = 1
        unsafe setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        let status = unsafe address.bytes.withUnsafeBytes { bytes in
            unsafe bytes.baseAddress.map {
                unsafe connect(descriptor, $0.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
            } ?? -1
        }
        if status == 0 { return }
        guard errno == EINPROGRESS else { throw .system("connect") }
        guard wait(for: Int16(POLLOUT), before: deadline) else { throw .late }
        var failure: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size)
        guard failure == 0 else {
            errno = failure
            throw .system("connect")
        }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Waits until the system says that one of these events has come; false when the deadline has passed first.
    func wait(for events: Int16, before deadline: Deadline) -> Bool {
        while true {
            var entry = pollfd(fd: descriptor, events: events, revents: 0)
            let count = unsafe poll(&entry, 1, deadline.pollMilliseconds)
            if count > 0 { return true }
            if count == 0 || errno != EINTR { return false }
        }
    }

    /// Goes over to TLS: the server must prove that it has this name.
    func startTLS(_ context: TLSContext, name: String, before deadline: Deadline) throws(RemoteFault) {
        guard let session = TLSSession(context, name: name) else { throw .unreachable("no memory for TLS") }
        while true {
            let step = session.handshake()
            try drain(session, before: deadline)
            if step == 1 { break }
            guard Int(step) == Int(CTLS_WANTS_INPUT) else {
                throw session.isUntrusted ? .untrusted : .unreachable("TLS was refused")
            }
            guard !deadline.hasPassed, wait(for: Int16(POLLIN), before: deadline) else { throw .late }
            guard try fill(session) != .ended else {
                throw session.isUntrusted ? .untrusted : .unreachable("TLS was refused")
            }
        }
        tls = session
    }

    /// Sends what TLS has to say before anything else is done.
    private func drain(_ session: TLSSession, before deadline: Deadline) throws(RemoteFault) {
        while !(try flush(session)) {
            guard wait(for: Int16(POLLOUT), before: deadline) else { throw .late }
        }
    }

    /// Sends encrypted bytes that wait; false when the system takes no more now.
    private func flush(_ session: TLSSession) throws(RemoteFault) -> Bool {
        while true {
            guard let bytes = session.pending else { return true }
            let sent = try unsafe bytes.span.bytes.withUnsafeBytes { (bytes) throws(RemoteFault) in
                try unsafe send(bytes)
            }
            guard case .bytes(let count) = sent else { return false }
            session.dropPending(count)
        }
    }

    /// Takes encrypted bytes from the network.
    private func fill(_ session: TLSSession) throws(RemoteFault) -> Transfer {
        var room = InlineArray<16_384, UInt8>(repeating: 0)
        var span = room.mutableSpan
        return try unsafe span.withUnsafeMutableBytes { (room) throws(RemoteFault) in
            let got = try unsafe receive(room)
            if case .bytes(let count) = got {
                unsafe session.take(UnsafeRawBufferPointer(rebasing: room[..<count]))
            }
            return got
        }
    }

    /// Reads bytes into `room`.
    func read(_ room: UnsafeMutableRawBufferPointer) throws(RemoteFault) -> Transfer {
        guard let tls else { return try unsafe receive(room) }
        if let transfer = try unsafe decrypt(room, tls) { return transfer }
        // A key that is renewed makes TLS speak while it reads.
        _ = try flush(tls)
        // Once: of a server that sends nothing but what TLS keeps for itself there is always more.
        let got = try fill(tls)
        guard case .bytes = got else { return got }
        return try unsafe decrypt(room, tls) ?? .wait
    }

    /// Decrypts what has come; nil when that is not enough.
    private func decrypt(_ room: UnsafeMutableRawBufferPointer, _ tls: TLSSession) throws(RemoteFault) -> Transfer? {
        let count = unsafe tls.read(room)
        holdsInput = count > 0
        if count > 0 { return .bytes(count) }
        switch count {
        case Int(CTLS_WANTS_INPUT): return nil
        case Int(CTLS_ENDED): return .ended
        default: throw .unreachable("TLS failed")
        }
    }

    /// Writes as many of the bytes as the system takes now.
    func write(_ bytes: UnsafeRawBufferPointer) throws(RemoteFault) -> Transfer {
        guard let tls else { return try unsafe send(bytes) }
        guard try flush(tls) else { return .wait }
        let count = unsafe tls.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(64 << 10)))
        guard count > 0 else {
            guard count == Int(CTLS_WANTS_INPUT) else { throw .unreachable("TLS failed") }
            return .wait
        }
        _ = try flush(tls)
        return .bytes(count)
    }

    /// Whether bytes that were written still wait in memory.
    var hasPending: Bool { tls?.pending != nil }

    /// Sends what waits; false when the system takes no more now.
    func flush() throws(RemoteFault) -> Bool { try tls.map { (tls) throws(RemoteFault) in try flush(tls) } ?? true }

    private func receive(_ room: UnsafeMutableRawBufferPointer) throws(RemoteFault) -> Transfer {
        while true {
            let count = unsafe recv(descriptor, room.baseAddress, room.count, 0)
            if count > 0 { return .bytes(count) }
            if count == 0 { return .ended }
            if errno == EAGAIN { return .wait }
            guard errno == EINTR else { throw .system("recv") }
        }
    }

    private func send(_ bytes: UnsafeRawBufferPointer) throws(RemoteFault) -> Transfer {
        while true {
            // Without a signal: the process belongs to an engine.
            let count = unsafe Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count >= 0 { return .bytes(count) }
            if errno == EAGAIN { return .wait }
            guard errno == EINTR else { throw .system("send") }
        }
    }
}

extension Deadline {
    /// Milliseconds from now, as `poll` takes them, rounded up; 0 when it has passed.
    var pollMilliseconds: Int32 {
        let now = SystemClock.monotonicNanoseconds()
        guard nanoseconds > now else { return 0 }
        return Int32(clamping: (nanoseconds - now + 999_999) / 1_000_000)
    }
}
