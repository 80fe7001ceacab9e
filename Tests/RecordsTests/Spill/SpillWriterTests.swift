// The spill writer with a commit that the test plays.

import Glibc
import KVFormat
import PageCodec
import Testing
import Threads

@testable import Records

/// A disk that notes what it is given, and fails or waits when told to.
final class FakeDisk: @unchecked Sendable {
    private let mutex = Mutex()
    private let condition = Condition()
    private var batches: [[PrefixHash]] = []
    private var error: StoreError?
    private var isHeld = false
    private var commits = 0

    var written: [[PrefixHash]] { mutex.withLock { batches } }

    /// Batches that came here, written or not.
    var begun: Int { mutex.withLock { commits } }

    func fail(with error: StoreError?) { mutex.withLock { self.error = error } }

    func hold() { mutex.withLock { isHeld = true } }

    func letGo() {
        mutex.withLock {
            isHeld = false
            condition.broadcast()
        }
    }

    /// Waits until `count` batches have come.
    func waitForCommits(_ count: Int) {
        mutex.withLock { while commits < count, condition.wait(mutex, milliseconds: 20_000) {} }
    }

    func commit(_ pages: [SpillPage]) throws(StoreError) -> [SpillOutcome] {
        let failure = mutex.withLock { () -> StoreError? in
            commits += 1
            condition.broadcast()
            while isHeld { condition.wait(mutex) }
            if error == nil { batches.append(pages.map(\.name.hash)) }
            return error
        }
        if let failure { throw failure }
        return pages.map { _ in .stored }
    }
}

/// What became of pages, by hash.
final class Outcomes: @unchecked Sendable {
    private let mutex = Mutex()
    private var all: [PrefixHash: [SpillOutcome]] = [:]

    func note(_ hash: PrefixHash, _ outcome: SpillOutcome) { mutex.withLock { all[hash, default: []].append(outcome) } }

    func of(_ hash: PrefixHash) -> [SpillOutcome] { mutex.withLock { all[hash] ?? [] } }

    /// How many pages something was noted of.
    var count: Int { mutex.withLock { all.count } }
}

/// Something that tells when it is let go.
final class Keeper: Sendable {
    let onRelease: @Sendable () -> Void
    init(_ onRelease: @escaping @Sendable () -> Void) { self.onRelease = onRelease }
    deinit { onRelease() }
}

/// A page in memory that counts how often it was given its record.
@safe
final class PageInMemory: HeldPage, @unchecked Sendable {
    // Unchecked because the bytes are never written after `init`.
    private let bytes = UnsafeMutableRawPointer.allocate(byteCount: 1024, alignment: 64)
    let kept = Guarded(0)

    init() { unsafe bytes.initializeMemory(as: UInt8.self, repeating: 7, count: 1024) }
    deinit { unsafe bytes.deallocate() }

    var content: PageContent {
        kept.withLock { $0 } > 0 ? .none : .raw(unsafe PageSource(bytes, capacity: 4), owner: self)
    }

    func keep(_ record: RecordBytes) -> Bool {
        kept.withLock { $0 += 1 }
        return true
    }
}

/// A page of zeros that keeps its record.
final class EncodedPage: HeldPage {
    private let record: RecordBytes
    var byteCount: Int { record.encodedBytes }

    init(_ layout: KVLayout, _ hash: PrefixHash) throws {
        let zeros = [UInt8](repeating: 0, count: layout.bytesPerPage)
        let made = try unsafe zeros.withUnsafeBytes { bytes in
            let source = unsafe PageSource(try #require(bytes.baseAddress), capacity: layout.pageSize)
            return RecordEncoder().encode(
                page: source, tokens: layout.pageSize, layout: layout, key: hash, codec: .kbit)
        }
        record = RecordBytes(made)
    }

    var content: PageContent { .record(record) }
    func keep(_ record: RecordBytes) -> Bool { true }
}

@Suite("The spill writer")
struct SpillWriterTests {
    let disk = FakeDisk()
    let outcomes = Outcomes()

    static func hash(_ number: Int) -> PrefixHash { .sha256([UInt8(number & 255), UInt8(number >> 8)]) }

    /// A page of 1 KiB a head: its bytes are never read, since encoding is played too.
    func job(_ number: Int, heads: Int = 1, keepAlive: Keeper? = nil) throws -> SpillJob {
        let layout = try KVLayout(layers: 1, kvHeads: heads, headDimension: 128, element: .int8, pageSize: 4)
        let hash = Self.hash(number)
        let address = unsafe UnsafeRawPointer(bitPattern: 4096)
        let source = unsafe PageSource(try #require(unsafe address), capacity: 4)
        return SpillJob(
            PageName(root: hash, parent: hash, hash: hash, firstToken: 0, tokens: [1, 2, 3, 4]), layout: layout,
            insertedAt: 0, source: source, keepAlive: keepAlive,
            onDone: { [outcomes] in outcomes.note(hash, $0) })
    }

    func writer(_ options: SpillOptions = SpillOptions()) -> SpillWriter {
        let disk = disk
        return SpillWriter(
            options: options, encode: { _, _ in },
            commit: { pages throws(StoreError) in try disk.commit(pages) })
    }

    @Test("writes pages in the order in which they came")
    func order() throws {
        let writer = writer(SpillOptions(batchBytes: .kibibytes(3), batchMilliseconds: 1))
        for number in 0..<10 { #expect(writer.enqueue(try job(number)) == .queued) }
        try writer.close()
        #expect(disk.written.flatMap { $0 } == (0..<10).map(Self.hash))
        #expect(disk.written.allSatisfy { $0.count <= 3 })
        #expect(writer.statistics.spilledPages == 10)
        #expect(writer.statistics.waitingBytes == 0)
    }

    @Test("writes pages that come together in one batch")
    func batches() throws {
        let writer = writer(SpillOptions(batchMilliseconds: 2_000))
        for number in 0..<5 { _ = writer.enqueue(try job(number)) }
        try writer.flush()
        #expect(disk.written.count == 1)
        try writer.close()
    }

    @Test("counts a page that was encoded before as its record: more of them fit into the queue")
    func records() throws {
        let layout = try KVLayout(layers: 1, kvHeads: 1, headDimension: 128, element: .bf16, pageSize: 4)
        let page = try EncodedPage(layout, Self.hash(0))
        let writer = writer(SpillOptions(queueCapacity: .kibibytes(4), whenFull: .drop, batchMilliseconds: 60_000))
        let waiting = (0..<3).map { number in
            let name = PageName(
                root: Self.hash(9), parent: Self.hash(9), hash: Self.hash(number), firstToken: 0, tokens: [1, 2, 3, 4])
            return writer.enqueue(SpillJob(name, page: page, layout: layout, insertedAt: 0, onDone: nil))
        }
        #expect(3 * layout.bytesPerPage > 4096 && 3 * page.byteCount <= 4096)
        #expect(waiting == [.queued, .queued, .queued])
        #expect(writer.statistics.waitingBytes == UInt64(3 * page.byteCount))
        try writer.close()
        #expect(writer.statistics.waitingBytes == 0)
    }

    @Test("reports to each page what became of it, and releases its bytes once")
    func callbacks() throws {
        let released = Outcomes()
        let writer = writer()
        let hash = Self.hash(1)
        _ = writer.enqueue(try job(1, keepAlive: Keeper { released.note(hash, .stored) }))
        try writer.close()
        #expect(outcomes.of(hash) == [.stored])
        #expect(released.of(hash).count == 1)
    }

    @Test("says before a page is copied that it waits already, or would be dropped")
    func asked() throws {
        let capacity = ByteCount.kibibytes(2)
        let writer = writer(SpillOptions(queueCapacity: capacity, whenFull: .drop, batchMilliseconds: 1))
        #expect(writer.answer(withoutCopyOf: Self.hash(1), byteCount: 4096) == nil)
        disk.hold()
        #expect(writer.enqueue(try job(1)) == .queued)
        #expect(writer.answer(withoutCopyOf: Self.hash(1), byteCount: 1024) == .queued)
        #expect(writer.waiting(among: [Self.hash(1), Self.hash(2)]) == [Self.hash(1)])
        #expect(writer.answer(withoutCopyOf: Self.hash(2), byteCount: 1024) == nil)
        #expect(writer.answer(withoutCopyOf: Self.hash(2), byteCount: 1025) == .dropped)
        #expect(writer.statistics.droppedPages == 1)
        disk.letGo()
        try writer.close()
        #expect(writer.answer(withoutCopyOf: Self.hash(2), byteCount: 1024) == .closed)
        #expect(writer.waiting(among: [Self.hash(1)]).isEmpty)
    }

    @Test("takes a page that is waiting already only once, and reports to both callers")
    func duplicates() throws {
        let writer = writer()
        disk.hold()
        for _ in 0..<3 { #expect(writer.enqueue(try job(7)) == .queued) }
        disk.letGo()
        try writer.flush()
        #expect(disk.written.flatMap { $0 } == [Self.hash(7)])
        #expect(outcomes.of(Self.hash(7)) == [.stored, .stored, .stored])
        try writer.close()
    }

    @Test("refuses pages beyond its capacity when the policy is to drop")
    func drops() throws {
        let writer = writer(SpillOptions(queueCapacity: .kibibytes(2), whenFull: .drop))
        disk.hold()
        let taken = try (0..<6).map { writer.enqueue(try job($0)) }
        #expect(taken.filter { $0 == .queued }.count == 2)
        #expect(taken.last == .dropped)
        #expect(outcomes.of(Self.hash(5)) == [.dropped])
        #expect(writer.statistics.droppedPages == 4)
        disk.letGo()
        try writer.close()
    }

    @Test("makes the caller wait for room when the policy is to wait")
    func waits() throws {
        let writer = writer(SpillOptions(queueCapacity: .kibibytes(1)))
        disk.hold()
        let jobs = try (0..<20).map { try job($0) }
        let thread = try Thread { for job in jobs { _ = writer.enqueue(job) } }
        disk.letGo()
        thread.join()
        try writer.close()
        #expect(disk.written.flatMap { $0 }.count == 20)
    }

    @Test("reports a failure once, to the next flush, and continues when the disk works again")
    func failure() throws {
        let writer = writer()
        disk.fail(with: .diskFull(path: "p"))
        _ = writer.enqueue(try job(1))
        #expect(throws: StoreError.diskFull(path: "p")) { try writer.flush() }
        #expect(outcomes.of(Self.hash(1)) == [.failed])
        try writer.flush()
        disk.fail(with: nil)
        _ = writer.enqueue(try job(2))
        try writer.flush()
        #expect(outcomes.of(Self.hash(2)) == [.stored])
        try writer.close()
    }

    @Test("refuses pages at once for a while after a failure, so that nobody waits for a full disk")
    func pauses() throws {
        let writer = writer(
            SpillOptions(queueCapacity: .kibibytes(1), batchMilliseconds: 0, pauseMilliseconds: 3_600_000))
        disk.fail(with: .diskFull(path: "p"))
        for number in 0..<50 { #expect(writer.enqueue(try job(number)) == .queued) }
        #expect(throws: StoreError.diskFull(path: "p")) { try writer.close() }
        #expect(writer.statistics.failedPages == 50)
        #expect(disk.written.isEmpty)
    }

    @Test("encodes a page that is only to be kept in memory, also while the disk fails")
    func keepsWhileTheDiskFails() throws {
        let writer = SpillWriter(
            options: SpillOptions(batchMilliseconds: 0, pauseMilliseconds: 3_600_000),
            encode: { job, record in
                guard case .page(let source) = job.content, !job.isForDisk || job.onDone == nil else { return }
                RecordEncoder().encode(
                    page: source, tokens: 4, layout: job.layout, key: job.name.hash, codec: .raw, into: record)
            }, commit: { [disk] pages throws(StoreError) in try disk.commit(pages) })
        disk.fail(with: .diskFull(path: "p"))
        _ = writer.enqueue(try job(1))
        #expect(throws: StoreError.diskFull(path: "p")) { try writer.flush() }
        let page = PageInMemory()
        let sample = try job(2)
        _ = writer.enqueue(
            SpillJob(
                sample.name, page: page, layout: sample.layout, insertedAt: 0, isForDisk: false,
                onDone: { [outcomes] in outcomes.note(sample.name.hash, $0) }))
        for _ in 0..<20_000 where outcomes.of(sample.name.hash).isEmpty { usleep(1000) }
        #expect(outcomes.of(sample.name.hash) == [.kept])
        #expect(page.kept.withLock { $0 } == 1)
        #expect(throws: Never.self) { try writer.close() }
    }

    @Test("closes once and refuses pages afterwards")
    func closes() throws {
        let writer = writer()
        try writer.close()
        try writer.close()
        #expect(writer.enqueue(try job(1)) == .closed)
        #expect(outcomes.of(Self.hash(1)) == [.dropped])
    }

    @Test("writes every page of many threads exactly once")
    func manyThreads() throws {
        let writer = writer(SpillOptions(queueCapacity: .kibibytes(8), batchBytes: .kibibytes(4), batchMilliseconds: 0))
        let jobs = try (0..<400).map { try job($0) }
        let threads = try (0..<4).map { part in
            try Thread { for number in 0..<100 { _ = writer.enqueue(jobs[part * 100 + number]) } }
        }
        for thread in threads { thread.join() }
        try writer.flush()
        #expect(Set(disk.written.flatMap { $0 }) == Set((0..<400).map(Self.hash)))
        #expect(disk.written.flatMap { $0 }.count == 400)
        try writer.close()
    }

    @Test("encodes a batch on several threads at once, and commits it in the order in which it came")
    func encodesTogether() throws {
        let (disk, meeting) = (disk, Meeting())
        let writer = SpillWriter(
            options: SpillOptions(batchMilliseconds: 2_000, encoders: 2), encode: { _, _ in meeting.attend() },
            commit: { pages throws(StoreError) in try disk.commit(pages) })
        for number in 0..<6 { _ = writer.enqueue(try job(number, heads: 128)) }
        try writer.flush()
        #expect(meeting.sawTwo)
        #expect(disk.written == [(0..<6).map(Self.hash)])
        try writer.close()
    }

    @Test("uses the memory of records again")
    func reuse() throws {
        let (disk, seen) = (disk, Seen())
        let writer = SpillWriter(
            options: SpillOptions(batchMilliseconds: 0, encoders: 1), encode: { seen.note($1) },
            commit: { pages throws(StoreError) in try disk.commit(pages) })
        for number in 0..<20 {
            _ = writer.enqueue(try job(number))
            try writer.flush()
        }
        #expect(disk.written.count == 20)
        #expect(seen.count == 1)
        try writer.close()
    }

    @Test("encodes and writes no page that is stored already, and reports that in its turn")
    func known() throws {
        let (disk, encoded) = (disk, Outcomes())
        let stored = Set([1, 2, 4].map(Self.hash))
        let writer = SpillWriter(
            options: SpillOptions(batchMilliseconds: 2_000), known: { _ in stored },
            encode: { job, _ in encoded.note(job.name.hash, .stored) },
            commit: { pages throws(StoreError) in try disk.commit(pages) })
        for number in 0..<6 { _ = writer.enqueue(try job(number)) }
        try writer.flush()
        #expect(disk.written == [[0, 3, 5].map(Self.hash)])
        for number in 0..<6 {
            let isKnown = [1, 2, 4].contains(number)
            #expect(encoded.of(Self.hash(number)).isEmpty == isKnown)
            #expect(outcomes.of(Self.hash(number)) == [isKnown ? .alreadyThere : .stored])
        }
        #expect(writer.statistics.knownPages == 3)
        #expect(writer.statistics.batches == 1)
        disk.fail(with: .diskFull(path: "p"))
        _ = writer.enqueue(try job(4))
        try writer.close()
        #expect(outcomes.of(Self.hash(4)) == [.alreadyThere, .alreadyThere])
    }
}

/// Where two threads wait for each other, a while at most.
private final class Meeting: @unchecked Sendable {
    private let mutex = Mutex()
    private let condition = Condition()
    private var present = 0
    private var met = false

    var sawTwo: Bool { mutex.withLock { met } }

    func attend() {
        mutex.withLock {
            present += 1
            if present == 2 { met = true }
            condition.broadcast()
            while !met, condition.wait(mutex, milliseconds: 20_000) {}
            present -= 1
        }
    }
}

/// The records that were encoded into.
private final class Seen: @unchecked Sendable {
    private let mutex = Mutex()
    private var records: [ObjectIdentifier: EncodedRecord] = [:]

    var count: Int { mutex.withLock { records.count } }

    func note(_ record: EncodedRecord) { mutex.withLock { records[ObjectIdentifier(record)] = record } }
}
