// A space's data key as the folder has it: encrypted under the owner's key.

/// A data key under a sealing key.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<8 | `PFXwrap1` |
/// | 8..<16 | id of the sealing key |
/// | 16..<32 | salt |
/// | 32..<64 | the data key, AES-256-GCM |
/// | 64..<80 | its tag, which also covers the bytes before and the space root |
/// | 80..<88 | XXH3-64 of the bytes before, seed as for a key of zeros: tells damage from another key |
///
/// One byte, 0, stands for a data key that was destroyed: `gone`.
package struct WrappedKey: Sendable {
    /// Bytes of a wrapped key.
    package static let byteCount = 88
    /// What every wrapped key begins with, so that copies of it can be found in a file.
    package static let magic = Array("PFXwrap1".utf8)
    /// What a space has in its place whose data key was destroyed.
    package static let gone: [UInt8] = [0]

    /// The stored bytes.
    package let bytes: [UInt8]

    /// The id of the sealing key, as `SealingKey.id` has it.
    package var keyID: String { Self.hex(bytes[8..<16]) }

    /// Reads what a space has stored; nil when it is not a wrapped key, or a byte of it was changed.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount, bytes.starts(with: Self.magic),
            bytes.suffix(8).elementsEqual(Self.checksum(bytes.dropLast(8)))
        else { return nil }
        self.bytes = bytes
    }

    /// Wraps a data key.
    ///
    /// - Parameter salt: never the same twice; tests that compare bytes give their own.
    package init(_ dataKey: Digest, by key: SealingKey, for root: PrefixHash, salt: SealBytes) {
        let head = Self.magic + Self.bytes(hex: key.id) + salt.bytes
        var content = dataKey.bytes
        let known = head + root.bytes
        let tag = unsafe content.withUnsafeMutableBytes { content in
            unsafe key.wrappingKey(salt).encrypt(content, number: 0, known: known.span.bytes)
        }
        let sealed = head + content + tag.bytes
        bytes = sealed + Self.checksum(sealed[...])
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        let sum = unsafe Checksum.of(bytes.span.bytes, key: .zero, part: 0)
        return (0..<8).map { UInt8(truncatingIfNeeded: sum >> (8 * $0)) }
    }

    /// The data key; nil when another key wrapped it, or for another space.
    func dataKey(by key: SealingKey, for root: PrefixHash) -> Digest? {
        guard keyID == key.id else { return nil }
        let known = Array(bytes[..<32]) + root.bytes
        var plain = [UInt8](repeating: 0, count: Digest.byteCount)
        let isSound = unsafe bytes.withUnsafeBytes { all in
            let all = unsafe all.bytes
            let (stored, salt, tag) = (all.extracting(32..<64), SealBytes(all, at: 16), SealBytes(all, at: 64))
            return unsafe plain.withUnsafeMutableBytes { plain in
                unsafe key.wrappingKey(salt).decrypt(
                    stored, number: 0, known: known.span.bytes, tag: tag, to: plain.baseAddress)
            }
        }
        return isSound ? Digest(bytes: plain) : nil
    }

    private static func hex(_ bytes: ArraySlice<UInt8>) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    private static func bytes(hex: String) -> [UInt8] {
        let padded = hex + String(repeating: "0", count: 2 * Digest.byteCount - hex.utf8.count)
        return Array((Digest(hex: padded)?.bytes ?? []).prefix(8))
    }
}
