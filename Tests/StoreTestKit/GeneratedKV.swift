// KV that any process can recompute: the bytes of a token depend on the tokens up to it, as attention's do, and on
// nothing else.

public import PrefixStore
internal import TestKit

/// A model whose KV is generated from token ids. Every byte read anywhere can be checked without storing what was
/// expected.
public struct GeneratedModel: Sendable {
    /// The model as the store sees it.
    public let identity: ModelIdentity
    /// Shape of a page.
    public var layout: KVLayout { identity.layout }
    private let pages: GeneratedPages

    /// A model of small bf16-shaped pages, or of the layout given. Models of different names share nothing.
    public init(_ name: String = "generated", layout: KVLayout? = nil, salt: Salt? = nil) throws {
        let shape = try layout ?? KVLayout(layers: 3, kvHeads: 2, headDimension: 8, element: .bf16, pageSize: 16)
        let digest = Digest.sha256(Array(name.utf8))
        identity = try ModelIdentity(
            weights: digest, layout: shape, positions: "none", tokenizer: digest, engine: "generated", engineFormat: 1,
            salt: salt, labels: ["model": name])
        pages = GeneratedPages(
            shape, seed: identity.spaceRoot.bytes.reduce(0) { $0 << 7 ^ $0 >> 57 ^ UInt64($1) })
    }

    /// The bytes of page `page` of `tokens`, planes one after the other.
    public func pageBytes(_ tokens: [TokenID], page: Int) -> [UInt8] {
        let start = page * layout.pageSize
        return pages.bytes(tokens, start..<min(start + layout.pageSize, tokens.count))
    }
}

extension Space {
    /// Inserts the generated pages of `tokens` behind `place`.
    ///
    /// - Returns: how many of them were new.
    @discardableResult
    public func insertGenerated(
        _ tokens: [TokenID], by model: GeneratedModel, after place: SequencePlace? = nil
    ) throws -> Int {
        let count = (tokens.count + layout.pageSize - 1) / layout.pageSize
        let first = (place?.tokens ?? 0) / layout.pageSize
        let memory = GeneratedMemory((first..<count).map { model.pageBytes(tokens, page: $0) })
        defer { memory.free() }
        return try insert(tokens, after: place) { page in
            memory.source(page - first, bytesPerToken: layout.bytesPerToken)
        }.newPages
    }

    /// Matches and loads `tokens`, and compares every byte with what the model generates.
    ///
    /// - Returns: what was loaded, and how many bytes of it were wrong.
    public func loadGenerated(
        _ tokens: [TokenID], by model: GeneratedModel, within limit: Duration? = nil,
        onLayersReady: (@Sendable (Int) -> Void)? = nil
    ) throws -> (loaded: Loaded, wrongBytes: Int) {
        let match = try match(tokens)
        let size = layout.bytesPerPage
        let memory = GeneratedMemory((0..<match.pageCount).map { _ in [UInt8](repeating: 0xA5, count: size) })
        defer { memory.free() }
        let targets = (0..<match.pageCount).map { memory.target($0, capacity: layout.pageSize) }
        let loaded = try match.load(into: targets, within: limit, onLayersReady: onLayersReady)
        var wrong = 0
        for page in 0..<match.pageCount where page * layout.pageSize < loaded.tokens {
            let count = min(layout.pageSize, loaded.tokens - page * layout.pageSize)
            let expected = model.pageBytes(Array(tokens[..<(page * layout.pageSize + count)]), page: page)
            wrong += memory.differences(page, from: expected, tokens: count, layout)
        }
        return (loaded, wrong)
    }
}

/// Pages in memory of their own, at fixed addresses.
@safe
public final class GeneratedMemory {
    private let pages: [UnsafeMutableRawBufferPointer]

    /// Pages with these bytes.
    public init(_ bytes: [[UInt8]]) {
        unsafe pages = bytes.map { page in
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: max(page.count, 1), alignment: 64)
            unsafe buffer.copyBytes(from: page)
            return unsafe buffer
        }
    }

    /// Frees them; they must not be touched afterwards.
    public func free() { for index in unsafe pages.indices { unsafe pages[index].deallocate() } }

    /// Page `page`, to read: as many tokens as its bytes are.
    public func source(_ page: Int, bytesPerToken: Int) -> PageSource {
        let buffer = unsafe pages[page]
        guard let base = buffer.baseAddress else { preconditionFailure("an allocated page has an address") }
        return unsafe PageSource(base, capacity: buffer.count / bytesPerToken)
    }

    /// Page `page`, to write.
    public func target(_ page: Int, capacity: Int) -> PageTarget {
        guard let base = unsafe pages[page].baseAddress else { preconditionFailure("an allocated page has an address") }
        return unsafe PageTarget(base, capacity: capacity)
    }

    /// The bytes of page `page`, or of a block that lies in its place.
    @unsafe
    public func bytes(_ page: Int) -> UnsafeMutableRawBufferPointer { unsafe pages[page] }

    /// Bytes in which the first `tokens` tokens of a page with room for a whole one differ from a packed page.
    public func differences(_ page: Int, from expected: [UInt8], tokens: Int, _ layout: KVLayout) -> Int {
        var wrong = 0
        for plane in 0..<layout.planeCount {
            let before = layout.bytesPerToken(beforePlane: plane)
            for offset in 0..<tokens * layout.bytesPerToken(inPlane: plane)
            where unsafe pages[page][before * layout.pageSize + offset] != expected[before * tokens + offset] {
                wrong += 1
            }
        }
        return wrong
    }
}
