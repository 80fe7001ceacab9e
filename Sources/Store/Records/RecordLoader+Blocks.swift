// Blocks from a tier straight into the caller's memory. Each stands for itself: one that is not there keeps no other
// from being loaded.

package import KVFormat
internal import PageCodec
internal import Threads

/// A block to load.
package struct BlockLoad: Sendable {
    /// Its hash.
    package let hash: PrefixHash
    /// Where to; a block of another size is not loaded.
    package let target: BlockTarget
    /// The seal of its space; nil for a space that is not sealed.
    package let seal: SpaceSeal?

    /// A block to load.
    package init(hash: PrefixHash, target: BlockTarget, seal: SpaceSeal? = nil) {
        self.hash = hash
        self.target = target
        self.seal = seal
    }
}

extension RecordLoader {
    /// Loads blocks, each decoded into its target, by the calling thread and the team's.
    ///
    /// - Parameters:
    ///   - loads: blocks of one space.
    ///   - layout: the space's layout.
    ///   - tier: where they are.
    /// - Returns: for each, whether it is whole in its target. A block that is not there, or has another size, leaves
    ///   its target alone; of a damaged one, which the tier is told, the target may hold some bytes.
    /// - Throws: what kept the tier from answering.
    /// - Complexity: one pass over the stored bytes.
    package func load(
        _ loads: [BlockLoad], of layout: KVLayout, from tier: any RecordTier
    ) throws(StoreError) -> [Bool] {
        var isDelivered = [Bool](repeating: false, count: loads.count)
        var start = 0
        while start < loads.count {
            let batch = Self.batch(loads[start...])
            let wanted = batch.map { RecordRequest(hash: $0.hash, tokenCount: 0, seal: $0.seal) }
            try tier.lend(wanted, of: layout) { records in
                let loading = BlockLoading(batch, records, readRate)
                team.forEach(loading.pieces.count, isShared: loading.rawBytes >= Self.sharedBytes) { index in
                    decoders.withItem { loading.decode(index, with: $0.decoder) }
                }
                let damage = loading.damage
                for index in loading.present where damage[index] == nil { isDelivered[start + index] = true }
                return damage
            }
            start = batch.endIndex
        }
        return isDelivered
    }

    /// The first blocks of `loads`, as many as are lent together.
    private static func batch(_ loads: ArraySlice<BlockLoad>) -> ArraySlice<BlockLoad> {
        var bytes = 0
        let end = loads.firstIndex { load in
            defer { bytes += load.target.byteCount }
            return bytes >= lentBytes
        }
        return loads[..<(end ?? loads.endIndex)]
    }
}

/// The records of a batch of blocks, and what has become of their frames. Thread-safe.
private final class BlockLoading: Sendable {
    private let targets: [BlockTarget]
    private let records: [RecordBytes?]
    /// The blocks that are there and fit their targets.
    let present: [Int]
    /// Every frame of them: a piece of work of its own.
    let pieces: [(block: Int, frame: Int)]
    private let state = Guarded(State())
    private let rate: ReadRate

    private struct State {
        /// The blocks that cannot be trusted, and why.
        var failures: [Int: RecordDamage] = [:]
    }

    init(_ loads: ArraySlice<BlockLoad>, _ records: [RecordBytes?], _ rate: ReadRate) {
        let targets = loads.map(\.target)
        self.targets = targets
        self.records = records
        self.rate = rate
        present = records.indices.filter { records[$0]?.rawBytes == targets[$0].byteCount }
        pieces = present.flatMap { block in
            (0..<(records[block]?.frameCount ?? 0)).map { (block: block, frame: $0) }
        }
    }

    /// Bytes of the blocks that are loaded.
    var rawBytes: Int { present.reduce(0) { $0 + targets[$1].byteCount } }

    /// The blocks that cannot be trusted, and why.
    var damage: [Int: RecordDamage] { state.withLock { $0.failures } }

    /// Decodes piece `index` into its target. Any number of pieces may be decoded at once.
    func decode(_ index: Int, with decoder: RecordDecoder) {
        let (block, frame) = pieces[index]
        // A block that has failed is a miss whatever its other frames hold.
        guard let held = records[block], state.withLock({ $0.failures[block] == nil }) else { return }
        let record = held.view
        do throws(RecordDamage) {
            rate.fetch(record.uncheckedBytes(ofFrame: frame))
            try decoder.decode(frame: frame, ofBlock: record, into: targets[block])
        } catch {
            state.withLock { $0.failures[block] = $0.failures[block] ?? error }
        }
    }
}
