// Digests: published test vectors.

import KVFormat
import Testing

@Suite("A digest")
struct DigestTests {
    @Test("is the SHA-256 of the bytes")
    func vectors() {
        #expect(
            Digest.sha256(Array("abc".utf8)).description
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(Digest.sha256([]).short == "e3b0c44298fc")
    }

    @Test("is read back from its bytes and its digits, and from nothing else")
    func roundTrips() {
        let digest = Digest.sha256([1])
        #expect(Digest(bytes: digest.bytes) == digest)
        #expect(Digest(hex: digest.description.uppercased()) == digest)
        #expect(Digest(bytes: digest.bytes + [0]) == nil)
        #expect(Digest(hex: String(digest.description.dropLast())) == nil)
        #expect(Digest(hex: String(repeating: "g", count: 64)) == nil)
    }

    @Test("of the same bytes as a prefix hash is another type with the same digits")
    func beside() {
        #expect(PrefixHash(.sha256([1])).description == Digest.sha256([1]).description)
    }
}
