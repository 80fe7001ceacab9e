// What callers give: structs that begin with their size, texts, lists. Nothing is read before its size was checked.

internal import CPrefixStore
internal import Glibc
internal import PrefixStore

/// Structs larger than this come from no header of ours: their size was never set.
private let largestStruct = 4096

/// A copy of a caller's struct, whatever version of the header that was compiled with. What its version lacks is zero.
///
/// - Parameter least: the bytes of the struct in the first release.
func sized<Value>(
    _ pointer: UnsafePointer<Value>?, _ name: String, least: Int = MemoryLayout<Value>.size
) throws -> Value {
    guard let pointer = unsafe pointer else { throw Refusal.argument("\(name) is NULL") }
    let bytes = unsafe UnsafeRawPointer(pointer)
    let size = unsafe bytes.loadUnaligned(as: UInt.self)
    return try unsafe copied(bytes, size: size, name, least: least)
}

/// A copy of the struct of `size` bytes at `bytes`.
private func copied<Value>(_ bytes: UnsafeRawPointer, size: UInt, _ name: String, least: Int) throws -> Value {
    guard size >= least, size <= largestStruct else {
        throw Refusal.argument("the size of \(name) is given as \(size): set it to sizeof(\(name))")
    }
    let known = MemoryLayout<Value>.size
    // A field that this version does not know must not have been set.
    for offset in min(known, Int(size))..<Int(size) where unsafe bytes.load(fromByteOffset: offset, as: UInt8.self) != 0
    {
        throw Refusal.argument("\(name) has a field that this version of the library does not know")
    }
    return unsafe withUnsafeTemporaryAllocation(byteCount: known, alignment: 16) { room in
        unsafe room.initializeMemory(as: UInt8.self, repeating: 0)
        unsafe room.copyMemory(from: UnsafeRawBufferPointer(start: bytes, count: min(known, Int(size))))
        // A C struct of numbers and addresses: any bytes are a value of it.
        return unsafe room.load(as: Value.self)
    }
}

/// Copies of `count` structs that lie `size` bytes apart.
func structs<Value>(
    _ pointer: UnsafePointer<Value>?, _ count: Int, size: Int, _ name: String
) throws -> [Value] {
    guard let pointer = unsafe pointer else { throw Refusal.argument("the list of \(name) is NULL") }
    guard size > 0 else { throw Refusal.argument("the size of \(name) is given as \(size): set it to sizeof(\(name))") }
    return try (0..<count).map { index in
        try unsafe copied(
            UnsafeRawPointer(pointer) + index * size, size: UInt(size), name, least: MemoryLayout<Value>.size)
    }
}

/// A text in UTF-8.
func text(_ pointer: UnsafePointer<CChar>?, _ name: String) throws -> String {
    guard let pointer = unsafe pointer else { throw Refusal.argument("\(name) is NULL") }
    // Repairing it would give two texts one meaning.
    guard let text = unsafe String(validatingCString: pointer) else { throw Refusal.argument("\(name) is not UTF-8") }
    return text
}

/// Token ids.
func tokens(_ pointer: UnsafePointer<Int32>?, _ count: Int) throws -> [TokenID] {
    guard count >= 0, count <= Limits.tokens else { throw StoreError.invalidTokens(count: count < 0 ? .max : count) }
    guard count > 0 else { return [] }
    guard let pointer = unsafe pointer else { throw Refusal.argument("the list of tokens is NULL") }
    let ids = unsafe UnsafeBufferPointer(start: pointer, count: count)
    if let place = unsafe ids.firstIndex(where: { $0 < 0 }) {
        throw Refusal(
            code: PFX_INVALID_TOKENS,
            text: "Token \(place) has the id \(unsafe ids[place]). Ids are 0 or more: store prefixes of text only.")
    }
    return unsafe ids.map { TokenID($0) }
}

/// A digest; nil when all of it is zero.
func digest<Bytes>(_ bytes: Bytes) -> Digest? {
    let bytes = unsafe withUnsafeBytes(of: bytes) { unsafe Array($0) }
    return bytes.allSatisfy { $0 == 0 } ? nil : Digest(bytes: bytes)
}

/// Writes a text where the caller has room for `capacity` bytes, as snprintf does.
///
/// - Returns: the bytes of the whole text, without the NUL behind it.
func write(_ text: String, _ buffer: UnsafeMutablePointer<CChar>?, _ capacity: Int) throws -> Int64 {
    guard capacity >= 0, unsafe buffer != nil || capacity == 0 else {
        throw Refusal.argument("there is no buffer of \(capacity) bytes")
    }
    let bytes = Array(text.utf8)
    if let buffer = unsafe buffer, capacity > 0 {
        let held = min(bytes.count, capacity - 1)
        for index in 0..<held { unsafe buffer[index] = CChar(bitPattern: bytes[index]) }
        unsafe buffer[held] = 0
    }
    return Int64(bytes.count)
}

/// The memory of rows for `body`.
func withRows<R>(_ pointer: UnsafePointer<pfx_rows>?, _ body: (RowMemory) throws -> R) throws -> R {
    let rows = try unsafe sized(pointer, "pfx_rows")
    let (planeCount, capacity, indexCount) = unsafe (rows.plane_count, rows.capacity, rows.index_count)
    let first = unsafe rows.first
    guard Limits.planes.contains(planeCount), let planes = unsafe rows.planes else {
        throw Refusal.argument("pfx_rows has no list of planes, or one of \(planeCount)")
    }
    guard capacity >= 0, indexCount >= 0, first >= 0 else {
        throw Refusal.argument("pfx_rows has a count of 2^63 or more")
    }
    guard unsafe rows.index != nil || indexCount == 0 else {
        throw Refusal.argument("pfx_rows has an index_count of \(indexCount) and no index")
    }
    let addresses = unsafe UnsafeBufferPointer(start: planes, count: planeCount)
    let strides = unsafe rows.strides.map { unsafe Array(UnsafeBufferPointer(start: $0, count: planeCount)) }
    guard let index = unsafe rows.index else {
        return try body(unsafe RowMemory(planes: addresses, strides: strides, capacity: capacity, first: first))
    }
    return try body(
        unsafe RowMemory(
            planes: addresses, strides: strides, capacity: capacity,
            index: UnsafeBufferPointer(start: index, count: indexCount)))
}

/// Tokens `from` to `to` of a match.
func range(_ from: Int, _ to: Int) throws -> Range<Int> {
    guard from >= 0, to >= from else { throw Refusal.argument("tokens from \(from) to \(to)") }
    return from..<to
}
