// The shapes of known models' KV, from their published configurations.

internal import ArgumentParser
internal import PrefixStore

/// A model whose KV shape is known by name.
enum ModelShape: String, CaseIterable, ExpressibleByArgument {
    case llama32of1B = "Llama-3.2-1B"
    case llama31of8B = "Llama-3.1-8B"
    case qwen3of8B = "Qwen3-8B"
    case qwen25of7B = "Qwen2.5-7B"
    case deepSeekV3 = "DeepSeek-V3-MLA"
    case demo

    /// Layers, KV heads, and elements of a key head and of a value head; 0 for a latent cache with one plane per layer.
    var dimensions: KVDimensions {
        switch self {
        case .llama32of1B: KVDimensions(layers: 16, kvHeads: 8, key: 64, value: 64)
        case .llama31of8B: KVDimensions(layers: 32, kvHeads: 8, key: 128, value: 128)
        case .qwen3of8B: KVDimensions(layers: 36, kvHeads: 8, key: 128, value: 128)
        case .qwen25of7B: KVDimensions(layers: 28, kvHeads: 4, key: 128, value: 128)
        case .deepSeekV3: KVDimensions(layers: 61, kvHeads: 1, key: 576, value: 0)
        case .demo: KVDimensions(layers: 6, kvHeads: 2, key: 64, value: 64)
        }
    }
}

/// The numbers that make a KV layout, except page size and element type.
struct KVDimensions {
    var layers, kvHeads, key, value: Int

    /// The layout with them.
    func layout(_ element: KVElement, pageSize: Int) throws(StoreError) -> KVLayout {
        try KVLayout(
            layers: layers, kvHeads: kvHeads, keyDimension: key, valueDimension: value, element: element,
            pageSize: pageSize)
    }
}

/// The element types that the benchmark makes pages of.
enum BenchElement: String, CaseIterable, ExpressibleByArgument {
    case bf16, fp16, fp32

    /// The store's name for it.
    var element: KVElement {
        switch self {
        case .bf16: .bf16
        case .fp16: .fp16
        case .fp32: .fp32
        }
    }
}
