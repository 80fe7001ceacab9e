// Power cuts: what a process wrote and synced is recorded, and the store is opened as a cut anywhere would leave it.

import CFaults
public import Foundation
import PrefixStore
import StoreTestKit
import TestKit

/// A run of many images of stores after power cuts.
public struct PowerCutRun: Sendable {
    /// What came out.
    public struct Tally: Sendable, Equatable {
        /// Images that were opened.
        public var images = 0
        /// Recordings that they were made of.
        public var recordings = 0
        /// Writes of those recordings.
        public var writes = 0
        /// Their syncs.
        public var syncs = 0
        /// Tokens that had been flushed before the cut.
        public var flushed = 0
        /// Those of them that were not there.
        public var lost = 0
        /// Bytes that were delivered and wrong.
        public var wrongBytes = 0
        /// Images that could not be opened, written to, or were not sound.
        public var unusable: [String] = []

        /// Whether nothing was wrong that must not be.
        public var isGood: Bool { lost == 0 && wrongBytes == 0 && unusable.isEmpty && images > 0 && flushed > 0 }
    }

    private let seed: UInt64
    private let honoursSync: Bool
    /// Images of one recording.
    private static let images = 250
    private static let prompts = 24
    /// Prompts between two flushes.
    private static let batch = 3

    /// A run from a seed. On a disk that does not honour syncs, pages are lost: the broken twin.
    public init(seed: UInt64, honoursSync: Bool = true) {
        self.seed = seed
        self.honoursSync = honoursSync
    }

    /// Makes and opens `count` images, until `end` at most.
    public func run(count: Int, until end: Date = .distantFuture) throws -> Tally {
        var tally = Tally()
        var random = SplitMix64(seed: seed)
        while tally.images < count, Date() < end {
            let folder = try TemporaryFolder()
            let own = random.next()
            let recording = try record(in: folder, seed: own, evicts: tally.recordings % 3 == 2)
            tally.recordings += 1
            tally.writes += recording.entries.count { if case .write = $0 { true } else { false } }
            tally.syncs += recording.entries.count { if case .sync = $0 { true } else { false } }
            for index in 0..<min(Self.images, count - tally.images) {
                let cut = Int.random(in: 0...recording.entries.count, using: &random)
                let rest = Recording.Rest.allCases[index % Recording.Rest.allCases.count]
                let image = recording.image(cutting: cut, leaving: rest, honoursSync: honoursSync, &random)
                let acknowledged = recording.acknowledged(before: cut)
                try Data(image).write(to: URL(fileURLWithPath: folder.path("image/data.mdb")))
                let name = "recording \(own) cut \(cut) leaving \(rest)"
                check(folder.path("image"), own, acknowledged, writesToo: index % 8 == 0, name, &tally)
                tally.images += 1
            }
        }
        return tally
    }

    private static func open(_ path: String, evicts: Bool) throws -> Store {
        let options = StoreOptions(quota: .mebibytes(evicts ? 4 : 64), hotCapacity: .kibibytes(64))
        return try Store(at: path, options: options)
    }

    private static func prompts(_ seed: UInt64) -> [[TokenID]] {
        var prompts = RandomPrompts(seed: seed, documents: 6)
        return (0..<Self.prompts).map { _ in prompts.next() }
    }

    /// Fills a store under a recording, and makes the folder `image` with all of the store's files but the data.
    private func record(in folder: TemporaryFolder, seed: UInt64, evicts: Bool) throws -> Recording {
        let path = folder.path("store")
        let model = try GeneratedModel("power")
        // The space exists before: what is recorded is writing, not making.
        let first = try Self.open(path, evicts: evicts)
        _ = try first.space(model.identity)
        try first.close()
        let base = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path + "/data.mdb")))
        guard unsafe cfaults_record("store/data.mdb", folder.path("log")) == 0 else {
            throw CocoaError(.fileWriteUnknown)
        }
        let store = try Self.open(path, evicts: evicts)
        let space = try store.space(model.identity)
        for (number, prompt) in Self.prompts(seed).enumerated() {
            try space.insertGenerated(prompt, by: model)
            guard (number + 1) % Self.batch == 0 else { continue }
            try store.flush()
            if number % 2 == 0 {
                let bytes = [UInt8](repeating: UInt8(number), count: 300)
                do {
                    try space.putSideState("state", unsafe bytes.span.bytes, after: prompt)
                } catch StoreError.noSuchPage {
                    // The prompt ends inside a page that an earlier one has filled further.
                }
            }
            if !evicts { cfaults_mark(UInt64(number + 1)) }
        }
        if evicts {
            // Larger prompts than the quota has room for.
            var random = RandomPrompts(seed: seed, documents: 40, longest: 2000)
            for _ in 0..<20 { try space.insertGenerated(random.next(), by: model) }
            try store.flush()
        }
        try store.close()
        cfaults_record_stop()
        let log = try Data(contentsOf: URL(fileURLWithPath: folder.path("log")))
        try FileManager.default.copyItem(atPath: path, toPath: folder.path("image"))
        return Recording(log: log, base: base)
    }

    /// Opens an image, reads all that was acknowledged, and perhaps writes to it and checks it.
    private func check(
        _ path: String, _ seed: UInt64, _ acknowledged: Int, writesToo: Bool, _ name: String, _ tally: inout Tally
    ) {
        do {
            let model = try GeneratedModel("power")
            let store = try Self.open(path, evicts: false)
            let space = try store.space(model.identity)
            let read = try ReadBack(Self.prompts(seed), flushed: acknowledged, from: space, by: model)
            tally.wrongBytes += read.wrongBytes
            tally.flushed += read.flushed
            tally.lost += read.lost
            if writesToo { try space.insertGenerated([1, 2, 3, 4, 5], by: model) }
            try store.close()
            if writesToo, let damage = try ReadBack.damage(of: path) { tally.unusable.append("\(name): \(damage)") }
        } catch {
            tally.unusable.append("\(name): \(error)")
        }
    }
}

extension PowerCutRun.Tally {
    /// The figures, one line each.
    public var text: String {
        ([
            "images \(images), recordings \(recordings), writes \(writes), syncs \(syncs)",
            "flushed tokens \(flushed), lost \(lost)", "wrong bytes \(wrongBytes)", "unusable images \(unusable.count)",
        ] + unusable.prefix(20)).joined(separator: "\n")
    }
}
