// Where a byte string lies in memory.

import Glibc

/// Searches memory for byte strings.
enum ByteSearch {
    /// Where `magic` begins in the first `end` places of `bytes`.
    static func places(of magic: [UInt8], in bytes: [UInt8], before end: Int) -> [Int] {
        guard let first = magic.first, end > 0, bytes.count >= end + magic.count - 1 else { return [] }
        return unsafe bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return [] }
            var places: [Int] = []
            var at = 0
            while at < end, let found = unsafe memchr(base + at, Int32(first), end - at) {
                let place = unsafe UnsafeRawPointer(found) - base
                if unsafe memcmp(found, magic, magic.count) == 0 { places.append(place) }
                at = place + 1
            }
            return places
        }
    }
}
