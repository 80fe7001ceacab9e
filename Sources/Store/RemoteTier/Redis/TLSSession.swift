// TLS as Swift sees it: a context per tier, a session per connection.

internal import CTLS
internal import KVFormat

/// What all connections of a tier share. Thread-safe.
@safe
final class TLSContext: @unchecked Sendable {
    // Unchecked because libssl's contexts are made for sharing once they are set up.
    fileprivate let context: OpaquePointer

    /// Reads the certificates.
    ///
    /// - Throws: `.invalidOption`, with the file that cannot be read.
    init(ca: String?, certificate: String?, key: String?) throws(StoreError) {
        var status: Int32 = 0
        let made = unsafe ctls_context_make(ca, certificate, key, &status)
        guard let made = unsafe made else { throw .invalidOption(Self.words(status, ca, certificate, key)) }
        unsafe context = made
    }

    deinit { unsafe ctls_context_free(context) }

    private static func words(_ status: Int32, _ ca: String?, _ certificate: String?, _ key: String?) -> String {
        switch Int(status) {
        case Int(CTLS_NO_CA): "the remote's authorities cannot be read from \(ca ?? "the system's files")"
        case Int(CTLS_NO_CERTIFICATE): "the certificate \(certificate ?? "") for the remote cannot be read"
        case Int(CTLS_NO_KEY):
            "the key \(key ?? "") for the remote cannot be read, needs a pass phrase, or is another certificate's"
        default: "rediss:// needs libssl; install the package libssl3"
        }
    }
}

/// One connection's TLS. Used by one thread at a time.
@safe
final class TLSSession {
    private let session: OpaquePointer
    /// Encrypted bytes that the network has not taken yet; nil for none.
    private(set) var pending: ArraySlice<UInt8>?

    init?(_ context: TLSContext, name: String) {
        let made = unsafe ctls_session_make(context.context, name)
        guard let made = unsafe made else { return nil }
        unsafe session = made
    }

    deinit { unsafe ctls_session_free(session) }

    /// Whether the server's certificate was found wrong.
    var isUntrusted: Bool { unsafe ctls_is_untrusted(session) != 0 }

    /// 1 when the handshake is done, or what is missing.
    func handshake() -> Int32 {
        defer { collect() }
        return unsafe ctls_handshake(session)
    }

    /// Takes bytes that came from the network.
    func take(_ bytes: UnsafeRawBufferPointer) { unsafe _ = ctls_input(session, bytes.baseAddress, bytes.count) }

    /// How many bytes were decrypted into `room`, or what is missing.
    func read(_ room: UnsafeMutableRawBufferPointer) -> Int {
        defer { collect() }
        return unsafe ctls_read(session, room.baseAddress, room.count)
    }

    /// How many bytes were encrypted, or what is missing.
    func write(_ bytes: UnsafeRawBufferPointer) -> Int {
        defer { collect() }
        return unsafe ctls_write(session, bytes.baseAddress, bytes.count)
    }

    /// Notes that the network has taken bytes.
    func dropPending(_ count: Int) {
        pending = pending?.dropFirst(count)
        if pending?.isEmpty == true { pending = nil }
        if pending == nil { collect() }
    }

    /// Fetches what must go to the network, unless some of it waits already.
    private func collect() {
        let size = unsafe ctls_output_size(session)
        guard pending == nil, size > 0 else { return }
        var room = [UInt8](repeating: 0, count: min(size, 32 << 10))
        let count = unsafe room.withUnsafeMutableBytes { room in
            unsafe ctls_output(session, room.baseAddress, room.count)
        }
        if count > 0 { pending = room[..<count] }
    }
}
