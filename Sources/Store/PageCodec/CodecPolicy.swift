// Which codec loads a frame fastest: the decision behind `auto`.

/// The rates that `auto` compares, in bytes per second.
package struct CodecRates: Hashable, Sendable {
    /// Encoded bytes that come from the disk, or from the page cache, to one thread.
    package var read: Double
    /// Raw bytes that one thread decodes from frames stored raw.
    package var raw: Double
    /// The same from `kbit`.
    package var kbit: Double
    /// The same from `zstd` and `zstdPlain`.
    package var zstd: Double

    /// Rates of this machine; each must be above 0.
    package init(read: Double, raw: Double, kbit: Double, zstd: Double) {
        precondition(min(read, raw, kbit, zstd) > 0, "a rate is above 0")
        self.read = read
        self.raw = raw
        self.kbit = kbit
        self.zstd = zstd
    }

    /// A core and a disk of 2023: the rates to use before anything is measured.
    package static let typical = CodecRates(read: 1.5e9, raw: 10e9, kbit: 9e9, zstd: 3e9)

    func decoding(_ codec: FrameCodec) -> Double {
        switch codec {
        case .raw: raw
        case .kbit: kbit
        case .zstd, .zstdPlain: zstd
        }
    }
}

/// Compares ways to store one frame by the time that loading it takes:
/// `encoded bytes / read rate + raw bytes / decode rate`. Pure; nothing is measured here.
struct CodecPolicy {
    let rates: CodecRates

    /// Seconds that a frame of `raw` bytes takes to load when `codec` encodes it to `stored` bytes.
    func loadSeconds(_ codec: FrameCodec, stored: Int, raw: Int) -> Double {
        Double(stored) / rates.read + Double(raw) / rates.decoding(codec)
    }

    /// The most encoded bytes with which `codec` still loads a frame as fast as `best`, which encodes it to `stored`
    /// bytes. Negative when decoding alone takes longer.
    func budget(_ codec: FrameCodec, against best: FrameCodec, storing stored: Int, raw: Int) -> Int {
        let left = loadSeconds(best, stored: stored, raw: raw) - Double(raw) / rates.decoding(codec)
        return Int(max(-1, min(left * rates.read, Double(raw))).rounded(.down))
    }

    /// The codecs to try on elements of `width` bytes besides raw, the fastest to encode first.
    static func candidates(width: Int) -> [FrameCodec] { width > 1 ? [.kbit, .zstd] : [.zstdPlain] }

    /// The fewest bytes to which any codec can encode a frame: only the top bytes of elements are coded.
    static func floor(raw: Int, width: Int) -> Int { raw / width * (width - 1) }
}
