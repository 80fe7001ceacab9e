// Which zstd this build runs with.

internal import CZstd

extension FrameCodec {
    /// The version of the zstd library in this process, such as `1.5.4`.
    package static var zstdVersion: String { unsafe String(cString: ZSTD_versionString()) }

    /// The codec's name, as people see it.
    package var name: String {
        switch self {
        case .raw: "raw"
        case .zstd: "zstd"
        case .kbit: "kbit"
        case .zstdPlain: "zstd-plain"
        }
    }
}
