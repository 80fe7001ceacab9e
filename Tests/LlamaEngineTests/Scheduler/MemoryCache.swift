// A prefix cache in memory: token-exact, with tails, as the store is.

import KVFormat
import PrefixStore

@testable import LlamaEngine

/// Keeps every token's bytes in each plane under the token ids up to it.
final class MemoryCache: PrefixCache {
    let layout: KVLayout
    /// Bytes of the last token of a prefix, all planes one after the other.
    private var tokens: [[UInt32]: [UInt8]] = [:]
    /// Calls of `load` that were announced more tokens than they got, when the cache is told to fail.
    var losesTokensFrom = Int.max
    private(set) var insertedTokens = 0
    private(set) var recordedTokens = 0
    /// The longest prefix of the prompts that `load` gave out.
    private(set) var loads: [Int] = []

    init(layout: KVLayout) { self.layout = layout }

    var tokenCount: Int { tokens.count }

    /// The stored bytes; two engines that compute the same leave the same.
    var contents: [[UInt32]: [UInt8]] { tokens }

    private func matchLength(_ prompt: [UInt32]) -> Int {
        var count = 0
        while count < prompt.count, tokens[Array(prompt[...count])] != nil { count += 1 }
        return count
    }

    func load(_ prompt: [UInt32], limit: Int, into targets: (Int) -> [PageTarget]?) -> LoadedPrefix {
        let count = min(matchLength(prompt), limit)
        guard count > 0, let pages = targets(count) else { return LoadedPrefix() }
        let loaded = min(count, losesTokensFrom)
        for index in 0..<loaded {
            guard let bytes = tokens[Array(prompt[...index])] else { continue }
            let (page, slot) = index.quotientAndRemainder(dividingBy: layout.pageSize)
            var offset = 0
            for plane in 0..<layout.planeCount {
                let size = layout.bytesPerToken(inPlane: plane)
                let target = unsafe pages[page].address(ofPlane: plane, layout) + slot * size
                unsafe bytes[offset..<offset + size].withUnsafeBytes { part in
                    guard let base = part.baseAddress else { return }
                    unsafe target.copyMemory(from: base, byteCount: size)
                }
                offset += size
            }
        }
        loads.append(loaded)
        return LoadedPrefix(tokens: loaded, hotTokens: loaded / 2, coldTokens: loaded - loaded / 2)
    }

    func insert(
        _ prompt: ArraySlice<UInt32>, after place: SequencePlace?, page source: (Int) -> PageSource
    ) -> SequencePlace? {
        for index in (place?.tokens ?? 0)..<prompt.count {
            let key = Array(prompt[...index])
            let (page, slot) = index.quotientAndRemainder(dividingBy: layout.pageSize)
            var bytes: [UInt8] = []
            for plane in 0..<layout.planeCount {
                let size = layout.bytesPerToken(inPlane: plane)
                let bytesOfPlane = unsafe source(page).address(ofPlane: plane, layout) + slot * size
                unsafe bytes += UnsafeRawBufferPointer(start: bytesOfPlane, count: size)
            }
            if let old = tokens[key] {
                precondition(old == bytes, "a token's KV was computed twice with different bits")
            } else {
                tokens[key] = bytes
                insertedTokens += 1
            }
        }
        let root = PrefixHash.sha256([])
        return SequencePlace(root: root, hash: root, tokens: prompt.count / layout.pageSize * layout.pageSize)
    }

    func recordPrefill(tokens: Int, time: Duration) { recordedTokens += tokens }
}
