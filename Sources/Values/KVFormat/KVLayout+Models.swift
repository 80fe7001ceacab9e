// Layouts of common models, from the numbers in their configurations.

extension KVLayout {
    /// A layout whose keys and values have the same head dimension.
    ///
    /// - Throws: as `init(layers:kvHeads:keyDimension:valueDimension:element:pageSize:)`.
    public init(layers: Int, kvHeads: Int, headDimension: Int, element: KVElement, pageSize: Int = 64)
        throws(StoreError)
    {
        try self.init(
            layers: layers, kvHeads: kvHeads, keyDimension: headDimension, valueDimension: headDimension,
            element: element, pageSize: pageSize)
    }

    /// A layout of equal layers, each with a plane of keys and a plane of values, `[token][KV head][head dimension]`.
    /// When `valueDimension` is 0 (a latent cache as in multi-head latent attention) a layer has one plane.
    ///
    /// - Throws: `StoreError.invalidLayout` when a number lies outside `Limits`, the element is opaque, or a token's
    ///   keys or values do not fill a whole number of the element's groups.
    public init(
        layers: Int, kvHeads: Int, keyDimension: Int, valueDimension: Int, element: KVElement, pageSize: Int
    ) throws(StoreError) {
        guard element != .opaque else {
            throw .invalidLayout("an opaque layout is made with `opaque(bytesPerPage:pageSize:)`")
        }
        guard Limits.layers.contains(layers) else { throw .invalidLayout("layers outside \(Limits.layers)") }
        guard Limits.kvHeads.contains(kvHeads) else { throw .invalidLayout("KV heads outside \(Limits.kvHeads)") }
        guard Limits.headDimension.contains(keyDimension) else {
            throw .invalidLayout("head dimension outside \(Limits.headDimension)")
        }
        guard valueDimension == 0 || Limits.headDimension.contains(valueDimension) else {
            throw .invalidLayout("value dimension outside 0 and \(Limits.headDimension)")
        }
        var rows: [Int] = []
        for dimension in [keyDimension, valueDimension] where dimension > 0 {
            guard kvHeads * dimension % element.groupCount == 0 else {
                throw .invalidLayout(
                    "\(kvHeads) heads of \(dimension) numbers cannot be cut into groups of \(element.groupCount)")
            }
            rows.append(kvHeads * dimension / element.groupCount * element.groupBytes)
        }
        let planes = (0..<layers).flatMap { layer in
            rows.map { KVPlane(layer: layer, rowBytes: $0, element: element) }
        }
        try self.init(planes: planes, pageSize: pageSize)
    }

    /// A layout of pages that the store must not cut: only whole pages are stored and matched.
    ///
    /// - Parameters:
    ///   - bytesPerPage: bytes of a page of `pageSize` tokens; a multiple of `pageSize`.
    ///   - pageSize: tokens of a page.
    /// - Throws: `StoreError.invalidLayout` when a number lies outside `Limits`.
    public static func opaque(bytesPerPage: Int, pageSize: Int) throws(StoreError) -> KVLayout {
        guard Limits.pageSize.contains(pageSize), bytesPerPage > 0, bytesPerPage % pageSize == 0 else {
            throw .invalidLayout("an opaque page's bytes must be a multiple of its tokens")
        }
        return try KVLayout(
            planes: [KVPlane(layer: 0, rowBytes: bytesPerPage / pageSize, element: .opaque)], pageSize: pageSize)
    }
}
