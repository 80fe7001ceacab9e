// pfx_blocks_open, pfx_blocks_close, pfx_blocks_leading, pfx_blocks_get, pfx_blocks_touch, pfx_blocks_remove.

public import CPrefixStore
internal import PrefixStore

/// See prefixstore.h.
@c @implementation
public func pfx_blocks_open(
    _ store: OpaquePointer!, _ identity: UnsafePointer<pfx_identity>!, _ element: UInt32,
    _ blocks: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
    answer {
        let result = try unsafe place(blocks, "blocks")
        let handle = try unsafe store.handle()
        let opened = try unsafe store.object(Store.self)
        let layout = KVLayout.blocks(element: try PrefixStoreC.element(element))
        try unsafe result.give(opened.blockSpace(PrefixStoreC.identity(identity, layout)), of: handle)
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_blocks_close(_ blocks: OpaquePointer!) -> Int32 {
    answer { _ = try unsafe blocks.giveBack(BlockSpace.self) }
}

/// See prefixstore.h.
@c @implementation
public func pfx_blocks_leading(_ blocks: OpaquePointer!, _ keys: UnsafePointer<pfx_key>!, _ count: Int) -> Int64 {
    answer { Int64(try unsafe blocks.object(BlockSpace.self).leadingCount(of: PrefixStoreC.keys(keys, count))) }
}

/// See prefixstore.h.
@c @implementation
public func pfx_blocks_get(
    _ blocks: OpaquePointer!, _ keys: UnsafePointer<pfx_key>!, _ spans: UnsafePointer<pfx_span>!,
    _ spans_per_key: Int, _ count: Int, _ results: UnsafeMutablePointer<UInt8>!
) -> Int64 {
    answer {
        let blocks = try unsafe blocks.object(BlockSpace.self)
        let memory = try unsafe PrefixStoreC.spans(spans, spans_per_key, count)
        let keys = try unsafe PrefixStoreC.keys(keys, count)
        guard unsafe results != nil || count == 0 else { throw Refusal.argument("results is NULL") }
        let loaded = try blocks.load(keys, into: unsafe memory.map { unsafe BlockTarget(parts: $0) })
        for (index, isLoaded) in loaded.enumerated() { unsafe results[index] = isLoaded ? 1 : 0 }
        return Int64(loaded.count { $0 })
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_blocks_touch(_ blocks: OpaquePointer!, _ keys: UnsafePointer<pfx_key>!, _ count: Int) -> Int32 {
    answer { try unsafe blocks.object(BlockSpace.self).touch(PrefixStoreC.keys(keys, count)) }
}

/// See prefixstore.h.
@c @implementation
public func pfx_blocks_remove(_ blocks: OpaquePointer!, _ keys: UnsafePointer<pfx_key>!, _ count: Int) -> Int64 {
    answer { Int64(try unsafe blocks.object(BlockSpace.self).remove(PrefixStoreC.keys(keys, count))) }
}

/// Keys that one call takes, and spans: far more than a request has, and few enough that no count overflows.
let keyLimit = 1 << 20, spanLimit = 1 << 22

/// Copies of the keys that a C program gives.
func keys(_ pointer: UnsafePointer<pfx_key>?, _ count: Int) throws -> [[UInt8]] {
    guard (0...keyLimit).contains(count) else { throw Refusal.argument("\(count) keys; \(keyLimit) are possible") }
    guard count > 0 else { return [] }
    guard let pointer = unsafe pointer else { throw Refusal.argument("the list of keys is NULL") }
    return try (0..<count).map { index in
        let key = unsafe pointer[index]
        let size = unsafe key.byte_count
        guard Limits.blockKey.contains(size) else {
            throw StoreError.invalidBlock("key \(index) has \(size) bytes; \(Limits.blockKey) are possible")
        }
        guard let bytes = unsafe key.bytes else { throw Refusal.argument("key \(index) is NULL") }
        return unsafe Array(UnsafeRawBufferPointer(start: bytes, count: size))
    }
}

/// The memory of the blocks that a C program gives, a list of pieces for each of `count` keys.
func spans(
    _ pointer: UnsafePointer<pfx_span>?, _ perKey: Int, _ count: Int
) throws -> [[UnsafeMutableRawBufferPointer]] {
    guard (1...spanLimit).contains(perKey), (0...keyLimit).contains(count), perKey * count <= spanLimit else {
        throw Refusal.argument("\(perKey) spans per key for \(count) keys; \(spanLimit) in all are possible")
    }
    guard count > 0 else { return unsafe [] }
    guard let pointer = unsafe pointer else { throw Refusal.argument("the list of spans is NULL") }
    var blocks: [[UnsafeMutableRawBufferPointer]] = unsafe []
    for key in 0..<count {
        var rest = Limits.blockBytes
        var pieces: [UnsafeMutableRawBufferPointer] = unsafe []
        for index in 0..<perKey {
            let span = unsafe pointer[key * perKey + index]
            let size = unsafe span.byte_count
            guard size >= 0, size <= rest else {
                throw StoreError.invalidBlock("the spans of key \(key) pass \(Limits.blockBytes) bytes")
            }
            guard unsafe span.bytes != nil || size == 0 else {
                throw Refusal.argument("a span of key \(key) is NULL")
            }
            rest -= size
            unsafe pieces.append(UnsafeMutableRawBufferPointer(start: span.bytes, count: size))
        }
        unsafe blocks.append(pieces)
    }
    return unsafe blocks
}
