// How a page is cut into frames.

package import KVFormat

/// The frames of a page, as ranges of planes: groups of consecutive whole layers, of about 512 KiB each.
///
/// One thread decodes a frame, and one checksum guards it. So a page loads in parallel, and its first layers are ready
/// before its last. Below 256 KiB the overhead of a frame shows; above 1 MiB it does not fit the L2 cache. A layer is
/// cut only where the element changes, because a frame has one element; so a layer above 1 MiB is a frame by itself.
/// The same layout and token count always give the same plan. Readers accept any other grouping of planes too.
/// Allocates nothing.
package struct FramePlan: Sequence {
    /// The raw bytes that a frame should have.
    fileprivate static let targetBytes = 512 << 10

    private let layout: KVLayout
    private let tokens: Int

    /// The plan of a page of `tokens` tokens.
    package init(_ layout: KVLayout, tokens: Int) {
        self.layout = layout
        self.tokens = tokens
    }

    /// Number of frames in the page.
    package var frameCount: Int { reduce(0) { count, _ in count + 1 } }

    /// The frames, the first planes first.
    package func makeIterator() -> Iterator { Iterator(layout, tokens) }

    /// One walk over the frames.
    package struct Iterator: IteratorProtocol {
        private let layout: KVLayout
        private let tokens: Int
        /// The planes of one element that are being cut, and the number of parts.
        private var run = 0..<0
        private var parts = 0
        private var part = 0
        private var plane = 0

        fileprivate init(_ layout: KVLayout, _ tokens: Int) {
            self.layout = layout
            self.tokens = tokens
        }

        /// The next frame's planes; nil after the last.
        package mutating func next() -> Range<Int>? {
            if plane == run.upperBound {
                guard plane < layout.planeCount else { return nil }
                run = plane..<endOfElement()
                let raw = tokens * bytes(from: run.lowerBound, to: run.upperBound)
                parts = Swift.max((raw + FramePlan.targetBytes / 2) / FramePlan.targetBytes, 1)
                part = 0
            }
            let start = plane
            // Layers of unequal size can leave a part empty.
            while plane == start {
                part += 1
                plane = endOfPart()
            }
            return start..<plane
        }

        /// The last end of a layer that lies within the first `part` of `parts` equal parts of the run.
        private func endOfPart() -> Int {
            var end = plane
            var next = endOfLayer(end)
            while part == parts
                || bytes(from: run.lowerBound, to: next) * parts
                    <= bytes(from: run.lowerBound, to: run.upperBound) * part
            {
                end = next
                guard end < run.upperBound else { break }
                next = endOfLayer(end)
            }
            return end
        }

        private func bytes(from first: Int, to end: Int) -> Int {
            layout.bytesPerToken(beforePlane: end) - layout.bytesPerToken(beforePlane: first)
        }

        private func endOfLayer(_ first: Int) -> Int {
            var end = first + 1
            while end < run.upperBound, layout.layer(ofPlane: end) == layout.layer(ofPlane: first) { end += 1 }
            return end
        }

        private func endOfElement() -> Int {
            guard layout.element == nil else { return layout.planeCount }
            var end = plane + 1
            while end < layout.planeCount, layout.element(ofPlanes: plane..<end + 1) != nil { end += 1 }
            return end
        }
    }
}
