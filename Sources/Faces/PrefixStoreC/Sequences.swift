// pfx_seq_begin, pfx_seq_append, pfx_seq_store_tail, pfx_seq_tokens, pfx_seq_end.

public import CPrefixStore
internal import PrefixStore
internal import Threads

/// A cursor behind a handle. Its calls wait for each other, the copying of rows among them: nobody else needs its lock.
final class OpenSequence: Sendable {
    private let cursor: Guarded<SequenceCursor>

    init(_ cursor: SequenceCursor) { self.cursor = Guarded(cursor) }

    func withCursor<R>(_ body: (SequenceCursor) throws -> R) throws -> R { try cursor.withLock { try body($0) } }
}

/// See prefixstore.h.
@c @implementation
public func pfx_seq_begin(
    _ space: OpaquePointer!, _ match: OpaquePointer!, _ loaded: Int, _ seq: UnsafeMutablePointer<OpaquePointer?>!
) -> Int64 {
    answer {
        let result = try unsafe place(seq, "seq")
        let (space, store) = try unsafe space.found(Space.self)
        let begin: SequencePlace
        if unsafe match == nil {
            guard loaded == 0 else { throw Refusal.argument("\(loaded) loaded tokens of no match") }
            begin = space.start
        } else {
            begin = try unsafe match.object(OpenMatch.self).match.place(behind: loaded)
        }
        try unsafe result.give(OpenSequence(space.cursor(after: begin)), of: store)
        return Int64(begin.tokens)
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_seq_append(
    _ seq: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ count: Int, _ rows: UnsafePointer<pfx_rows>!
) -> Int64 {
    answer {
        let sequence = try unsafe seq.object(OpenSequence.self)
        let tokens = try unsafe PrefixStoreC.tokens(tokens, count)
        return try unsafe withRows(rows) { rows in
            try sequence.withCursor { Int64(try $0.append(tokens, rows: rows)) }
        }
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_seq_store_tail(_ seq: OpaquePointer!) -> Int64 {
    answer { try unsafe seq.object(OpenSequence.self).withCursor { try $0.storeTail() ? 1 : 0 } }
}

/// See prefixstore.h.
@c @implementation
public func pfx_seq_tokens(_ seq: OpaquePointer!) -> Int64 {
    answer { try unsafe seq.object(OpenSequence.self).withCursor { Int64($0.tokenCount) } }
}

/// See prefixstore.h.
@c @implementation
public func pfx_seq_end(_ seq: OpaquePointer!) -> Int32 {
    answer { _ = try unsafe seq.giveBack(OpenSequence.self) }
}
