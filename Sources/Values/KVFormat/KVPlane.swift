// One plane of a page: the keys of a layer, or its values, or whatever an engine caches per token and layer.

/// One row of bytes per token. A page holds the rows of its tokens one after the other, plane by plane.
public struct KVPlane: Hashable, Sendable {
    /// The layer that the plane belongs to, counted from 0. A layer has one or more planes.
    public let layer: Int
    /// Bytes of one token's row; a multiple of `element.groupBytes`.
    public let rowBytes: Int
    /// The type of the numbers in the rows.
    public let element: KVElement
    /// How many tokens before the next one the layer needs the rows of (sliding-window attention); 0 when it needs all.
    /// This version stores the number with the space and does not use it otherwise.
    public let window: Int

    /// Makes a plane. `KVLayout.init(planes:pageSize:)` checks its numbers.
    public init(layer: Int, rowBytes: Int, element: KVElement, window: Int = 0) {
        self.layer = layer
        self.rowBytes = rowBytes
        self.element = element
        self.window = window
    }
}
