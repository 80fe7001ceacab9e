// pfx_side_put, pfx_side_get, pfx_pin, pfx_unpin, pfx_expire.

internal import CPrefixStore
internal import PrefixStore

/// See prefixstore.h.
@c @implementation
public func pfx_side_put(
    _ space: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ count: Int, _ name: UnsafePointer<CChar>!,
    _ bytes: UnsafeRawPointer!, _ byte_count: Int
) -> Int32 {
    answer {
        let space = try unsafe space.object(Space.self)
        let name = try unsafe text(name, "name")
        guard (0...Limits.sideStateBytes).contains(byte_count) else {
            throw StoreError.invalidSideState("\(byte_count) bytes; \(Limits.sideStateBytes) are possible")
        }
        guard unsafe bytes != nil || byte_count == 0 else { throw Refusal.argument("bytes is NULL") }
        let blob = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: bytes, count: byte_count))
        try unsafe space.putSideState(name, blob, after: PrefixStoreC.tokens(tokens, count))
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_side_get(
    _ space: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ count: Int, _ name: UnsafePointer<CChar>!,
    _ bytes: UnsafeMutableRawPointer!, _ capacity: Int, _ byte_count: UnsafeMutablePointer<Int>!
) -> Int32 {
    let found: Int64 = answer {
        let space = try unsafe space.object(Space.self)
        let name = try unsafe text(name, "name")
        guard let size = unsafe byte_count else { throw Refusal.argument("byte_count is NULL") }
        guard capacity >= 0, unsafe bytes != nil || capacity == 0 else {
            throw Refusal.argument("there is no buffer of \(capacity) bytes")
        }
        unsafe size.pointee = 0
        guard let state = try unsafe space.sideState(name, after: PrefixStoreC.tokens(tokens, count)) else { return 0 }
        unsafe size.pointee = state.count
        if let bytes = unsafe bytes, state.count <= capacity {
            unsafe UnsafeMutableRawBufferPointer(start: bytes, count: capacity).copyBytes(from: state)
        }
        return 1
    }
    return Int32(found)
}

/// See prefixstore.h.
@c @implementation
public func pfx_pin(_ space: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ count: Int) -> Int32 {
    answer { try unsafe space.object(Space.self).pin(PrefixStoreC.tokens(tokens, count)) }
}

/// See prefixstore.h.
@c @implementation
public func pfx_unpin(_ space: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ count: Int) -> Int32 {
    answer { try unsafe space.object(Space.self).unpin(PrefixStoreC.tokens(tokens, count)) }
}

/// See prefixstore.h.
@c @implementation
public func pfx_expire(
    _ space: OpaquePointer!, _ tokens: UnsafePointer<Int32>!, _ count: Int, _ unix_ms: Int64
) -> Int32 {
    answer {
        let date = unix_ms == 0 ? nil : Timestamp(milliseconds: unix_ms)
        try unsafe space.object(Space.self).expire(PrefixStoreC.tokens(tokens, count), at: date)
    }
}
