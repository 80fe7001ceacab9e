// The shape of a page's bytes.

/// How one number of a key or value vector is stored.
public enum KVElement: UInt8, Sendable, CaseIterable, LosslessStringConvertible {
    /// Bytes whose meaning the store does not know. Opaque pages move whole: they cannot be cut at a token.
    case opaque = 0
    /// bfloat16: 1 sign, 8 exponent and 7 mantissa bits.
    case bf16 = 1
    /// IEEE 754 binary16.
    case fp16 = 2
    /// IEEE 754 binary32.
    case fp32 = 3
    /// 8-bit integers, with scales kept by the engine.
    case int8 = 4
    /// 8-bit floating point, 4 exponent and 3 mantissa bits.
    case fp8e4m3 = 5

    /// Bytes of one element.
    public var byteCount: Int {
        switch self {
        case .opaque, .int8, .fp8e4m3: 1
        case .bf16, .fp16: 2
        case .fp32: 4
        }
    }

    /// The name shown to people, such as `bf16`.
    public var description: String {
        switch self {
        case .opaque: "opaque"
        case .bf16: "bf16"
        case .fp16: "fp16"
        case .fp32: "fp32"
        case .int8: "int8"
        case .fp8e4m3: "fp8e4m3"
        }
    }

    /// The element type that people are shown as `description`; nil when there is none.
    public init?(_ description: String) {
        guard let found = Self.allCases.first(where: { $0.description == description }) else { return nil }
        self = found
    }
}

/// Shape, order and element type of a page.
///
/// The bytes of a page of `n` tokens are `[layer][K, V][token][KV head][head dimension]`, row-major, little-endian. One
/// layer's keys, or its values, are a **plane**; plane `2 * layer` holds the keys and plane `2 * layer + 1` the values. When
/// `valueDimension` is 0 (a latent cache as in multi-head latent attention) a layer has one plane, its index is the layer's.
public struct KVLayout: Hashable, Sendable {
    /// Layers whose keys and values are cached.
    public let layers: Int
    /// KV heads of a layer.
    public let kvHeads: Int
    /// Elements of one key head.
    public let keyDimension: Int
    /// Elements of one value head; 0 when a layer caches a single plane.
    public let valueDimension: Int
    /// The element type.
    public let element: KVElement
    /// Tokens of a whole page.
    public let pageSize: Int

    /// A layout whose keys and values have the same head dimension.
    ///
    /// - Throws: `StoreError.invalidLayout` when a number lies outside `Limits`.
    public init(layers: Int, kvHeads: Int, headDimension: Int, element: KVElement, pageSize: Int = 64)
        throws(StoreError)
    {
        try self.init(
            layers: layers, kvHeads: kvHeads, keyDimension: headDimension, valueDimension: headDimension,
            element: element, pageSize: pageSize)
    }

    /// A layout in full. `valueDimension` 0 means one plane a layer.
    ///
    /// - Throws: `StoreError.invalidLayout` when a number lies outside `Limits`, or the element is opaque.
    public init(
        layers: Int, kvHeads: Int, keyDimension: Int, valueDimension: Int, element: KVElement, pageSize: Int
    ) throws(StoreError) {
        guard element != .opaque else {
            throw .invalidLayout("an opaque layout is made with `opaque(bytesPerPage:pageSize:)`")
        }
        try self.init(layers, kvHeads, keyDimension, valueDimension, element, pageSize)
    }

    /// A layout of pages that the store must not look into: only whole pages are stored and matched.
    ///
    /// - Parameter bytesPerPage: bytes of a page of `pageSize` tokens; a multiple of `pageSize`.
    /// - Throws: `StoreError.invalidLayout` when a number lies outside `Limits`.
    public static func opaque(bytesPerPage: Int, pageSize: Int) throws(StoreError) -> KVLayout {
        guard Limits.pageSize.contains(pageSize), bytesPerPage > 0, bytesPerPage % pageSize == 0 else {
            throw .invalidLayout("an opaque page's bytes must be a multiple of its tokens")
        }
        return try KVLayout(1, 1, bytesPerPage / pageSize, 0, .opaque, pageSize)
    }

    private init(
        _ layers: Int, _ kvHeads: Int, _ keyDimension: Int, _ valueDimension: Int, _ element: KVElement, _ pageSize: Int
    ) throws(StoreError) {
        guard Limits.layers.contains(layers) else { throw .invalidLayout("layers outside \(Limits.layers)") }
        guard Limits.kvHeads.contains(kvHeads) else { throw .invalidLayout("KV heads outside \(Limits.kvHeads)") }
        guard element == .opaque || Limits.headDimension.contains(keyDimension) else {
            throw .invalidLayout("head dimension outside \(Limits.headDimension)")
        }
        guard valueDimension == 0 || Limits.headDimension.contains(valueDimension) else {
            throw .invalidLayout("value dimension outside 0 and \(Limits.headDimension)")
        }
        guard Limits.pageSize.contains(pageSize) else { throw .invalidLayout("page size outside \(Limits.pageSize)") }
        self.layers = layers
        self.kvHeads = kvHeads
        self.keyDimension = keyDimension
        self.valueDimension = valueDimension
        self.element = element
        self.pageSize = pageSize
        // No overflow: the product of the bounds above is below 2^63.
        guard keyDimension <= Limits.pageBytes, bytesPerPage <= Limits.pageBytes else {
            throw .invalidLayout("a page of \(pageSize) tokens passes \(Limits.pageBytes) bytes")
        }
    }

    /// Whether a page can be cut at any token, and tails can be stored.
    public var isDivisible: Bool { element != .opaque }

    /// Planes of a layer: 2 (keys, values), or 1.
    public var planesPerLayer: Int { valueDimension == 0 ? 1 : 2 }

    /// Planes of a page.
    public var planeCount: Int { layers * planesPerLayer }

    /// Bytes of one token in plane `plane`.
    public func bytesPerToken(inPlane plane: Int) -> Int {
        let dimension = planesPerLayer == 2 && plane % 2 == 1 ? valueDimension : keyDimension
        return kvHeads * dimension * element.byteCount
    }

    /// Bytes of one token in all planes before `plane`. Times the tokens of a page, that plane's offset in the page.
    public func bytesPerToken(beforePlane plane: Int) -> Int {
        let whole = plane / planesPerLayer * (keyDimension + valueDimension)
        let rest = plane % planesPerLayer * keyDimension
        return (whole + rest) * kvHeads * element.byteCount
    }

    /// Bytes of one token in all planes.
    public var bytesPerToken: Int { bytesPerToken(beforePlane: planeCount) }

    /// Bytes of a page of `tokens` tokens.
    public func pageBytes(tokens: Int) -> Int { tokens * bytesPerToken }

    /// Bytes of a whole page.
    public var bytesPerPage: Int { pageBytes(tokens: pageSize) }
}
