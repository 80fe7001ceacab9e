// The README's example, as it is printed there: tools/docs-check compares the two. Everything below this line is the
// example.

import PrefixStore

// Your engine: memory for the pages of one prompt, and a prefill that fills it.
struct Engine {
    let layout: KVLayout
    let memory: UnsafeMutableRawPointer

    init(_ layout: KVLayout, tokens: Int) {
        self.layout = layout
        let pages = (tokens + layout.pageSize - 1) / layout.pageSize
        memory = .allocate(byteCount: pages * layout.bytesPerPage, alignment: 64)
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: pages * layout.bytesPerPage)
    }

    func page(_ index: Int) -> UnsafeMutableRawPointer { memory + index * layout.bytesPerPage }

    func prefill(_ prompt: [TokenID], from first: Int) {
        print("computing \(prompt.count - first) of \(prompt.count) tokens")
    }
}

func serve(_ prompt: [TokenID], with engine: Engine, from space: Space) throws {
    let pageSize = space.layout.pageSize

    // Load what is stored of the prompt into the engine's memory; leave its last token to be computed.
    let match = try space.match(prompt)
    let targets = (0..<match.pageCount).map { PageTarget(engine.page($0), capacity: pageSize) }
    let loaded = try match.load(into: targets, limit: prompt.count - 1)

    // Compute the rest, and store the pages that are new.
    engine.prefill(prompt, from: loaded.tokens)
    try space.insert(prompt, after: loaded.place) { PageSource(engine.page($0), capacity: pageSize) }
}

let layout = try KVLayout(layers: 16, kvHeads: 8, headDimension: 64, element: .bf16, pageSize: 64)
let identity = try ModelIdentity(
    weights: .sha256(Array("the weight files".utf8)), layout: layout, positions: "rope theta=500000",
    tokenizer: .sha256(Array("the tokenizer's files".utf8)), engine: "my engine", engineFormat: 1)
let prompt = (0..<200).map { TokenID($0) }

let store = try Store(at: "kv")
try serve(prompt, with: Engine(layout, tokens: prompt.count), from: store.space(identity))
try store.flush()  // from here on the pages survive a kill and a power cut
try store.close()
