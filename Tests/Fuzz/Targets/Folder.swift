// The small files of a store's folder: openers, the opening mark, remembered digests.

import Glibc
import KVFormat
import TestKit

@testable import ColdTier

extension FuzzTarget {
    /// Which file, and whether the sums of its entries are made right; then its bytes.
    static let folder = FuzzTarget(
        name: "folder", subject: "the files openers, opening, digests and seen", longest: 1 << 16,
        seeds: {
            let record = OpenerRecord(role: .engine, openedAt: 1_700_000_000_000)
            let slots =
                OpenerRecord.header
                + (0..<OpenerRecord.slots).flatMap { slot in
                    slot < 3 ? record.encoded(slot: slot) : [UInt8](repeating: 0, count: OpenerRecord.byteCount)
                }
            return [[0] + slots, [1] + slots, [2, 1], [4] + slots.prefix(160)]
        },
        run: { input in
            let choice = input.byte()
            var bytes = input.rest()
            let path = Scratch.folder.path
            switch choice % 3 {
            case 0, 1:
                if choice & 1 != 0 { forgeOpeners(&bytes) }
                _ = Scratch.file("openers", bytes)
                for opener in Opener.list(folder: path) { _ = opener.program.count }
                _ = Opener.words(7, folder: path)
                let opener = Opener(folder: path, role: .tool)
                input.require(
                    Opener.list(folder: path).contains { $0.isAlive && $0.role == .tool },
                    "a process finds a slot, whatever was in the file")
                input.plant(Opener.list(folder: path).contains { $0.role == .tool && !$0.isAlive })
                opener.leave()
            default:
                _ = Scratch.file("opening", Array(bytes.prefix(8)))
                if let mark = OpeningMark(folder: path) { _ = (mark.deaths, mark.isAlone(in: path)) }
                _ = Scratch.file("digests", bytes)
                _ = try? FileDigests(folder: path, settling: .zero).digest(ofFile: Scratch.folder.path("opening"))
                let seen = Scratch.file("seen", SeenPages.header + bytes.prefix(64))
                unsafe truncate(seen, off_t(SeenPages.fileBytes))
                let uses = SeenPages(folder: path).count([.zero], now: Int64(bytes.count))
                input.require((1...65_535).contains(uses[0]), "a page is counted, whatever the table says of its line")
            }
        })

    private static func forgeOpeners(_ bytes: inout [UInt8]) {
        let size = OpenerRecord.byteCount
        bytes.replaceSubrange(0..<min(size, bytes.count), with: OpenerRecord.header)
        bytes += [UInt8](repeating: 0, count: max(0, OpenerRecord.fileBytes - bytes.count))
        bytes.removeSubrange(OpenerRecord.fileBytes...)
        for slot in 0..<8 {
            let start = (slot + 1) * size
            let record = Array(bytes[start..<start + size - 8]).withChecksum(.zero, part: UInt64(slot) + 1)
            bytes.replaceSubrange(start..<start + size, with: record)
        }
    }
}
