// A set of byte strings, numbered in the order of their insertion.
//
// Keys are bytes because Swift compares strings by canonical equivalence, and tokens must be compared exactly. All keys
// lie in one buffer, so a vocabulary of 150,000 tokens takes a few allocations, and a look-up takes none.

import CHash

/// Maps byte strings to consecutive numbers: open addressing over one buffer.
struct ByteStringTable: Sendable {
    private var buffer: [UInt8] = []
    /// Where each string ends in `buffer`; it begins where its predecessor ends.
    private var ends: [Int] = []
    /// Numbers of strings, or -1; a power of two of them, at most half in use.
    private var slots: [Int32]
    /// Words of a prompt are keys too. With a random seed, nobody can choose words that collide.
    private let seed = UInt64.random(in: .min ... .max)

    /// An empty table with room for `capacity` strings.
    init(capacity: Int) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        slots = [Int32](repeating: -1, count: size)
    }

    /// How many strings there are.
    var count: Int { ends.count }

    /// The number of `key`, or `nil`.
    func number(of key: Span<UInt8>) -> Int? {
        let number = slots[slot(of: key)]
        return number < 0 ? nil : Int(number)
    }

    /// The number of `key`, which is inserted if it is new.
    mutating func insert(_ key: Span<UInt8>) -> Int {
        let place = slot(of: key)
        if slots[place] >= 0 { return Int(slots[place]) }
        let number = ends.count
        for index in key.indices { buffer.append(key[index]) }
        ends.append(buffer.count)
        slots[place] = Int32(number)
        if ends.count * 2 > slots.count { grow() }
        return number
    }

    /// The slot that holds `key`, or the free one where it belongs.
    private func slot(of key: Span<UInt8>) -> Int {
        let mask = slots.count - 1
        var place = Int(truncatingIfNeeded: hash(key)) & mask
        while slots[place] >= 0, !matches(Int(slots[place]), key) { place = (place + 1) & mask }
        return place
    }

    private func matches(_ number: Int, _ key: Span<UInt8>) -> Bool {
        let start = number == 0 ? 0 : ends[number - 1]
        guard ends[number] - start == key.count else { return false }
        for index in key.indices where buffer[start + index] != key[index] { return false }
        return true
    }

    private func hash(_ key: Span<UInt8>) -> UInt64 {
        unsafe key.withUnsafeBufferPointer { unsafe chash_xxh3($0.baseAddress, $0.count, seed) }
    }

    private mutating func grow() {
        let mask = slots.count * 2 - 1
        slots = [Int32](repeating: -1, count: mask + 1)
        for number in ends.indices {
            let start = number == 0 ? 0 : ends[number - 1]
            var place = Int(truncatingIfNeeded: hash(buffer.span.extracting(start..<ends[number]))) & mask
            while slots[place] >= 0 { place = (place + 1) & mask }
            slots[place] = Int32(number)
        }
    }
}
