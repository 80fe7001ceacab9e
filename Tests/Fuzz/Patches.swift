// Damage to a large file as a list of changes, so that an input is short and each of its bytes matters.

/// A whole file, and the changes that an input makes to a copy of it.
struct Patches {
    /// Bytes of a page.
    static let pageSize = 4096
    /// The file as it was.
    let whole: [UInt8]

    /// The file with the changes of `input`: page (1 byte), offset (2), how many bytes (1), and what is put there.
    /// Offsets from 4096 on stand for the first 64 bytes of a page, where its header and its first offsets are. Counts
    /// from 64 on stand for another page's bytes, or zeros, or an end of the file.
    func damaged(by input: inout FuzzInput) -> [UInt8] {
        var bytes = whole
        let pages = whole.count / Self.pageSize
        while !input.isEmpty {
            let page = input.byte() % pages
            let place = input.word()
            let offset = place & 4095 & (place < 4096 ? 4095 : 63)
            let count = input.byte()
            let start = page * Self.pageSize
            guard start + Self.pageSize <= bytes.count else { continue }
            switch count {
            case 0..<64:
                let new = input.bytes(count % 17).prefix(Self.pageSize - offset)
                bytes.replaceSubrange(start + offset..<start + offset + new.count, with: new)
            case 64..<128: bytes[start + offset] ^= 1 << UInt8(count & 7)
            case 128..<192:
                let other = (input.byte() % pages) * Self.pageSize
                guard other + Self.pageSize <= bytes.count else { continue }
                bytes.replaceSubrange(start..<start + Self.pageSize, with: bytes[other..<other + Self.pageSize])
            case 192..<224:
                let zeros = repeatElement(UInt8(0), count: Self.pageSize - offset)
                bytes.replaceSubrange(start + offset..<start + Self.pageSize, with: zeros)
            default: if page > 1 { bytes.removeSubrange((start + (count & 1) * 512)...) }
            }
        }
        return bytes
    }

    /// Changes of every kind, for seeds.
    static let seeds: [[UInt8]] = [
        [], [0, 88, 16, 8, 1, 0, 0, 0, 0, 0, 0, 0], [1, 144, 16, 8, 255, 255, 255, 255, 255, 255, 255, 127],
        [3, 10, 16, 2, 4, 0], [4, 12, 16, 4, 18, 0, 0, 1], [5, 16, 16, 2, 255, 15], [6, 0, 15, 68], [7, 0, 0, 130, 9],
        [8, 0, 0, 200], [9, 0, 0, 240], [2, 0, 14, 70, 3, 0, 13, 65, 4, 20, 16, 64],
    ]
}
