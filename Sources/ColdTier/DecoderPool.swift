// Decoders that are not in use: each holds scratch memory that is dear to make.

internal import PageCodec
internal import Threads

/// Lends decoders, one a call at a time. Thread-safe.
final class DecoderPool: @unchecked Sendable {
    // Unchecked because the list is read and written under the mutex, and a decoder is out of the list while it is lent.
    private let mutex = Mutex()
    private var idle: [RecordDecoder] = []

    /// Makes `count` decoders now, so that the first load need not.
    func fill(_ count: Int) {
        let made = (0..<count).map { _ in RecordDecoder() }
        mutex.withLock { idle += made }
    }

    /// Lends a decoder for the length of the call.
    func withDecoder<R, E: Error>(_ body: (RecordDecoder) throws(E) -> R) throws(E) -> R {
        let decoder = mutex.withLock { idle.popLast() } ?? RecordDecoder()
        defer { mutex.withLock { idle.append(decoder) } }
        return try body(decoder)
    }
}
