// What one process does in a run of `HistoryRun`, and how it notes it.

public import Foundation
import PrefixStore
import StoreTestKit
import TestKit

/// Events on a store, with the moments between which they happened, by a clock that all processes share.
public struct History {
    /// What happened.
    public enum Kind: UInt64, Sendable, CaseIterable {
        /// Something was put; the value tells it from every other put.
        case put = 1
        /// A read gave a value, or nothing, or bytes of no value.
        case hit, miss, garbled
        /// A key was removed, or its date has passed.
        case remove
        /// All that this process had put is on disk.
        case flush
    }

    /// One event.
    public struct Event: Sendable, Equatable {
        /// What happened.
        public var kind: Kind
        /// The key's number; pages follow the blocks.
        public var key: UInt64
        /// The value.
        public var value: UInt64
        /// Before the call, in nanoseconds.
        public var begin: UInt64
        /// After it.
        public var end: UInt64
        /// Who noted it.
        public var process: Int
    }

    /// The value of a read of a page, whose bytes do not tell who has put it.
    public static let anyValue = UInt64.max
    private static let eventBytes = 40
    private static let blocks: UInt64 = 200
    private static let pages: UInt64 = 60

    private let process: Int
    private var random: SplitMix64
    private var notes = Data()
    private var counter: UInt64 = 0
    private let remembers: Bool
    private var remembered: [UInt64: UInt64] = [:]

    /// A process; one that `remembers` blocks answers reads from its memory, whatever others have removed.
    public init(seed: UInt64, process: Int, remembers: Bool) {
        self.process = process
        self.remembers = remembers
        random = SplitMix64(seed: seed &+ UInt64(process) &* 7919)
    }

    /// Reads notes.
    public static func events(_ notes: Data, process: Int) -> [Event] {
        let bytes = [UInt8](notes)
        func word(_ place: Int) -> UInt64 {
            (0..<8).reduce(0) { $0 | UInt64(bytes[place + $1]) << UInt64(8 * $1) }
        }
        return stride(from: 0, to: bytes.count / eventBytes * eventBytes, by: eventBytes).compactMap { start in
            guard let kind = Kind(rawValue: word(start)) else { return nil }
            return Event(
                kind: kind, key: word(start + 8), value: word(start + 16), begin: word(start + 24),
                end: word(start + 32), process: process)
        }
    }

    private static func now() -> UInt64 { DispatchTime.now().uptimeNanoseconds }

    private mutating func note(_ kind: Kind, _ key: UInt64, _ value: UInt64, _ begin: UInt64) {
        for word in [kind.rawValue, key, value, begin, Self.now()] {
            for byte in 0..<8 { notes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * byte))) }
        }
    }

    /// Works on the store in `path` for some seconds, and returns the notes.
    public mutating func run(_ path: String, seconds: Double) throws -> Data {
        let store = try Store(at: path, options: StoreOptions(quota: .gibibytes(1), hotCapacity: .kibibytes(0)))
        let digest = Digest.sha256([7])
        let identity = try ModelIdentity(
            weights: digest, layout: .blocks(element: .opaque), positions: "none", tokenizer: digest, engine: "history",
            engineFormat: 1)
        let blocks = try store.blockSpace(identity)
        let model = try GeneratedModel("history")
        let pages = try store.space(model.identity)
        let end = Self.now() + UInt64(seconds * 1e9)
        while Self.now() < end {
            let key = UInt64.random(in: 0..<Self.blocks + Self.pages, using: &random)
            let choice = Int.random(in: 0..<100, using: &random)
            if choice == 0 {
                let begin = Self.now()
                try store.flush()
                note(.flush, 0, 0, begin)
            } else if key < Self.blocks {
                try onBlock(key, choice, blocks)
            } else {
                try onPage(key, choice, pages, model)
            }
        }
        try store.close()
        return notes
    }

    private mutating func onBlock(_ key: UInt64, _ choice: Int, _ space: BlockSpace) throws {
        let name = Array("block \(key)".utf8)
        let words = 64 + Int(key % 7) * 500
        let begin = Self.now()
        switch choice {
        case 1..<30:
            counter += 1
            let value = UInt64(process) << 48 | counter
            let content = [UInt64](repeating: value, count: words)
            let outcome = unsafe try content.withUnsafeBytes { bytes in
                try unsafe space.put([Block(name, BlockSource(bytes))])[0]
            }
            if outcome == .queued || outcome == .alreadyThere { note(.put, key, value, begin) }
        case 30..<40:
            try space.remove([name])
            remembered[key] = nil
            note(.remove, key, 0, begin)
        default:
            var content = [UInt64](repeating: 0, count: words)
            let isThere = unsafe try content.withUnsafeMutableBytes { bytes in
                try unsafe space.load([name], into: [BlockTarget(bytes)])[0]
            }
            if isThere, remembers { remembered[key] = content[0] }
            let value = isThere ? content[0] : remembered[key]
            guard let value else { return note(.miss, key, 0, begin) }
            note(isThere && !content.allSatisfy { $0 == value } ? .garbled : .hit, key, value, begin)
        }
    }

    /// False when it is not on disk yet, or not any more.
    private static func expire(_ prompt: [TokenID], in space: Space) throws -> Bool {
        do throws(StoreError) {
            try space.expire(prompt, at: Timestamp(milliseconds: 1))
            return true
        } catch {
            guard case .noSuchPage = error else { throw error }
            return false
        }
    }

    private mutating func onPage(_ key: UInt64, _ choice: Int, _ space: Space, _ model: GeneratedModel) throws {
        let prompt = (0..<16 + Int(key % 3) * 16).map { TokenID(10_000 + key) &+ TokenID($0) * 1000 }
        let begin = Self.now()
        switch choice {
        case 1..<30:
            try space.insertGenerated(prompt, by: model)
            note(.put, key, Self.anyValue - 1, begin)
        case 30..<40:
            if try Self.expire(prompt, in: space) { note(.remove, key, 0, begin) }
        default:
            let read = try space.loadGenerated(prompt, by: model)
            if read.wrongBytes > 0 { return note(.garbled, key, 0, begin) }
            note(read.loaded.tokens == prompt.count ? .hit : .miss, key, Self.anyValue, begin)
        }
    }
}
