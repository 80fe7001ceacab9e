// Records with sums that are right, as an attacker would write them: without that, no input gets past a checksum.

import KVFormat

extension [UInt8] {
    /// The bytes, to read.
    var raw: RawSpan {
        @_lifetime(borrow self)
        get { unsafe span.bytes }
    }

    /// Lends the bytes to `body` for writing.
    mutating func withRaw(_ body: (inout MutableRawSpan) -> Void) {
        var span = mutableSpan
        var bytes = unsafe span.mutableBytes
        body(&bytes)
    }

    /// Writes `value` at `offset`, its lowest byte first.
    mutating func set(_ value: UInt64, at offset: Int, count: Int = 8) {
        for index in 0..<count { self[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }

    /// With the checksum of all bytes behind them, as for the key `key`.
    func withChecksum(_ key: PrefixHash, part: UInt64 = 0) -> [UInt8] {
        var all = self + [UInt8](repeating: 0, count: 8)
        all.set(Checksum.of(raw, key: key, part: part), at: count)
        return all
    }
}

enum Forging {
    /// The key of every forged record.
    static let key = PrefixHash.sha256(Array("fuzz".utf8))
    /// The seal of every forged record that is sealed. What its frames hold is encrypted on the way.
    static let seal = SpaceSeal(dataKey: .sha256(Array("data key".utf8)))

    /// Makes the beginning of a record right, and every sum or tag, as far as its frame table can be read.
    static func forge(_ record: inout [UInt8], key: PrefixHash, seal: SpaceSeal?) {
        guard record.count >= RecordHeader.byteCount else { return }
        record.set(UInt64(RecordHeader.magic), at: 0, count: 4)
        record.set(UInt64(RecordHeader.version), at: 4, count: 2)
        record.replaceSubrange(24..<56, with: key.bytes)
        if seal != nil { record[61] |= RecordHeader.sealedFlag }
        let header = RecordHeader(record.raw)
        guard header.frameCount <= RecordHeader.maximumFrames, record.count >= FrameEntry.offset(header.frameCount)
        else { return }
        let contentKey = seal?.recordKey(key, salt: header.salt)
        var start = FrameEntry.offset(header.frameCount)
        for index in 0..<header.frameCount {
            var entry = FrameEntry(record.raw, index: index)
            guard record.count - start >= entry.encodedBytes else { break }
            let frame = start..<start + entry.encodedBytes
            if let contentKey {
                entry.tag = unsafe record.withUnsafeMutableBytes { bytes in
                    unsafe contentKey.encrypt(
                        UnsafeMutableRawBufferPointer(rebasing: bytes[frame]), number: UInt64(index) + 1,
                        known: RawSpan())
                }
            } else {
                entry.checksum = Checksum.of(record.raw.extracting(frame), key: key, part: UInt64(index) + 1)
            }
            start = frame.upperBound
            let complete = entry
            record.withRaw { complete.write(to: &$0, index: index) }
        }
        record.withRaw { bytes in
            if let contentKey {
                RecordHeader.setTag(&bytes, contentKey, frameCount: header.frameCount)
            } else {
                RecordHeader.setChecksum(&bytes, key: key, frameCount: header.frameCount)
            }
        }
    }
}
