// How a page is cut into frames.

package import KVFormat

/// The frames of a page, as ranges of planes: groups of consecutive whole layers, of about 512 KiB each.
///
/// A frame is what one thread decodes and what one checksum guards, so that a page loads in parallel and its first
/// layers are ready before its last. Below 256 KiB a frame's overhead shows; above 1 MiB it leaves the L2 cache. A
/// layer is never cut, so a layer above 1 MiB is a frame by itself; except where the element changes, since a frame has
/// one. The same layout and token count always give the same plan; readers accept any other grouping of planes too.
/// Nothing is allocated.
package struct FramePlan: Sequence {
    /// Raw bytes aimed at.
    fileprivate static let targetBytes = 512 << 10

    private let layout: KVLayout
    private let tokens: Int

    /// The plan of a page of `tokens` tokens.
    package init(_ layout: KVLayout, tokens: Int) {
        self.layout = layout
        self.tokens = tokens
    }

    /// Frames of the page.
    package var frameCount: Int { reduce(0) { count, _ in count + 1 } }

    /// The frames, the first planes first.
    package func makeIterator() -> Iterator { Iterator(layout, tokens) }

    /// One walk over the frames.
    package struct Iterator: IteratorProtocol {
        private let layout: KVLayout
        private let tokens: Int
        /// The planes of one element that are being cut, and in how many parts.
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
