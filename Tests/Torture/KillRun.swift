// Kills: processes that write, read and evict are killed at any moment, and what was flushed is read again.

public import Foundation
import PrefixStore
import StoreTestKit
import TestKit

/// A run of many kills.
public struct KillRun: Sendable {
    /// Who is killed.
    public enum Role: String, CaseIterable, Sendable {
        /// Stores and flushes, in a store that has room for all.
        case writer
        /// Reads and writes beside it.
        case reader
        /// Stores more than the quota has room for.
        case evictor
    }

    /// What came out.
    public struct Tally: Sendable, Equatable {
        /// Kills, by role.
        public var kills: [Role: Int] = [:]
        /// Tokens that had been flushed before a kill.
        public var flushed = 0
        /// Those of them that were not there after it.
        public var lost = 0
        /// Bytes that were delivered and wrong.
        public var wrongBytes = 0
        /// Stores that could not be opened, written to, or were not sound after a kill.
        public var unusable: [String] = []

        /// Whether nothing was wrong that must not be.
        public var isGood: Bool { lost == 0 && wrongBytes == 0 && unusable.isEmpty && flushed > 0 && count > 0 }
        /// All kills.
        public var count: Int { kills.values.reduce(0, +) }
    }

    private let worker: String
    private let seed: UInt64
    private let lies: Bool
    /// Kills in one folder, so that each meets what the ones before have left.
    private static let killsOfOneFolder = 20

    /// A run from a seed, with the path of `store-worker`. Writers that say that they have flushed before they do lose
    /// pages: the broken twin.
    public init(seed: UInt64, worker: String, lies: Bool = false) {
        self.seed = seed
        self.worker = worker
        self.lies = lies
    }

    /// Kills `count` processes, until `end` at most.
    public func run(count: Int, until end: Date = .distantFuture) throws -> Tally {
        var tally = Tally()
        var random = SplitMix64(seed: seed)
        while tally.count < count, Date() < end {
            let folder = try TemporaryFolder()
            let own = random.next() >> 16
            let role = Role.allCases[tally.count / Self.killsOfOneFolder % Role.allCases.count]
            var flushed = 0
            for kill in 0..<min(Self.killsOfOneFolder, count - tally.count) {
                let name = "folder \(own) \(role) kill \(kill)"
                try killOne(folder.path("store"), role, own, &flushed, &random)
                tally.kills[role, default: 0] += 1
                check(folder.path("store"), role, own, flushed, verifies: kill % 5 == 4, name, &tally)
            }
        }
        return tally
    }

    private func killOne(
        _ path: String, _ role: Role, _ own: UInt64, _ flushed: inout Int, _ random: inout SplitMix64
    ) throws {
        let lying = lies ? ["PFX_LIES": "1"] : [:]
        let fill = ["fill", path, "\(own)"]
        let victim: Worker
        switch role {
        case .writer: victim = try Worker(executable: worker, fill, environment: lying)
        case .reader: victim = try Worker(executable: worker, ["hammer", path, "60", "\(own % 997)", "1GiB"])
        case .evictor: victim = try Worker(executable: worker, ["hammer", path, "60", "\(own % 997)", "4MiB"])
        }
        let beside = role == .reader ? try Worker(executable: worker, fill, environment: lying) : nil
        let writer = role == .writer ? victim : beside
        if let writer {
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                guard let line = writer.nextLine(), let count = line.split(separator: " ").last.flatMap({ Int($0) })
                else { break }
                flushed = max(flushed, count)
            }
        }
        // At any moment of what comes next: of an opening too, for those that have said nothing yet.
        usleep(UInt32.random(in: 0..<40_000, using: &random))
        victim.kill()
        beside?.kill()
    }

    private func check(
        _ path: String, _ role: Role, _ own: UInt64, _ flushed: Int, verifies: Bool, _ name: String,
        _ tally: inout Tally
    ) {
        do {
            let quota: ByteCount = role == .evictor ? .mebibytes(4) : .gibibytes(1)
            let store = try Store(at: path, options: StoreOptions(quota: quota, hotCapacity: .kibibytes(64)))
            let model = try GeneratedModel(role == .evictor ? "hammer" : "fill")
            let space = try store.space(model.identity)
            var prompts = RandomPrompts(seed: role == .evictor ? own % 997 : own, documents: role == .evictor ? 5 : 20)
            let all = (0..<max(flushed, 20)).map { _ in prompts.next() }
            let read = try ReadBack(all, flushed: flushed, from: space, by: model)
            tally.wrongBytes += read.wrongBytes
            tally.flushed += read.flushed
            tally.lost += read.lost
            try space.insertGenerated([1, 2, 3, 4, 5], by: model)
            try store.close()
            if verifies, let damage = try ReadBack.damage(of: path) { tally.unusable.append("\(name): \(damage)") }
        } catch {
            tally.unusable.append("\(name): \(error)")
        }
    }
}

extension KillRun.Tally {
    /// The figures, one line each.
    public var text: String {
        let roles = kills.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.key) \($0.value)" }
        return
            ([
                "kills \(count): \(roles.joined(separator: ", "))", "flushed tokens \(flushed), lost \(lost)",
                "wrong bytes \(wrongBytes)", "unusable stores \(unusable.count)",
            ] + unusable.prefix(20)).joined(separator: "\n")
    }
}
