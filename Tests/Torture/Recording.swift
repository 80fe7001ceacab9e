// What was written to a file and when it was synced, and the file as a power cut would leave it.

import CFaults
import Foundation
import TestKit

/// The entries of a recording that `cfaults_record` made, over the file as it was before.
struct Recording {
    /// One entry.
    enum Entry {
        /// Bytes at an offset, and whether they were on the disk when the call returned.
        case write(offset: Int, bytes: [UInt8], isSynced: Bool)
        /// All before it is on the disk.
        case sync
        /// The file got a length.
        case length(Int)
        /// The file is at least as long.
        case room(Int)
        /// Something was acknowledged.
        case mark(Int)
    }

    /// How much of what was not synced a power cut leaves.
    enum Rest: CaseIterable {
        /// Nothing, everything, any of its pages, any of its sectors.
        case nothing, everything, pages, sectors
    }

    static let page = 4096
    static let sector = 512

    let entries: [Entry]
    private let base: [UInt8]

    /// Reads a log; `base` is the file before it.
    init(log: Data, base: [UInt8]) {
        self.base = base
        var entries: [Entry] = []
        var place = log.startIndex
        func number(_ offset: Int, _ count: Int) -> Int {
            (0..<count).reduce(0) { $0 | Int(log[place + offset + $1]) << (8 * $1) }
        }
        while place < log.endIndex {
            let (kind, isSynced, offset, length) = (number(0, 4), number(4, 4) != 0, number(8, 8), number(16, 8))
            place += 24
            switch kind {
            case CFAULTS_WRITE:
                entries.append(.write(offset: offset, bytes: [UInt8](log[place..<place + length]), isSynced: isSynced))
                place += length
            case CFAULTS_SYNC: entries.append(.sync)
            case CFAULTS_LENGTH: entries.append(.length(length))
            case CFAULTS_ROOM: entries.append(.room(offset + length))
            default: entries.append(.mark(offset))
            }
        }
        self.entries = entries
    }

    /// The last mark before entry `cut`: what had been acknowledged when the power went.
    func acknowledged(before cut: Int) -> Int {
        entries[..<cut].reduce(0) { if case .mark(let number) = $1 { number } else { $0 } }
    }

    /// The file after a power cut during entry `cut`.
    ///
    /// - Parameter honoursSync: whether the disk keeps what was synced. Without that, everything is as if it had never
    ///   been synced: the broken twin.
    func image(
        cutting cut: Int, leaving rest: Rest, honoursSync: Bool = true, _ random: inout SplitMix64
    ) -> [UInt8] {
        let synced = honoursSync ? lastSync(before: cut) : 0
        var bytes = base
        for entry in entries[..<synced] { Self.apply(entry, to: &bytes) }
        let durable = bytes
        var lengths = [bytes.count]
        for (index, entry) in entries[synced..<min(cut + 1, entries.count)].enumerated() {
            let isFinished = synced + index < cut
            switch entry {
            case .write(_, _, let isSynced) where isSynced && isFinished && honoursSync: Self.apply(entry, to: &bytes)
            case .write(let offset, let new, _): keep(new, at: offset, rest, &bytes, &random)
            case .length(let length): lengths.append(length)
            case .room(let length): lengths.append(max(lengths.last ?? 0, length))
            case .sync, .mark: break
            }
        }
        // The length of a file that was not synced is any of those that it had, and behind the last byte that was kept.
        let length = lengths.randomElement(using: &random) ?? durable.count
        if bytes.count < length { bytes += [UInt8](repeating: 0, count: length - bytes.count) }
        return bytes
    }

    private func lastSync(before cut: Int) -> Int {
        entries[..<cut].lastIndex { if case .sync = $0 { true } else { false } } ?? 0
    }

    private static func apply(_ entry: Entry, to bytes: inout [UInt8]) {
        switch entry {
        case .write(let offset, let new, _): put(new[...], at: offset, in: &bytes)
        case .length(let length): bytes = Array(bytes.prefix(length)) + zeros(length - bytes.count)
        case .room(let length): bytes += zeros(length - bytes.count)
        case .sync, .mark: break
        }
    }

    private static func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: max(0, count)) }

    private static func put(_ new: ArraySlice<UInt8>, at offset: Int, in bytes: inout [UInt8]) {
        bytes += zeros(offset + new.count - bytes.count)
        bytes.replaceSubrange(offset..<offset + new.count, with: new)
    }

    /// Puts what is left of a write that was not synced.
    private func keep(
        _ new: [UInt8], at offset: Int, _ rest: Rest, _ bytes: inout [UInt8], _ random: inout SplitMix64
    ) {
        let step: Int
        switch rest {
        case .nothing: return
        case .everything: return Self.put(new[...], at: offset, in: &bytes)
        case .pages: step = Self.page
        case .sectors: step = Self.sector
        }
        var start = 0
        while start < new.count {
            // Units of the disk, wherever the write begins.
            let end = min(new.count, ((offset + start) / step + 1) * step - offset)
            if Bool.random(using: &random) { Self.put(new[start..<end], at: offset + start, in: &bytes) }
            start = end
        }
    }
}
