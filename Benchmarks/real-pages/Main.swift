// tools/bench/real-pages: the KV that the demo checkpoint computes of real text, page after page in one file.

internal import Foundation
internal import LlamaEngine
internal import PrefixStore

private let usage = """
    usage: tools/bench/real-pages FILE [--element bf16|fp16|fp32] [--page-size TOKENS]

    Writes the pages of the texts in tools/demo-assets/documents to FILE, one after the other, and prints their shape. That is what
    `codec-bench --file`, `pfx bench --pages-file` and `tools/bench/compare --pages` take. Elements are bf16 and pages have 256
    tokens unless said.
    """

@main
struct RealPages {
    static func main() throws {
        var element = KVElement.bf16
        var pageSize = 256
        var arguments = CommandLine.arguments.dropFirst()
        guard let path = arguments.popFirst(), !path.hasPrefix("-") else { return refuse() }
        while let option = arguments.popFirst() {
            guard let value = arguments.popFirst() else { return refuse() }
            switch option {
            case "--element":
                guard let named = KVElement(value) else { return refuse() }
                element = named
            case "--page-size":
                guard let tokens = Int(value) else { return refuse() }
                pageSize = tokens
            default: return refuse()
            }
        }
        try write(to: path, element, pageSize)
    }

    private static func refuse() {
        FileHandle.standardError.write(Data((usage + "\n").utf8))
        exit(2)
    }

    private static func write(to path: String, _ element: KVElement, _ pageSize: Int) throws {
        let checkpoint = try Checkpoint(folder: "tools/demo-assets/checkpoint")
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("real-pages-\(getpid())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try Store(at: folder)
        defer { try? store.close() }
        let engine = try Engine(
            checkpoint: checkpoint, options: EngineOptions(kvElement: element, pageSize: pageSize), store: store)
        guard let space = engine.space else { preconditionFailure("an engine with a store has a space") }
        let layout = engine.layout
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let file = FileHandle(forWritingAtPath: path)
        else { throw CocoaError(.fileWriteUnknown, userInfo: [NSFilePathErrorKey: path]) }
        var pages = 0
        for prompt in try prompts(checkpoint.tokenizer(), checkpoint.config.maxPositions - 1, pageSize) {
            _ = try engine.prefill(prompt)
            let count = prompt.count / pageSize
            let memory = UnsafeMutableRawPointer.allocate(byteCount: count * layout.bytesPerPage, alignment: 64)
            defer { unsafe memory.deallocate() }
            let match = try space.match(prompt)
            let targets = (0..<count).map { page in
                unsafe PageTarget(memory + page * layout.bytesPerPage, capacity: pageSize)
            }
            let loaded = try space.load(match, into: targets)
            guard loaded.tokens >= count * pageSize else { preconditionFailure("what was just stored is there") }
            unsafe file.write(Data(bytes: memory, count: count * layout.bytesPerPage))
            pages += count
        }
        print(
            "\(pages) pages of \(layout.bytesPerPage) bytes: --layers \(layout.layers) --kv-heads \(checkpoint.config.kvHeadCount) "
                + "--head-dimension \(checkpoint.config.headDimension) --page-size \(pageSize) --element \(element)")
    }

    /// The documents' token ids, as many whole pages a prompt as the model takes.
    private static func prompts(_ tokenizer: Tokenizer, _ limit: Int, _ pageSize: Int) throws -> [[TokenID]] {
        let folder = URL(fileURLWithPath: "tools/demo-assets/documents")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasSuffix(".txt") }
        return try names.sorted().flatMap { name -> [[TokenID]] in
            let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
            let tokens = tokenizer.encode(text)
            let longest = limit / pageSize * pageSize
            return stride(from: 0, to: tokens.count, by: longest).compactMap { start in
                let count = min(longest, tokens.count - start) / pageSize * pageSize
                return count > 0 ? Array(tokens[start..<start + count]) : nil
            }
        }
    }
}
