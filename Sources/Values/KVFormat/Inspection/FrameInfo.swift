// What a frame of a page's record looks like from outside.

/// One frame of a page's record: a group of planes with a checksum of its own. A value type.
public struct FrameInfo: Sendable, Equatable {
    /// The layers in it; the first and the last perhaps in part. None in a block.
    public let layers: Range<Int>
    /// The codec's name: `raw`, `zstd`, `kbit` or `zstd-plain`.
    public let codec: String
    /// Bytes before encoding.
    public let rawBytes: ByteCount
    /// Bytes after encoding.
    public let encodedBytes: ByteCount
    /// Whether the encoded bytes have the checksum written with them.
    public let isSound: Bool

    /// All that is known.
    package init(layers: Range<Int>, codec: String, rawBytes: ByteCount, encodedBytes: ByteCount, isSound: Bool) {
        self.layers = layers
        self.codec = codec
        self.rawBytes = rawBytes
        self.encodedBytes = encodedBytes
        self.isSound = isSound
    }
}

extension FrameInfo: Encodable {
    private enum Key: String, CodingKey {
        case firstLayer, layers, codec, rawBytes, encodedBytes, isSound
    }

    /// Writes the layers as the first one and their number.
    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: Key.self)
        try values.encode(layers.lowerBound, forKey: .firstLayer)
        try values.encode(layers.count, forKey: .layers)
        try values.encode(codec, forKey: .codec)
        try values.encode(rawBytes, forKey: .rawBytes)
        try values.encode(encodedBytes, forKey: .encodedBytes)
        try values.encode(isSound, forKey: .isSound)
    }
}
