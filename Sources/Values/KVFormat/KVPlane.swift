// One plane of a page: the keys of a layer, or its values, or whatever an engine caches per token and layer.

/// One row of bytes per token. A page holds the rows of its tokens one after the other, plane by plane.
public struct KVPlane: Hashable, Sendable {
    /// The layer that the plane belongs to, from 0. A layer has one plane or more.
    public let layer: Int
    /// Bytes of one token's row; a multiple of `element.groupBytes`.
    public let rowBytes: Int
    /// What the numbers in the rows are stored as.
    public let element: KVElement
    /// Tokens before the next one whose rows the layer needs (sliding-window attention); 0 when it needs all. Stored
    /// with the space, and not yet acted on.
    public let window: Int

    /// A plane. `KVLayout.init(planes:pageSize:)` checks its numbers.
    public init(layer: Int, rowBytes: Int, element: KVElement, window: Int = 0) {
        self.layer = layer
        self.rowBytes = rowBytes
        self.element = element
        self.window = window
    }
}
