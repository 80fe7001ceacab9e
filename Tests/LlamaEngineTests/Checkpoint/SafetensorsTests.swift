import Testing
import TestKit

@testable import LlamaEngine

@Suite("A weight file's header")
struct SafetensorsTests {
    private typealias Bytes = SafetensorsBytes

    @Test("says where each tensor lies, at any alignment")
    func places() throws {
        let header =
            "{\"__metadata__\":{\"format\":\"pt\"},"
            + Bytes.entry("b", "F32", [2, 1], 1, 9) + ","
            + Bytes.entry("mask", "U8", [1], 0, 1) + ","
            + Bytes.entry("none", "BF16", [0, 4], 9, 9) + "} "
        let tensors = try read(Bytes.file(header: header, data: Array(1...9)))
        let start = 8 + header.utf8.count
        #expect(tensors.count == 3)
        #expect(tensors["b"] == TensorEntry(dtype: "F32", shape: [2, 1], offset: start + 1, byteCount: 8))
        #expect(tensors["mask"] == TensorEntry(dtype: "U8", shape: [1], offset: start, byteCount: 1))
        #expect(tensors["none"]?.byteCount == 0)
    }

    @Test("of no tensor is sound")
    func empty() throws {
        #expect(try read(Bytes.file(header: "{}")).isEmpty)
    }

    @Test("is refused when the file ends before it", arguments: [0, 1, 7])
    func refusesStump(count: Int) {
        let file = Array(Bytes.file(header: "{}").prefix(count))
        #expect(throws: EngineError.truncatedFile(file: "w", bytes: count, needed: 8)) { try read(file) }
    }

    @Test("is refused when it is longer than the file, or than any header")
    func refusesLength() {
        #expect(throws: EngineError.truncatedFile(file: "w", bytes: 10, needed: 11)) {
            try read(Bytes.file(announcing: 3, header: "{}", data: []))
        }
        for length in [0, 1, 100_000_001, UInt64.max] {
            let reason = "its length of \(length) bytes is out of bounds"
            #expect(throws: EngineError.malformedHeader(file: "w", reason: reason)) {
                try read(Bytes.file(announcing: length, header: "{}", data: []))
            }
        }
    }

    @Test(
        "is refused when it is no JSON object of tensors",
        arguments: [
            "[]", "{]", "{\"a\":1}", "{\"a\":{}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}",
            "{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}",
        ])
    func refusesOtherJSON(header: String) {
        let error = EngineError.malformedHeader(file: "w", reason: "it is not a JSON object of tensors")
        #expect(throws: error) { try read(Bytes.file(header: header, data: [0, 0, 0, 0])) }
    }

    @Test("is refused for an element type that it does not define")
    func refusesElementType() {
        #expect(throws: EngineError.unsupportedElementType(tensor: "a", found: "Q4")) {
            try read(Bytes.file(header: "{" + Bytes.entry("a", "Q4", [4], 0, 4) + "}", data: [0, 0, 0, 0]))
        }
    }

    @Test(
        "is refused for a shape with a negative extent or too many of them",
        arguments: [[-1], Array(repeating: 1, count: 9)])
    func refusesShape(shape: [Int]) {
        #expect(throws: EngineError.malformedHeader(file: "w", reason: "a has an invalid shape")) {
            try read(Bytes.file(header: "{" + Bytes.entry("a", "F32", shape, 0, 4) + "}", data: [0, 0, 0, 0]))
        }
    }

    @Test(
        "is refused when a shape multiplies to more than any memory", arguments: [[1 << 62, 4], [1 << 32, 1 << 32]])
    func refusesOverflow(shape: [Int]) {
        #expect(throws: EngineError.shapeOverflow(file: "w", tensor: "a")) {
            try read(Bytes.file(header: "{" + Bytes.entry("a", "F32", shape, 0, 4) + "}", data: [0, 0, 0, 0]))
        }
    }

    @Test("is refused when offsets are negative, reversed or do not fit the shape")
    func refusesOffsets() {
        let none = EngineError.malformedHeader(file: "w", reason: "a has invalid offsets")
        for (begin, end) in [(-4, 0), (4, 0), (Int.min, Int.max)] {
            #expect(throws: none) {
                try read(Bytes.file(header: "{" + Bytes.entry("a", "F32", [1], begin, end) + "}", data: [0, 0, 0, 0]))
            }
        }
        #expect(throws: none) {
            try read(Bytes.file(header: #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#, data: [0, 0, 0, 0]))
        }
        #expect(throws: EngineError.malformedHeader(file: "w", reason: "the offsets of a do not fit its shape")) {
            try read(Bytes.file(header: "{" + Bytes.entry("a", "F32", [1], 0, 3) + "}", data: [0, 0, 0, 0]))
        }
    }

    @Test("is refused when a tensor ends behind the file")
    func refusesBehindEnd() {
        let header = "{" + Bytes.entry("a", "F32", [2], 0, 8) + "}"
        let needed = 8 + header.utf8.count + 8
        #expect(throws: EngineError.truncatedFile(file: "w", bytes: needed - 1, needed: needed)) {
            try read(Bytes.file(header: header, data: Array(repeating: 0, count: 7)))
        }
        let far = "{" + Bytes.entry("a", "U8", [Int.max], 0, Int.max) + "}"
        let bytes = 8 + far.utf8.count + 1
        #expect(throws: EngineError.truncatedFile(file: "w", bytes: bytes, needed: .max)) {
            try read(Bytes.file(header: far, data: [0]))
        }
    }

    @Test("is refused when tensors overlap")
    func refusesOverlap() {
        let header = "{" + Bytes.entry("a", "U8", [4], 0, 4) + "," + Bytes.entry("b", "U8", [4], 3, 7) + "}"
        #expect(throws: EngineError.overlappingTensors(file: "w", first: "a", second: "b")) {
            try read(Bytes.file(header: header, data: Array(repeating: 0, count: 7)))
        }
    }

    @Test(
        "is refused when bytes belong to no tensor, before, between or behind them",
        arguments: [(1, 0, 0), (0, 1, 4), (0, 0, 8)])
    func refusesGap(before: Int, between: Int, offset: Int) {
        let second = before + 4 + between
        let header =
            "{" + Bytes.entry("a", "U8", [4], before, before + 4) + ","
            + Bytes.entry("b", "U8", [4], second, second + 4) + "}"
        #expect(throws: EngineError.unclaimedBytes(file: "w", offset: offset)) {
            try read(Bytes.file(header: header, data: Array(repeating: 0, count: 9)))
        }
    }

    @Test("never leads out of the file, whatever single byte of it is damaged")
    func survivesDamage() throws {
        let header = "{" + Bytes.entry("a", "F16", [2, 3], 0, 12) + "," + Bytes.entry("b", "BF16", [2], 12, 16) + "}"
        let sound = Bytes.file(header: header, data: Array(repeating: 7, count: 16))
        var refused = 0
        for position in 0..<8 + header.utf8.count {
            for value in [0, 0x20, 0x22, 0x30, 0x39, 0x7D, 0xFF] as [UInt8] where sound[position] != value {
                var damaged = sound
                damaged[position] = value
                do throws(EngineError) {
                    for entry in try read(damaged).values {
                        #expect(entry.offset >= 8 && entry.offset + entry.byteCount <= sound.count)
                    }
                } catch {
                    refused += 1
                }
            }
        }
        #expect(refused > 400)
    }

    private let folder = try? TemporaryFolder()

    /// The tensors of a file with these bytes, which errors call "w".
    @discardableResult
    private func read(_ bytes: [UInt8]) throws(EngineError) -> [String: TensorEntry] {
        guard let folder, (try? folder.write("w", bytes)) != nil else {
            throw .system(call: "write", path: "w", errno: 0)
        }
        return try SafetensorsHeader(of: MappedFile(path: folder.path("w")), name: "w").tensors
    }
}
