// The shape of a page's bytes.

/// The planes of a page, in their order, and its size in tokens.
///
/// The bytes of a page of `n` tokens are `[plane][token][row]`: plane after plane, and in each plane the rows of its
/// tokens without gaps. Planes are numbered from 0 through all layers. Two layouts are equal when their planes and page
/// sizes are equal.
public struct KVLayout: Hashable, Sendable {
    /// Number of tokens in a whole page.
    public let pageSize: Int
    private let shape: Shape

    /// Makes a layout of any planes.
    ///
    /// ```swift
    /// // Keys as fp16 and values as ggml's q8_0, 1,024 of each per token.
    /// let planes = (0..<layers).flatMap { layer in
    ///     [
    ///         KVPlane(layer: layer, rowBytes: 2048, element: .fp16),
    ///         KVPlane(layer: layer, rowBytes: 1088, element: .q8x0),
    ///     ]
    /// }
    /// let layout = try KVLayout(planes: planes, pageSize: 64)
    /// ```
    ///
    /// - Parameters:
    ///   - planes: layers in rising order from 0, none left out.
    ///   - pageSize: tokens of a whole page.
    /// - Throws: `StoreError.invalidLayout` when a number lies outside `Limits`, a layer is left out, or a row is no
    ///   whole number of its element's groups.
    public init(planes: [KVPlane], pageSize: Int) throws(StoreError) {
        guard Limits.pageSize.contains(pageSize) else { throw .invalidLayout("page size outside \(Limits.pageSize)") }
        self.pageSize = pageSize
        shape = try Shape(planes)
        // No overflow: the product of the bounds is below 2^63.
        guard bytesPerPage <= Limits.pageBytes else {
            throw .invalidLayout("a page of \(pageSize) tokens passes \(Limits.pageBytes) bytes")
        }
    }

    private init(_ shape: Shape, pageSize: Int) {
        self.shape = shape
        self.pageSize = pageSize
    }

    /// The layout of a space of blocks: it has no planes, and its records are found by keys that an engine chooses.
    public static func blocks(element: KVElement) -> KVLayout { KVLayout(Shape(blocksOf: element), pageSize: 1) }

    /// Number of layers whose keys and values are cached.
    public var layers: Int { shape.layers }

    /// The planes of a page, in their order.
    public var planes: [KVPlane] { shape.planes }

    /// Number of planes in a page.
    public var planeCount: Int { shape.planes.count }

    /// The element of all planes, or of the blocks; nil when planes have different ones.
    public var element: KVElement? { shape.element }

    /// Whether the layout is that of a space of blocks, which has no pages.
    public var isOfBlocks: Bool { shape.planes.isEmpty }

    /// Whether a page can be cut at any token, and tails can be stored.
    public var isDivisible: Bool { shape.isDivisible }

    /// Bytes of one token in plane `plane`.
    public func bytesPerToken(inPlane plane: Int) -> Int { shape.offsets[plane + 1] - shape.offsets[plane] }

    /// Bytes of one token in all planes before `plane`. Multiplied by the tokens of a page, it is the offset of the
    /// plane.
    public func bytesPerToken(beforePlane plane: Int) -> Int { shape.offsets[plane] }

    /// Bytes of one token in all planes.
    public var bytesPerToken: Int { shape.offsets[shape.planes.count] }

    /// Bytes of a page of `tokens` tokens.
    public func pageBytes(tokens: Int) -> Int { tokens * bytesPerToken }

    /// Bytes of a whole page.
    public var bytesPerPage: Int { pageBytes(tokens: pageSize) }

    /// The layer of plane `plane`.
    package func layer(ofPlane plane: Int) -> Int { shape.planes[plane].layer }

    /// The element that all these planes have; nil when they have different ones.
    package func element(ofPlanes planes: Range<Int>) -> KVElement? {
        if let element = shape.element { return element }
        let first = shape.planes[planes.lowerBound].element
        return planes.allSatisfy { shape.planes[$0].element == first } ? first : nil
    }

    /// Whether planes and page size are equal.
    public static func == (left: KVLayout, right: KVLayout) -> Bool {
        left.pageSize == right.pageSize
            && (left.shape === right.shape
                || left.shape.planes == right.shape.planes && left.shape.element == right.shape.element)
    }

    /// Hashes what `==` compares.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(pageSize)
        hasher.combine(shape.planes)
        hasher.combine(shape.element)
    }
}

/// The part that all copies of a layout share, so that a copy costs one reference and an address needs no sum.
private final class Shape: Sendable {
    let planes: [KVPlane]
    /// For each plane, the bytes of one token in all planes before it; at the end, the bytes of one token in all
    /// planes.
    let offsets: [Int]
    let layers: Int
    let element: KVElement?
    let isDivisible: Bool

    init(_ planes: [KVPlane]) throws(StoreError) {
        guard Limits.planes.contains(planes.count) else { throw .invalidLayout("planes outside \(Limits.planes)") }
        var offsets = [0]
        offsets.reserveCapacity(planes.count + 1)
        var layer = 0
        for (index, plane) in planes.enumerated() {
            guard plane.layer == layer || index > 0 && plane.layer == layer + 1 else {
                throw .invalidLayout("plane \(index) belongs to layer \(plane.layer), after one of layer \(layer)")
            }
            layer = plane.layer
            guard plane.rowBytes > 0, plane.rowBytes <= Limits.pageBytes, plane.rowBytes % plane.element.groupBytes == 0
            else {
                throw .invalidLayout("rows of \(plane.rowBytes) bytes of \(plane.element) in plane \(index)")
            }
            guard (0...Limits.tokens).contains(plane.window) else {
                throw .invalidLayout("a window of \(plane.window) tokens")
            }
            offsets.append(offsets[index] + plane.rowBytes)
        }
        guard Limits.layers.contains(layer + 1) else { throw .invalidLayout("layers outside \(Limits.layers)") }
        self.planes = planes
        self.offsets = offsets
        layers = layer + 1
        element = planes.allSatisfy { $0.element == planes[0].element } ? planes[0].element : nil
        isDivisible = !planes.contains { $0.element == .opaque }
    }

    init(blocksOf element: KVElement) {
        planes = []
        offsets = [0]
        layers = 0
        self.element = element
        isDivisible = false
    }
}
