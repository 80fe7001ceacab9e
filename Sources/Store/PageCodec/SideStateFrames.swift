// How a side state is keyed and cut into frames.

package import KVFormat

extension PrefixHash {
    /// The key of a side state's record: `SHA-256(prefix hash || name in UTF-8)`. Two names at one prefix never share
    /// one.
    package static func sideState(of prefix: PrefixHash, name: String) -> PrefixHash {
        sha256(prefix.bytes + Array(name.utf8))
    }
}

/// The frames of a side state: 1 MiB each, the last one shorter. An empty side state has none.
enum SideStateFrames {
    static let frameBytes = 1 << 20

    static func count(_ size: Int) -> Int { (size + frameBytes - 1) / frameBytes }

    static func bytes(ofFrame frame: Int, _ size: Int) -> Range<Int> {
        frame * frameBytes..<min((frame + 1) * frameBytes, size)
    }

    /// A frame of `size` bytes, seen as an opaque page of one token.
    static func region(_ size: Int) -> FrameRegion {
        guard let layout = try? KVLayout.opaque(bytesPerPage: size, pageSize: 1) else {
            preconditionFailure("a side state's frame has 1 byte to 1 MiB")
        }
        return FrameRegion(layout: layout, planes: 0..<1, tokens: 1)
    }
}
