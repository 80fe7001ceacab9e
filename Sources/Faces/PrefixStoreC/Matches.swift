// pfx_match_prefix, pfx_match_get_info, pfx_load, pfx_match_end.

public import CPrefixStore
internal import PrefixStore

/// A match behind a handle.
final class OpenMatch: @unchecked Sendable {
    // Unchecked because `Match` does not say that it is Sendable. It never changes; its lease may be read by several
    // threads at once.
    let match: Match
    /// What `pfx_load_begin` began.
    let loads = LoadQueue()

    init(_ match: consuming Match) { self.match = match }
}

/// See prefixstore.h.
@c @implementation
public func pfx_match_prefix(
    _ space: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ count: Int,
    _ match: UnsafeMutablePointer<OpaquePointer?>!
) -> Int64 {
    unsafe matchPrefix(space, tokens, count, within: nil, match)
}

/// See prefixstore.h.
@c @implementation
public func pfx_match_prefix_within(
    _ space: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ count: Int, _ timeout_ms: UInt64,
    _ match: UnsafeMutablePointer<OpaquePointer?>!
) -> Int64 {
    unsafe matchPrefix(space, tokens, count, within: .milliseconds(Int64(clamping: timeout_ms)), match)
}

private func matchPrefix(
    _ space: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ count: Int, within limit: Duration?,
    _ match: UnsafeMutablePointer<OpaquePointer?>!
) -> Int64 {
    answer {
        let result = try unsafe place(match, "match")
        let (space, store) = try unsafe space.found(Space.self)
        let found = try unsafe OpenMatch(space.match(PrefixStoreC.tokens(tokens, count), within: limit))
        let tokenCount = found.match.tokenCount
        if tokenCount > 0 { try unsafe result.give(found, of: store) }
        return Int64(tokenCount)
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_match_get_info(_ match: OpaquePointer!, _ info: UnsafeMutablePointer<pfx_match_info>!) -> Int32 {
    answer {
        let open = try unsafe match.object(OpenMatch.self)
        var found = try unsafe sized(UnsafePointer(info), "pfx_match_info")
        let tokens = open.match.tokensByTier
        found.tokens = UInt64(tokens.total)
        found.hot_tokens = UInt64(tokens.hot)
        found.cold_tokens = UInt64(tokens.cold)
        found.remote_tokens = UInt64(tokens.remote)
        found.load_ns = UInt64(clamping: open.match.estimatedLoadTime.wholeNanoseconds)
        found.worth_tokens = UInt64(open.match.tokensWorthLoading)
        unsafe info.pointee = found
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_load(_ match: OpaquePointer!, _ from: Int, _ to: Int, _ rows: UnsafePointer<pfx_rows>!) -> Int64 {
    unsafe load(match, from, to, within: nil, rows)
}

/// See prefixstore.h.
@c @implementation
public func pfx_load_within(
    _ match: OpaquePointer!, _ from: Int, _ to: Int, _ timeout_ms: UInt64, _ rows: UnsafePointer<pfx_rows>!
) -> Int64 {
    unsafe load(match, from, to, within: .milliseconds(Int64(clamping: timeout_ms)), rows)
}

private func load(
    _ match: OpaquePointer!, _ from: Int, _ to: Int, within limit: Duration?, _ rows: UnsafePointer<pfx_rows>!
) -> Int64 {
    answer {
        let open = try unsafe match.object(OpenMatch.self)
        let tokens = try range(from, to)
        return try unsafe withRows(rows) { rows in
            Int64(try open.match.load(tokens, into: rows, within: limit).tokens)
        }
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_match_end(_ match: OpaquePointer!) -> Int32 {
    answer { try unsafe match.giveBack(OpenMatch.self)?.loads.close() }
}
