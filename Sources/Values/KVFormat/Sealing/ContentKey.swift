// The key of one record or node: AES-256-GCM.

internal import CSeal

/// Encrypts the parts of one sealed thing. Every thing has a key of its own, derived from its salt, so that a part's
/// number can be its nonce. A value type.
package struct ContentKey: Sendable {
    private let key: Digest

    init(_ key: Digest) { self.key = key }

    /// Encrypts bytes where they are.
    ///
    /// - Parameters:
    ///   - content: the bytes; may be none.
    ///   - number: the part's number. It must never come twice for one thing.
    ///   - known: bytes that the tag covers too, and that stay readable.
    /// - Returns: the tag.
    @unsafe
    package func encrypt(_ content: UnsafeMutableRawBufferPointer, number: UInt64, known: RawSpan) -> SealBytes {
        var tag: InlineArray<16, UInt8> = .init(repeating: 0)
        var output = tag.mutableSpan
        let done = key.withBytes { key in
            unsafe key.withUnsafeBytes { key in
                unsafe known.withUnsafeBytes { known in
                    unsafe output.withUnsafeMutableBufferPointer { tag in
                        unsafe cseal_encrypt(
                            key.bindMemory(to: UInt8.self).baseAddress, number, known.baseAddress, known.count,
                            content.baseAddress, content.count, content.baseAddress, tag.baseAddress)
                    }
                }
            }
        }
        // Going on would store what is not encrypted.
        precondition(done == 1, "libcrypto cannot encrypt with AES-256-GCM")
        return unsafe SealBytes(tag.span.bytes, at: 0)
    }

    /// Decrypts `content` to `plain`, which has as much room.
    ///
    /// - Returns: whether content, number and `known` are those that `encrypt` saw. If not, `plain` holds nothing that
    ///   may be used.
    @unsafe
    package func decrypt(
        _ content: RawSpan, number: UInt64, known: RawSpan, tag: SealBytes, to plain: UnsafeMutableRawPointer?
    ) -> Bool {
        let words: InlineArray<2, UInt64> = [tag.low.littleEndian, tag.high.littleEndian]
        return key.withBytes { key in
            unsafe key.withUnsafeBytes { key in
                unsafe known.withUnsafeBytes { known in
                    unsafe content.withUnsafeBytes { content in
                        unsafe words.span.bytes.withUnsafeBytes { tag in
                            unsafe cseal_decrypt(
                                key.bindMemory(to: UInt8.self).baseAddress, number, known.baseAddress, known.count,
                                content.baseAddress, content.count, tag.bindMemory(to: UInt8.self).baseAddress, plain)
                                == 1
                        }
                    }
                }
            }
        }
    }

    /// The tag of bytes that stay readable, as part `number`.
    package func tag(of known: RawSpan, number: UInt64) -> SealBytes {
        unsafe encrypt(UnsafeMutableRawBufferPointer(start: nil, count: 0), number: number, known: known)
    }

    /// Whether `tag` is that of these bytes.
    package func isTag(_ tag: SealBytes, of known: RawSpan, number: UInt64) -> Bool {
        unsafe decrypt(known.extracting(0..<0), number: number, known: known, tag: tag, to: nil)
    }
}
