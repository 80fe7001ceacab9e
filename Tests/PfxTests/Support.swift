// Running the built program, stores for it to work on, and snapshots of what it prints.

import Foundation
import PrefixStore
import StoreTestKit
import Testing

/// What a run of `pfx` did.
struct Run {
    var status: Int32
    var output: String
    var errors: String

    /// Runs the program that lies beside the test bundle.
    init(_ arguments: String...) throws { try self.init(arguments) }

    /// As `init(_:)`.
    ///
    /// - Parameters:
    ///   - program: another program; nil for `pfx`.
    ///   - file: where standard output goes; nil for `output`.
    init(
        _ arguments: [String], of program: String? = nil, to file: FileHandle? = nil,
        environment: [String: String] = [:]
    ) throws {
        let (output, errors) = (ChildProcess.pipe(), ChildProcess.pipe())
        let process: ChildProcess
        do {
            defer {
                close(output.writing)
                close(errors.writing)
            }
            process = try ChildProcess(
                program ?? ChildProcess.product("pfx"), arguments, output: file?.fileDescriptor ?? output.writing,
                errors: errors.writing, environment: environment)
        }
        // Errors are a line or two, so that reading one pipe to its end before the other cannot block the program.
        self.output = Self.text(output.reading)
        self.errors = Self.text(errors.reading)
        status = process.wait()
    }

    private static func text(_ descriptor: Int32) -> String {
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        return String(decoding: file.readDataToEndOfFile(), as: UTF8.self)
    }

    /// The output as one JSON object.
    func json() throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
    }
}

/// A folder with a store of known content, removed at the end.
final class Sample {
    let path: String
    /// Two spaces of one model label, which differ in their salt.
    let model: GeneratedModel
    let salted: GeneratedModel
    /// A document, and two prompts that begin with it.
    static let document = (0..<40).map { TokenID($0) }
    static let first = document + (100..<130).map { TokenID($0) }
    static let second = document + (200..<210).map { TokenID($0) }

    /// A third space, of four blocks: the second follows the first, and two follow the second.
    let blocks: GeneratedModel

    /// - Parameters:
    ///   - hasBlocks: whether to store the blocks too.
    ///   - key: the sealing key, 64 hexadecimal digits; nil for a plain store.
    init(blocks hasBlocks: Bool = false, key: String? = nil) throws {
        path = NSTemporaryDirectory() + "/pfx-cli-" + UUID().uuidString
        model = try GeneratedModel("demo")
        salted = try GeneratedModel("demo", salt: Salt(Array("a tenant's secret".utf8)))
        blocks = try GeneratedModel("demo blocks", layout: .blocks(element: .bf16))
        let sealingKey = try key.map { try SealingKey(text: Array($0.utf8)) }
        let store = try Store(
            at: path,
            options: StoreOptions(
                quota: .mebibytes(64), hotCapacity: .mebibytes(1), codec: .zstd, sealingKey: sealingKey))
        let space = try store.space(model.identity)
        try space.insertGenerated(Self.document, by: model)
        try space.insertGenerated(Self.first, by: model)
        try space.insertGenerated(Self.second, by: model)
        try store.flush()
        try store.space(salted.identity).insertGenerated(Self.document, by: salted)
        if hasBlocks { try putBlocks(store.blockSpace(blocks.identity)) }
        try store.flush()
        try store.close()
    }

    private func putBlocks(_ space: BlockSpace) throws {
        let contents = (0..<4).map { number in (0..<6000).map { UInt8(truncatingIfNeeded: $0 ^ number) } }
        let memory = GeneratedMemory(contents)
        defer { memory.free() }
        let keys: [(key: UInt8, parent: UInt8?)] = [(1, nil), (2, 1), (3, 2), (4, 2)]
        try space.put(
            keys.enumerated().map { index, block in
                let bytes = unsafe UnsafeRawBufferPointer(memory.bytes(index))
                return unsafe Block([block.key], after: block.parent.map { [$0] }, BlockSource(bytes))
            })
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The hashes of the pages of `tokens`.
    func hashes(_ tokens: [TokenID]) -> [PrefixHash] {
        PrefixHash.chain(from: model.identity.spaceRoot, tokens: tokens[...], pageSize: model.layout.pageSize)
    }

    /// Changes the data file.
    func damage(_ body: (inout Data) -> Void) throws {
        let file = URL(fileURLWithPath: path + "/data.mdb")
        var data = try Data(contentsOf: file)
        body(&data)
        try data.write(to: file)
    }
}

extension Data {
    /// Where `pattern` begins, each time.
    func offsets(of pattern: [UInt8]) -> [Int] {
        var found: [Int] = []
        var start = startIndex
        while let range = range(of: Data(pattern), in: start..<endIndex) {
            found.append(range.lowerBound)
            start = range.upperBound
        }
        return found
    }
}

/// Recorded output. `PFX_RECORD_SNAPSHOTS=1` records again what tests then read.
enum Snapshot {
    /// Compares `text` with the recorded one, after what changes from run to run was taken out.
    static func check(_ text: String, _ name: String, of sample: Sample? = nil) throws {
        let actual = sample.map { normal(text, $0) } ?? text
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Snapshots/\(name).txt")
        if ProcessInfo.processInfo.environment["PFX_RECORD_SNAPSHOTS"] == "1" {
            try actual.write(to: file, atomically: true, encoding: .utf8)
        }
        let expected = (try? String(contentsOf: file, encoding: .utf8)) ?? "no file \(file.lastPathComponent)"
        #expect(actual == expected)
    }

    /// `text` without paths, times, ages, versions, and with two blanks at most between columns.
    private static func normal(_ text: String, _ sample: Sample) -> String {
        let rules = [
            (sample.path, "FOLDER"), (#"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ"#, "TIME"),
            (#"\b\d+ (s|min|h|d)\b"#, "AGE"), (#"LMDB [0-9.]+, zstd [0-9.]+"#, "LMDB VERSION, zstd VERSION"),
            (#"writes +\d+"#, "writes  N"),
            (#""(generation|file_bytes|free_bytes)" : \d+"#, #""$1" : N"#),
            (#""(lmdb|zstd)_version" : "[0-9.]+""#, #""$1_version" : VERSION"#), (#"file  .*"#, "file  SIZE"),
            (#"(?<=[^\s|])   +"#, "  "),
        ]
        return rules.reduce(text) { text, rule in
            text.replacingOccurrences(of: rule.0, with: rule.1, options: .regularExpression)
        }
    }
}
