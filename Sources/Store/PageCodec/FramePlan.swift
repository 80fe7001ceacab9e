// How a page is cut into frames.

package import KVFormat

/// The frames of a page: groups of consecutive whole layers, of about 512 KiB each.
///
/// A frame is what one thread decodes and what one checksum guards, so that a page loads in parallel and its first
/// layers are ready before its last. Below 256 KiB a frame's overhead shows; above 1 MiB it leaves the L2 cache. A
/// layer is never cut, so a layer above 1 MiB is a frame by itself. The same layout and token count always give the
/// same plan; readers accept any other grouping of whole layers too.
package struct FramePlan: Hashable, Sendable {
    /// Raw bytes aimed at.
    package static let targetBytes = 512 << 10

    /// Layers of the page.
    package let layers: Int
    /// Frames of the page; 1 to `layers`.
    package let frameCount: Int

    /// The plan of a page of `tokens` tokens.
    package init(_ layout: KVLayout, tokens: Int) {
        layers = layout.layers
        let wanted = (layout.pageBytes(tokens: tokens) + Self.targetBytes / 2) / Self.targetBytes
        frameCount = min(max(wanted, 1), min(layers, RecordHeader.maximumFrames))
    }

    /// The layers of frame `frame`. The frames of a plan differ by at most one layer.
    package func layers(ofFrame frame: Int) -> Range<Int> {
        precondition(frame >= 0 && frame < frameCount, "no such frame")
        return frame * layers / frameCount..<(frame + 1) * layers / frameCount
    }
}
