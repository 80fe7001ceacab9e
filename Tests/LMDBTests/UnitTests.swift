import Glibc
import Testing
import TestKit
import Threads

@testable import LMDB

@Suite("The small parts")
struct UnitTests {
    @Test("of an error say the cause, the remedy, and which kind it is")
    func errors() {
        let full = LMDBError.code(-30792, call: "mdb_put")
        #expect(full.isFull && !full.isDamage && !full.needsReopening && !full.isReadersFull)
        #expect(full.description.contains("mdb_put") && full.description.contains("MDB_MAP_FULL"))
        #expect([ENOSPC, EDQUOT, EFBIG, -30788].allSatisfy { LMDBError.code($0, call: "").isFull })
        #expect([ENOSPC, EDQUOT, EFBIG].allSatisfy { LMDBError.code($0, call: "").isDiskFull })
        #expect([EIO, -30788].allSatisfy { !LMDBError.code($0, call: "").isDiskFull })
        #expect(full.isMapFull && LMDBError.code(-30788, call: "").isMapFull)
        #expect(!LMDBError.code(ENOSPC, call: "").isMapFull)
        #expect([-30797, -30796, -30794, -30793].allSatisfy { LMDBError.code($0, call: "").isDamage })
        #expect(!LMDBError.code(-30782, call: "").isDamage && !LMDBError.code(EACCES, call: "").isFull)
        #expect(LMDBError.code(-30795, call: "").needsReopening)
        #expect(LMDBError.damaged("x").isDamage && LMDBError.damaged("x").status == nil)
        let others: [LMDBError] = [
            .alreadyOpen(path: "/p"), .notAFolder(path: "/p"), .networkFileSystem(path: "/p"), .forked, .closed,
            .processIdTaken, .mapResized, .tableMissing(name: "t"), .keySize(600), .damaged("d"),
            .code(EACCES, call: "c"), .code(-30790, call: "c"), .code(-30795, call: "c"), .code(-30796, call: "c"),
        ]
        #expect(Set(others.map(\.description)).count == others.count)
        #expect(others.allSatisfy { $0.description.hasSuffix($0.remedy) && $0.description.count > $0.remedy.count + 5 })
    }

    @Test("read the kernel's list of mappings, with blanks in paths")
    func mappings() {
        let line = "7f00a000-7f00c000 r--s 00001000 fe:01 1234                       /tmp/a b/data.mdb"
        let mapping = Mapping(line: Array(line.utf8))
        #expect(mapping?.start == 0x7f00_a000)
        #expect(mapping?.byteCount == 0x2000)
        #expect(mapping?.offset == 0x1000)
        #expect(mapping.map { String(decoding: $0.path, as: UTF8.self) } == "/tmp/a b/data.mdb")
        for bad in ["", "7f00 r--s 0 fe:01 1 /x", "2-1 r--s 0 fe:01 1 /x", "1-2 r--s 0 0:0 0", "x-y r--s 0 fe:01 1 /x"]
        {
            #expect(Mapping(line: Array(bad.utf8)) == nil)
        }
    }

    @Test("read LMDB's list of readers, idle slots left out")
    func readerList() {
        let text = "    pid     thread     txnid\n     12 7f00 5\n     13 7f01 -\n     14 7f02 3\n"
        #expect(ReaderList.transactions(in: text) == [5, 3])
        #expect(ReaderList.transactions(in: "(no active readers)\n").isEmpty)
    }

    @Test("keep runs of bytes inside the map, its last byte included")
    func mapRegion() throws {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 100, alignment: 16)
        defer { unsafe memory.deallocate() }
        let start = unsafe UnsafeRawPointer(memory.baseAddress.unsafelyUnwrapped)
        let region = unsafe MapRegion(start: start, byteCount: 100)
        func run(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
            unsafe UnsafeRawBufferPointer(start: start + offset, count: count)
        }
        #expect(unsafe region.contains(run(0, 80), limit: 80) && region.contains(run(80, 0), limit: 80))
        #expect(unsafe !region.contains(run(0, 81), limit: 80) && !region.contains(run(-1, 2), limit: 80))
        #expect(unsafe !region.contains(run(40, Int.max), limit: 80))
        #expect(unsafe region.contains(start + 99) && !region.contains(start + 100) && !region.contains(start - 1))
    }

    @Test("find the map in LMDB's environment, where the kernel's list of mappings has it too")
    func mapOfEnvironment() throws {
        let folder = try TemporaryFolder()
        let environment = try Environment(folder: folder.path, options: EnvironmentOptions(mapSize: 1 << 20))
        for size in [1 << 20, 64 << 20] {
            try environment.setMapSize(size)
            let opened = try #require(environment.opened)
            let region = try unsafe MapRegion(lookingUp: opened.handle)
            #expect(unsafe MapRegion.address(in: opened.handle) == region.start)
            #expect(unsafe opened.map.start == region.start && opened.map.byteCount == size)
        }
    }

    @Test("know network file systems from local ones")
    func fileSystems() throws {
        #expect(FileSystem.network.contains(0x6969) && FileSystem.network.contains(0xFF53_4D42))
        #expect(!FileSystem.network.contains(0xEF53) && !FileSystem.network.contains(0x6573_5546))
        #expect(throws: LMDBError.code(ENOENT, call: "statfs")) { try FileSystem.requireLocal("/absent/folder") }
    }

    @Test("never let the map move while a transaction is inside, and give up in the end")
    func gateWaits() throws {
        let gate = TransactionGate(patience: .milliseconds(5))
        try gate.enter()
        try gate.enter()
        var moves = 0
        for _ in 0..<2 {
            #expect(throws: LMDBError.mapResized) { try gate.whileEmpty { () throws(LMDBError) in moves += 1 } }
            gate.leave()
        }
        #expect(moves == 0 && gate.state.withLock { $0.inside } == 0)
        try gate.whileEmpty { () throws(LMDBError) in moves += 1 }
        #expect(moves == 1)
        try gate.enter()
        gate.leave()
    }

    @Test("let no transaction in after shutting, and shut once")
    func gateShuts() throws {
        let gate = TransactionGate(patience: .milliseconds(5))
        var closings = 0
        gate.shut { closings += 1 }
        gate.shut { closings += 1 }
        #expect(closings == 1)
        #expect(throws: LMDBError.closed) { try gate.enter() }
        #expect(throws: LMDBError.closed) { try gate.whileEmpty { () throws(LMDBError) in closings += 1 } }
        #expect(closings == 1)
    }
}
