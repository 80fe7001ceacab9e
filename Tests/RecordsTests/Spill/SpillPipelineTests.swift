// Two batches under way at once: one being written, the next one being encoded.

import Glibc
import KVFormat
import PageCodec
import Testing
import Threads

@testable import Records

@Suite("Two batches of the spill writer")
struct SpillPipelineTests {
    /// Pages whose jobs, disk and outcomes are those of the other suite.
    let pages = SpillWriterTests()
    let encoded = Outcomes()
    var disk: FakeDisk { pages.disk }

    private func writer(capacity: ByteCount = .kibibytes(64), pause: Int = 100) -> SpillWriter {
        let (disk, encoded) = (disk, encoded)
        return SpillWriter(
            options: SpillOptions(
                queueCapacity: capacity, batchBytes: .kibibytes(1), batchMilliseconds: 0, pauseMilliseconds: pause),
            encode: { job, _ in encoded.note(job.name.hash, .stored) },
            commit: { pages throws(StoreError) in try disk.commit(pages) })
    }

    private func outcome(_ number: Int) -> [SpillOutcome] { pages.outcomes.of(SpillWriterTests.hash(number)) }

    /// Brings page 0 to a disk that holds it, and waits until page 1 is encoded behind it.
    private func fill(_ writer: SpillWriter, pages count: Int) throws {
        disk.hold()
        for number in 0..<count { #expect(writer.enqueue(try pages.job(number)) == .queued) }
        disk.waitForCommits(1)
        for _ in 0..<20_000 where encoded.count < 2 { usleep(1000) }
    }

    /// A thread that lets the disk go on once the caller waits for it.
    private func letGoSoon() throws -> Thread {
        try Thread { [disk] in
            usleep(5_000)
            disk.letGo()
        }
    }

    @Test("are encoded while the one before is being written, and no more than that")
    func overlap() throws {
        let writer = writer()
        try fill(writer, pages: 6)
        usleep(20_000)
        #expect(encoded.count == 2)
        #expect(disk.begun == 1)
        disk.letGo()
        try writer.flush()
        #expect(disk.written == (0..<6).map { [SpillWriterTests.hash($0)] })
        #expect((0..<6).allSatisfy { outcome($0) == [.stored] })
        try writer.close()
    }

    @Test("are refused together when the first fails, and reported once; the next try is a new one")
    func failure() throws {
        let writer = writer(pause: 3_600_000)
        try fill(writer, pages: 3)
        disk.fail(with: .diskFull(path: "p"))
        disk.letGo()
        for _ in 0..<20_000 where outcome(2).isEmpty { usleep(1000) }
        #expect((0..<3).allSatisfy { outcome($0) == [.failed] })
        #expect(disk.begun == 1)
        #expect(writer.statistics.failedPages == 3)
        disk.fail(with: nil)
        #expect(throws: StoreError.diskFull(path: "p")) { try writer.flush() }
        // A flush asks the disk at once, whatever has failed before.
        for number in 0..<3 { #expect(writer.enqueue(try pages.job(number)) == .queued) }
        try writer.close()
        #expect((0..<3).allSatisfy { outcome($0).count == 2 })
    }

    @Test("are both there when a flush returns that was called while they were under way")
    func flush() throws {
        let writer = writer()
        try fill(writer, pages: 2)
        let letGo = try letGoSoon()
        try writer.flush()
        #expect((0..<2).allSatisfy { outcome($0) == [.stored] })
        #expect(writer.statistics.waitingPages == 0)
        letGo.join()
        try writer.close()
    }

    @Test("are written by a close, with all that waits behind them, in their order")
    func close() throws {
        let writer = writer()
        try fill(writer, pages: 5)
        let letGo = try letGoSoon()
        try writer.close()
        letGo.join()
        #expect(disk.written == (0..<5).map { [SpillWriterTests.hash($0)] })
        #expect(writer.statistics.waitingBytes == 0)
        #expect(writer.enqueue(try pages.job(9)) == .closed)
    }

    @Test("count against the capacity of the queue until they are written")
    func capacity() throws {
        let writer = SpillWriter(
            options: SpillOptions(
                queueCapacity: .kibibytes(3), whenFull: .drop, batchBytes: .kibibytes(1), batchMilliseconds: 0),
            encode: { [encoded] job, _ in encoded.note(job.name.hash, .stored) },
            commit: { [disk] pages throws(StoreError) in try disk.commit(pages) })
        try fill(writer, pages: 3)
        #expect(writer.enqueue(try pages.job(3)) == .dropped)
        disk.letGo()
        try writer.flush()
        #expect(writer.enqueue(try pages.job(3)) == .queued)
        try writer.close()
        #expect(disk.written.count == 4)
    }
}
