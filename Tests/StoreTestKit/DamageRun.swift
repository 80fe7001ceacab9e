// Damage to a store's file by kind of page, and what processes then make of the store.

public import Foundation
internal import TestKit

/// A run of many damaged stores.
public struct DamageRun: Sendable {
    /// What is done to a page.
    public enum Harm: String, CaseIterable, Sendable {
        /// One bit anywhere in the page.
        case bit
        /// Eight bits of its first 64 bytes, where a page's header and offsets are.
        case header
        /// All of it becomes zeros.
        case zeros
        /// All of it becomes random.
        case random
        /// It changes places with another page.
        case swap
        /// The file ends before it.
        case cut
    }

    /// What came out.
    public struct Tally: Sendable {
        /// Stores that were damaged.
        public var stores = 0
        /// Those of them in which bits were flipped, and no more.
        public var flips = 0
        /// Processes that used them.
        public var processes = 0
        /// Bytes that were delivered and wrong.
        public var wrongBytes = 0
        /// Processes that a signal ended, or that failed in a way that is not damage, with what was done to the store.
        public var ended: [String] = []
        /// Stores in which the third process was the first to meet the damage, and refused to write.
        public var late: [String] = []
        /// Stores that neither a third process nor the next could write to and read from.
        public var unusable: [String] = []
        /// Tokens that were flushed after the damage and lost to it.
        public var lost = 0
        /// What the first check of a store said, by kind of page.
        public var checks: [String: [String: Int]] = [:]
        /// Tokens that could be loaded from the damaged stores by their first process.
        public var loaded = 0

        /// Whether nothing was wrong that must not be.
        public var isGood: Bool { wrongBytes == 0 && ended.isEmpty && unusable.isEmpty }

        /// The figures, one line each.
        public var text: String {
            let checked = checks.sorted { $0.key < $1.key }.map { kind, words in
                "check of \(kind): "
                    + words.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
            }
            return
                ([
                    "stores \(stores), of these \(flips) with flipped bits; processes \(processes)",
                    "wrong bytes \(wrongBytes)",
                    "processes ended \(ended.count)",
                    "stores that fail a third start \(late.count), and the next one too \(unusable.count)",
                    "tokens loaded from damaged stores \(loaded), flushed into them and lost \(lost)",
                ] + checked + late + ended + unusable).joined(separator: "\n")
        }
    }

    private let worker: String
    private let seed: UInt64
    private let dies: Bool

    /// A run from a seed, with the path of `store-worker`. Processes that damage ends are the broken twin.
    public init(seed: UInt64, worker: String, dies: Bool = false) {
        self.seed = seed
        self.worker = worker
        self.dies = dies
    }

    /// Damages `count` stores, one after the other, through all kinds of pages and all kinds of harm in turns. Each is
    /// then used by three processes, and by one more when the third could not. Ends at `end` at the latest.
    public func run(count: Int, until end: Date = .distantFuture) throws -> Tally {
        let folder = try TemporaryFolder()
        let whole = folder.path("whole")
        try DamagedStore(whole, seed: seed).fill()
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: whole + "/data.mdb")))
        let pages = FilePages(bytes)
        var tally = Tally()
        var random = SplitMix64(seed: seed)
        // Four of five stores have flipped bits, and the fifth has other harm, through all kinds of pages in turns.
        let (flips, others) = ([Harm.bit, .header], [Harm.zeros, .random, .swap, .cut])
        let kinds = FilePages.Kind.allCases
        for index in 0..<count where Date() < end {
            let isFlip = index % 5 < 4
            let harm = isFlip ? flips[index % 2] : others[index / 5 % others.count]
            let kind = kinds[(index + index / 5) % kinds.count]
            tally.flips += isFlip ? 1 : 0
            let damaged = damage(bytes, pages, kind, harm, &random)
            let path = folder.path("store")
            try FileManager.default.copyItem(atPath: whole, toPath: path)
            try Data(damaged.bytes).write(to: URL(fileURLWithPath: path + "/data.mdb"))
            try use(path, kind, "\(kind) \(harm) \(damaged.name)", &tally)
            try FileManager.default.removeItem(atPath: path)
        }
        return tally
    }

    private func use(_ path: String, _ kind: FilePages.Kind, _ name: String, _ tally: inout Tally) throws {
        tally.stores += 1
        var said: [String] = []
        for start in 1...4 {
            let lies = dies ? ["PFX_LIES": "1"] : [:]
            let arguments = ["damaged", path, "\(seed)", "\(4 * tally.stores + start)"]
            let worker = try Worker(executable: worker, arguments, environment: lies)
            let (lines, status) = worker.finish()
            tally.processes += 1
            guard status == 0, let outcome = lines.last.flatMap(DamagedStore.Outcome.init) else {
                tally.ended.append("\(name): process \(start) ended with \(status): \(lines.last ?? "no output")")
                continue
            }
            said.append(outcome.line)
            tally.wrongBytes += outcome.wrong
            tally.lost += outcome.lost
            if start == 1 {
                tally.checks[kind.rawValue, default: [:]][outcome.check, default: 0] += 1
                tally.loaded += outcome.loaded
            }
            if start == 3 {
                guard !outcome.works else { break }
                // Damage may be met only now, by what the processes have written since. Then the next one works.
                tally.late.append("third start, \(name): \(said.joined(separator: "; "))")
            }
            if start == 4, !outcome.works { tally.unusable.append("\(name): \(outcome.line)") }
        }
    }

    private func damage(
        _ whole: [UInt8], _ pages: FilePages, _ kind: FilePages.Kind, _ harm: Harm, _ random: inout SplitMix64
    ) -> (bytes: [UInt8], name: String) {
        var bytes = whole
        let candidates = pages.pages[kind] ?? [0]
        let page = candidates[Int.random(in: 0..<candidates.count, using: &random)]
        let size = FilePages.pageSize
        let range = page * size..<(page + 1) * size
        switch harm {
        case .bit:
            bytes[Int.random(in: range, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case .header:
            for _ in 0..<8 {
                let offset = Int.random(in: 0..<64, using: &random)
                bytes[range.lowerBound + offset] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
        case .zeros: bytes.replaceSubrange(range, with: repeatElement(0, count: size))
        case .random: for index in range { bytes[index] = UInt8.random(in: 0...255, using: &random) }
        case .swap:
            let other = Int.random(in: 2..<bytes.count / size, using: &random)
            for offset in 0..<size { bytes.swapAt(range.lowerBound + offset, other * size + offset) }
        case .cut: bytes.removeSubrange(max(1, range.lowerBound)...)
        }
        return (bytes, "page \(page)")
    }
}
