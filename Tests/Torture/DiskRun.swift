// Full disks: real file systems that something else fills and empties while a process stores, reads and is killed.

public import Foundation
public import PrefixStore
public import StoreTestKit
import TestKit

/// A run over file systems of their own, in images that are mounted. It needs the rights to mount.
public struct DiskRun: Sendable {
    /// What came out.
    public struct Tally: Sendable {
        /// File systems that were made and filled.
        public var kinds: [String] = []
        /// Those that this machine could not make, and why.
        public var missing: [String] = []
        /// Kills.
        public var kills = 0
        /// Calls that said that the disk is full.
        public var full = 0
        /// Flushes that succeeded.
        public var flushes = 0
        /// Tokens of prompts that were flushed while there was room, and lost.
        public var lost = 0
        /// Where that was.
        public var losses: [String] = []
        /// Bytes that were delivered and wrong.
        public var wrongBytes = 0
        /// Errors of another kind, processes that ended, and stores that did not work once there was room again.
        public var broken: [String] = []

        /// Whether nothing was wrong that must not be.
        public var isGood: Bool {
            !kinds.isEmpty && kills > 0 && flushes > 0 && lost == 0 && wrongBytes == 0 && broken.isEmpty
        }

        /// The figures, one line each.
        public var text: String {
            ([
                "file systems \(kinds.joined(separator: ", "))", "kills \(kills)",
                "flushes \(flushes); refused for a full disk \(full)", "flushed tokens lost \(lost)",
                "wrong bytes \(wrongBytes)", "broken \(broken.count)",
            ] + missing.map { "not run: " + $0 } + losses.map { "lost: " + $0 } + broken.prefix(20))
            .joined(separator: "\n")
        }
    }

    /// Less than the smallest of the disks, so that pages are evicted only where the disk is full.
    public static let quota = ByteCount.mebibytes(64)
    /// A model with pages of 128 KiB.
    public static func model() throws -> GeneratedModel {
        try GeneratedModel(
            "crowd", layout: KVLayout(layers: 4, kvHeads: 8, headDimension: 64, element: .bf16, pageSize: 16))
    }
    /// Prompts of a process.
    static public func prompts(seed: UInt64) -> RandomPrompts {
        RandomPrompts(seed: seed, documents: 40, longest: 100)
    }

    /// File systems, and how to make each in an image; tmpfs needs none.
    private static let kinds: [(name: String, make: String)] = [
        ("ext4", "truncate -s 128M image && mkfs.ext4 -q image"),
        ("xfs", "truncate -s 320M image && mkfs.xfs -q image"),
        ("btrfs", "truncate -s 160M image && mkfs.btrfs -q image"), ("tmpfs", ""),
    ]

    private let worker: String
    private let seed: UInt64
    private let lies: Bool

    /// A run from a seed, with the path of `store-worker`. Processes that say that they have flushed before they do
    /// lose pages: the broken twin.
    public init(seed: UInt64, worker: String, lies: Bool = false) {
        self.worker = worker
        self.seed = seed
        self.lies = lies
    }

    /// Kills `count` processes on each file system, until `end` at most.
    public func run(count: Int, until end: Date = .distantFuture) throws -> Tally {
        var tally = Tally()
        var random = SplitMix64(seed: seed)
        for kind in Self.kinds {
            let folder = try TemporaryFolder()
            let mount =
                kind.make.isEmpty
                ? "mount -t tmpfs -o size=96M tmpfs disk" : "\(kind.make) && mount -o loop image disk"
            guard try Self.shell("mkdir disk && \(mount)", in: folder) == 0 else {
                tally.missing.append("\(kind.name): \(mount)")
                continue
            }
            defer { _ = try? Self.shell("umount -l disk", in: folder) }
            tally.kinds.append(kind.name)
            for number in 0..<count where Date() < end {
                let name = "\(kind.name), kill \(number)"
                do {
                    try fillAndKill(folder.path("disk"), random.next() >> 16, name, &tally, &random)
                } catch {
                    tally.broken.append("\(name): \(error)")
                }
            }
        }
        return tally
    }

    private static func shell(_ script: String, in folder: TemporaryFolder) throws -> Int32 {
        try ChildProcess("/bin/sh", ["-c", "cd '\(folder.path)' && { \(script); } >/dev/null 2>&1"]).wait()
    }

    /// One process that stores while the disk is filled and emptied, is killed, and leaves what the next one finds.
    private func fillAndKill(
        _ disk: String, _ own: UInt64, _ name: String, _ tally: inout Tally, _ random: inout SplitMix64
    ) throws {
        let path = disk + "/store"
        let victim = try Worker(
            executable: worker, ["crowd", path, "\(own)"], environment: lies ? ["PFX_LIES": "1"] : [:])
        defer { victim.kill() }
        var hog = Hog(disk + "/hog")
        defer { hog.leave() }
        // The number of the last prompt that was flushed, and of the first since there was room for all.
        var last = 0
        var first = 0
        for _ in 0..<3 {
            hog.fill(butFor: Int.random(in: 0...2 << 20, using: &random))
            for _ in 0..<Int.random(in: 1...15, using: &random) { _ = try next(victim, name, &tally) }
            hog.leave()
            // Lines of before may be on their way still. Then one must tell of success: of a prompt that was begun when
            // there was room, because a full disk may evict what was flushed.
            let left = Self.now
            var waited = 0
            while true {
                waited += 1
                guard waited < 2000 else { throw Stuck() }
                if let flush = try next(victim, name, &tally), flush.began > left { break }
            }
        }
        for _ in 0..<Int.random(in: 2...10, using: &random) {
            guard let flush = try next(victim, name, &tally) else { continue }
            if first == 0 { first = flush.number }
            last = flush.number
        }
        usleep(UInt32.random(in: 0..<20_000, using: &random))
        victim.kill()
        tally.kills += 1
        try check(path, own, first == 0 ? 0..<0 : first..<(last + 1), name, &tally)
    }

    /// A time that all processes share, in nanoseconds.
    public static var now: UInt64 { DispatchTime.now().uptimeNanoseconds }

    /// Reads the next line of a process. Returns the number of the prompt, and when it was begun, if it was flushed.
    private func next(
        _ victim: Worker, _ name: String, _ tally: inout Tally
    ) throws -> (number: Int, began: UInt64)? {
        guard let line = victim.nextLine() else { throw Ended(status: victim.finish().status) }
        let words = line.split(separator: " ")
        guard words.count >= 2, let number = Int(words[1]) else { throw Said(line: line) }
        switch words[0] {
        case "flushed":
            guard let began = words.last.flatMap({ UInt64($0) }) else { throw Said(line: line) }
            tally.flushes += 1
            return (number, began)
        case "full": tally.full += 1
        case "wrong": tally.wrongBytes += number
        default: tally.broken.append("\(name): \(line)")
        }
        return nil
    }

    /// Opens what a killed process has left, and looks for the prompts of `flushed`, which are counted from 1.
    private func check(
        _ path: String, _ own: UInt64, _ flushed: Range<Int>, _ name: String, _ tally: inout Tally
    ) throws {
        let store = try Store(at: path, options: StoreOptions(quota: Self.quota, hotCapacity: .zero))
        let model = try Self.model()
        let space = try store.space(model.identity)
        var prompts = Self.prompts(seed: own)
        let all = (0..<flushed.upperBound).map { _ in prompts.next() }
        let recent = Array(all[max(0, flushed.lowerBound - 1)...])
        let read = try ReadBack(recent, flushed: flushed.count, from: space, by: model)
        tally.wrongBytes += read.wrongBytes
        tally.lost += read.lost
        if read.lost > 0 { tally.losses.append("\(name), prompts \(flushed): \(read.lost) of \(read.flushed) tokens") }
        try store.close()
        if let damage = try ReadBack.damage(of: path) { tally.broken.append("\(name): \(damage)") }
    }

    private struct Stuck: Error {}
    private struct Ended: Error { var status: Int32 }
    private struct Said: Error { var line: String }
}

/// A file that takes the room on a disk.
private struct Hog {
    private let path: String

    init(_ path: String) { self.path = path }

    /// Takes all but `rest` bytes of what is free, and then what is left of that by and by.
    mutating func fill(butFor rest: Int) {
        let descriptor = unsafe open(path, O_CREAT | O_WRONLY, 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var status = statvfs()
        guard unsafe fstatvfs(descriptor, &status) == 0 else { return }
        var size = max(0, Int(status.f_bavail) * Int(status.f_frsize) - rest)
        while size > 4096, posix_fallocate(descriptor, 0, off_t(size)) != 0 { size -= size / 16 }
        fsync(descriptor)
    }

    /// Gives it back.
    mutating func leave() { unsafe unlink(path) }
}
