// One way into the store for bytes that somebody else wrote.

import Glibc

/// What is fuzzed: a name, first inputs, and what is done with an input.
///
/// An input must never end the process: a trap, a report of the sanitizer and a broken `FuzzInput.require` are
/// findings.
struct FuzzTarget: Sendable {
    /// As `tools/fuzz` has it.
    let name: String
    /// What reads the input, in a few words.
    let subject: String
    /// Bytes of an input at most.
    var longest = 8192
    /// Sound inputs to begin with.
    let seeds: @Sendable () throws -> [[UInt8]]
    /// Reads one input. Errors that the reader throws are its business.
    let run: @Sendable (inout FuzzInput) -> Void

    /// All targets, by name.
    static let all: [FuzzTarget] = [
        .batch, .capi, .checkpoint, .folder, .frame, .huffman, .identity, .kbit, .pages, .record, .remote, .safetensors,
        .store, .tables, .tokenizer,
    ]
}

/// An input, taken from its beginning.
struct FuzzInput {
    private let bytes: [UInt8]
    private var place = 0
    /// Whether the target's broken twin runs: see `plant`.
    let isBroken: Bool

    init(_ bytes: [UInt8], isBroken: Bool) {
        self.bytes = bytes
        self.isBroken = isBroken
    }

    /// Whether everything was taken.
    var isEmpty: Bool { place == bytes.count }

    /// The next byte; 0 behind the end.
    mutating func byte() -> Int {
        guard place < bytes.count else { return 0 }
        defer { place += 1 }
        return Int(bytes[place])
    }

    /// The next two bytes, the lower one first.
    mutating func word() -> Int {
        let low = byte()
        return low | byte() << 8
    }

    /// The next `count` bytes, or those that are left.
    mutating func bytes(_ count: Int) -> [UInt8] {
        let end = min(bytes.count, place + count)
        defer { place = end }
        return Array(bytes[place..<end])
    }

    /// All that is left.
    mutating func rest() -> [UInt8] { bytes(bytes.count - place) }

    /// Ends the process when something does not hold that must.
    func require(_ condition: Bool, _ what: StaticString) {
        guard !condition else { return }
        complain("broken: \(what)")
        abort()
    }

    /// The planted mistake: in the broken twin, an input that gets as far as this with `condition` ends the process. No
    /// seed does, so a run of the twin shows that inputs change until they reach the depth of the reader, and that what
    /// ends the process there is reported.
    func plant(_ condition: Bool) { require(!isBroken || !condition, "the planted mistake") }
}
