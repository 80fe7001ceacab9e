// The file that says who has a store open. Processes that are killed: PrefixStoreTests.

import Glibc
import KVFormat
import TestKit
import Testing

@testable import ColdTier

@Suite("The list of openers")
struct OpenerTests {
    let folder: TemporaryFolder
    private var file: String { folder.store + "/openers" }

    init() throws {
        folder = try TemporaryFolder()
        unsafe mkdir(folder.store, 0o700)
    }

    @Test("has slots that are written as the format document shows them, and that any flipped bit empties")
    func golden() {
        var record = OpenerRecord(role: .tool, openedAt: 0x0102)
        record.processID = 7
        record.namespace = 8
        record.started = 9
        record.program = "pfx"
        let bytes = record.encoded(slot: 2)
        let fields: [[UInt8]] = [
            [7, 0, 0, 0], [8, 0, 0, 0, 0, 0, 0, 0], [9, 0, 0, 0, 0, 0, 0, 0], [2, 1, 0, 0, 0, 0, 0, 0], [2, 1],
            Array("pfx".utf8), [UInt8](repeating: 0, count: 23),
        ]
        #expect(Array(bytes.prefix(56)) == fields.flatMap { $0 })
        #expect(bytes.suffix(8) == [36, 181, 204, 84, 119, 37, 28, 14])
        let head: [UInt8] = Array("PFXopen2".utf8) + [64, 0, 0, 0, 0, 2, 0, 0]
        #expect(Array(OpenerRecord.header.prefix(16)) == head)
        #expect(OpenerRecord.header.suffix(8) == [116, 143, 30, 227, 119, 170, 42, 207])
        #expect(unsafe OpenerRecord(bytes.span.bytes, slot: 2) == record)
        #expect(unsafe OpenerRecord(bytes.span.bytes, slot: 3) == nil)
        for bit in 0..<8 * bytes.count {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(unsafe OpenerRecord(flipped.span.bytes, slot: 2) == nil, "bit \(bit)")
        }
    }

    @Test("names programs by as many whole characters as fit in 24 bytes")
    func names() {
        var record = OpenerRecord(role: .engine, openedAt: 0)
        #expect(record.processID == UInt32(getpid()) && record.namespace > 0 && record.started > 0)
        #expect(!record.program.isEmpty)
        record.program = "a" + String(repeating: "\u{e9}", count: 20)
        let read = unsafe OpenerRecord(record.encoded(slot: 0).span.bytes, slot: 0)
        #expect(read?.program == "a" + String(repeating: "\u{e9}", count: 11))
    }

    @Test("has this process while it has the store open, with its role, and not afterwards")
    func openAndClose() throws {
        let tier = try ColdTier(folder.store)
        var list = try tier.info().openers
        #expect(list.count == 1 && list[0].processID == Int(getpid()) && list[0].role == .engine && list[0].isAlive)
        tier.close()
        #expect(Opener.list(folder: folder.store).isEmpty)
        let tool = try ColdTier(existing: folder.store)
        list = Opener.list(folder: folder.store)
        #expect(list.map(\.role) == [.tool])
        tool.close()
        tool.close()
        #expect(Opener.list(folder: folder.store).isEmpty)
    }

    @Test("has room for 512; the next goes without, and takes the slot of one that left")
    func full() {
        var openers = (0..<512).map { _ in Opener(folder: folder.store, role: .engine) }
        #expect(Opener.list(folder: folder.store).count { $0.isAlive } == 512)
        let late = Opener(folder: folder.store, role: .tool)
        #expect(Opener.list(folder: folder.store).allSatisfy { $0.role == .engine })
        late.leave()
        openers[100].leave()
        let next = Opener(folder: folder.store, role: .tool)
        #expect(Opener.list(folder: folder.store).count { $0.role == .tool } == 1)
        next.leave()
        openers.removeAll()
        #expect(Opener.list(folder: folder.store).isEmpty)
    }

    @Test("is made again when it is missing, cut short or of another kind")
    func damaged() throws {
        for damage: () -> Void in [
            { unsafe unlink(file) }, { unsafe truncate(file, 100) }, { unsafe truncate(file, 1 << 20) },
            { overwrite(at: 3, with: 0) }, { overwrite(at: 12, with: 99) },
        ] {
            Opener(folder: folder.store, role: .engine).leave()
            damage()
            #expect(Opener.list(folder: folder.store).isEmpty)
            let opener = Opener(folder: folder.store, role: .engine)
            #expect(Opener.list(folder: folder.store).count == 1)
            opener.leave()
            #expect(TemporaryFolder.size(file) == 64 * 513)
        }
    }

    @Test("that cannot be made or read does not keep a process from opening the store")
    func impossible() throws {
        unsafe mkdir(file, 0o700)
        let tier = try ColdTier(folder.store)
        #expect(try tier.info().openers.isEmpty)
        tier.close()
        unsafe rmdir(file)
        unsafe symlink(folder.path + "/elsewhere", file)
        try ColdTier(folder.store).close()
        #expect(TemporaryFolder.size(folder.path + "/elsewhere") == 0)
    }

    @Test("keeps a slot that damage has made unreadable for the process that holds it")
    func heldSlot() {
        let first = Opener(folder: folder.store, role: .engine)
        overwrite(at: 64 + 5, with: 0xEE)
        #expect(Opener.list(folder: folder.store).isEmpty)
        let second = Opener(folder: folder.store, role: .tool)
        #expect(Opener.list(folder: folder.store).map(\.role) == [.tool])
        first.leave()
        #expect(Opener.list(folder: folder.store).map(\.role) == [.tool])
        second.leave()
    }

    private func overwrite(at offset: Int, with byte: UInt8) {
        let descriptor = unsafe open(file, O_WRONLY)
        var byte = byte
        #expect(unsafe pwrite(descriptor, &byte, 1, off_t(offset)) == 1)
        close(descriptor)
    }
}
