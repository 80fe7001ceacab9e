// Memory from the system: given back, locked by the host, refused, and no more of it than is used.

import Glibc
import KVFormat
import Testing

@testable import HotTier

@Suite("Memory from the system")
struct ReservationTests {
    @Test("is given back also when the host has locked it")
    func locked() throws {
        let memory = try Reservation(byteCount: 4096, isHuge: false)
        unsafe memory.base.storeBytes(of: 7, as: Int.self)
        try #require(unsafe mlock(memory.base, 4096) == 0)
        #expect(unsafe Reservation.discard(memory.base, byteCount: 4096))
        #expect(unsafe memory.base.load(as: Int.self) == 0)
    }

    @Test("that cannot be given back stays a free seat")
    func refused() throws {
        // Half a page of the system is nothing that it takes back.
        let memory = try Reservation(byteCount: 4096, isHuge: false)
        #expect(unsafe !Reservation.discard(memory.base + 2048, byteCount: 2048))
    }

    @Test("that the system does not have is an error: no page is evicted for it")
    func none() {
        var arena = PageArena(capacity: .max)
        #expect(throws: StoreError.self) { try arena.take(1 << 60) }
        #expect(arena.residentBytes == 0)
    }

    @Test("is not taken in huge pages for the token ids of a space that has few pages")
    func small() {
        let before = residentBytes()
        let spaces = (0..<500).map { _ in TokenRuns(pageSize: 16) }
        for space in spaces { #expect(space.add([1, 2, 3]) == 0) }
        // A huge page for each would be a gigabyte. Other tests run beside this one.
        #expect(residentBytes() - before < 512 << 20)
        #expect(spaces.allSatisfy { $0.read(0, count: 3) == [1, 2, 3] })
    }

    private func residentBytes() -> Int {
        let file = unsafe fopen("/proc/self/statm", "r")
        defer { unsafe _ = fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        unsafe fgets(&line, 256, file)
        let fields = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            .split(separator: " ")
        return (Int(fields[1]) ?? 0) * 4096
    }
}
