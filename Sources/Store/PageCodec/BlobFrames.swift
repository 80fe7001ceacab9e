// Blobs, which are bytes without tokens: the keys of side states, and how side states and blocks are cut into frames.

package import KVFormat

extension PrefixHash {
    /// The key of a side state's record: `SHA-256(prefix hash || name in UTF-8)`. Two names at one prefix never share
    /// one.
    package static func sideState(of prefix: PrefixHash, name: String) -> PrefixHash {
        sha256(prefix.bytes + Array(name.utf8))
    }
}

/// The frames of a side state or block: 1 MiB each, the last one shorter. An empty blob has no frame.
enum BlobFrames {
    static let frameBytes = 1 << 20

    static func count(_ size: Int) -> Int { (size + frameBytes - 1) / frameBytes }

    static func bytes(ofFrame frame: Int, _ size: Int) -> Range<Int> {
        frame * frameBytes..<min((frame + 1) * frameBytes, size)
    }

    /// A frame of `size` bytes as a plane whose rows are one element of the codec's width.
    static func region(_ size: Int, _ element: KVElement) -> FrameRegion {
        let layout =
            switch element.codecWidth {
            case 1: layouts.one
            case 2: layouts.two
            default: layouts.four
            }
        return FrameRegion(layout: layout, planes: 0..<1, tokens: size / element.codecWidth, element: element)
    }

    /// Layouts of one plane with rows of 1, 2 and 4 bytes, made once.
    private static let layouts = (one: layout(1), two: layout(2), four: layout(4))

    private static func layout(_ rowBytes: Int) -> KVLayout {
        guard let made = try? KVLayout.opaque(bytesPerPage: rowBytes, pageSize: 1) else {
            preconditionFailure("a row of \(rowBytes) bytes makes a layout")
        }
        return made
    }
}
