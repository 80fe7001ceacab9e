// Jobs on blocks that nobody waits for: two threads work, completions are collected, an eventfd tells of them.
//
// Puts and gets have a thread each, so that what a request waits for is never behind what it leaves behind.

internal import CPrefixStore
internal import Glibc
internal import PrefixStore
internal import Threads

/// One call of a pfx_submit_ function. Its memory is the caller's until the job is drained.
@safe
struct BlockJob: @unchecked Sendable {
    // Unchecked: addresses of memory that the caller leaves alone until it hears of the job.
    enum Work { case put, get, exists }

    let work: Work
    let keys: [[UInt8]]
    /// The pieces of each key's block; none for a look-up.
    let spans: [[UnsafeMutableRawBufferPointer]]
    /// A byte per key.
    let results: UnsafeMutablePointer<UInt8>?

    /// Does the work and writes the results.
    func run(_ blocks: BlockSpace) -> pfx_completion {
        var succeeded = [Bool](repeating: false, count: keys.count)
        var completion = pfx_completion()
        do {
            switch work {
            case .put:
                let list = unsafe zip(keys, spans).map { key, pieces in
                    unsafe Block(key, BlockSource(parts: pieces.map { UnsafeRawBufferPointer($0) }))
                }
                succeeded = try blocks.put(list).map { $0 == .queued || $0 == .alreadyThere }
            case .get: succeeded = try blocks.load(keys, into: unsafe spans.map { unsafe BlockTarget(parts: $0) })
            case .exists: succeeded = try blocks.holds(keys)
            }
        } catch {
            completion.status = codeAndText(error).code
        }
        for (index, result) in succeeded.enumerated() { unsafe results?[index] = result ? 1 : 0 }
        completion.count = UInt32(keys.count)
        completion.succeeded = UInt32(succeeded.count { $0 })
        completion.leading = UInt32(succeeded.firstIndex(of: false) ?? succeeded.count)
        return completion
    }
}

/// A queue of jobs behind a handle. Thread-safe; whoever takes it from its handle closes it.
final class BlockQueue: Sendable {
    /// Jobs that may wait, run, or be done and not drained.
    private static let capacity = 4096

    /// The two threads, and the jobs that each of them has before it.
    private struct Lane {
        var jobs: [(number: UInt64, job: BlockJob)] = []
        var thread: Thread?
    }

    private struct State {
        var lanes = [Lane(), Lane()]
        var lastNumber: UInt64 = 0
        /// Jobs that have not ended.
        var unfinished: Set<UInt64> = []
        /// Jobs that have ended and were not drained.
        var done: [pfx_completion] = []
        var isClosed = false
    }

    /// The eventfd that is readable while `done` has entries.
    let event: Int32
    private let blocks: BlockSpace
    private let state = Guarded(State())

    init(_ blocks: BlockSpace) throws {
        self.blocks = blocks
        event = cprefixstore_event_open()
        guard event >= 0 else {
            throw Refusal(code: PFX_OUT_OF_MEMORY, text: "The system has no descriptor to give. Raise the limit.")
        }
    }

    deinit { Glibc.close(event) }

    /// Adds a job.
    ///
    /// - Returns: its number.
    func submit(_ job: BlockJob) throws -> UInt64 {
        let number = try state.withLock { state in
            if state.isClosed { throw StoreError.closed }
            guard state.unfinished.count + state.done.count < Self.capacity else {
                throw Refusal(code: PFX_TOO_MANY, text: "\(Self.capacity) jobs wait or were not drained. Drain some.")
            }
            let lane = job.work == .put ? 0 : 1
            if state.lanes[lane].thread == nil { state.lanes[lane].thread = try start(lane) }
            state.lastNumber += 1
            state.unfinished.insert(state.lastNumber)
            state.lanes[lane].jobs.append((state.lastNumber, job))
            return state.lastNumber
        }
        state.broadcast()
        return number
    }

    /// Takes completions, up to `capacity`.
    func drain(_ capacity: Int) -> [pfx_completion] {
        state.withLock { state in
            let taken = Array(state.done.prefix(capacity))
            state.done.removeFirst(taken.count)
            if state.done.isEmpty { cprefixstore_event_clear(event) }
            return taken
        }
    }

    /// Waits until all jobs so far have ended, or the deadline has passed. False in the second case.
    func wait(before deadline: Deadline) -> Bool {
        let last = state.withLock { $0.lastNumber }
        return state.wait(until: { $0.unfinished.allSatisfy { $0 > last } }, before: deadline)
    }

    /// Leaves out the jobs that have not begun, and ends the threads.
    func close() {
        let threads = state.withLock { state in
            state.isClosed = true
            for lane in state.lanes.indices {
                for (number, _) in state.lanes[lane].jobs { state.unfinished.remove(number) }
                state.lanes[lane].jobs = []
            }
            return state.lanes.map(\.thread)
        }
        state.broadcast()
        for thread in threads { thread?.join() }
    }

    private func start(_ lane: Int) throws -> Thread {
        do {
            return try Thread { self.work(lane) }
        } catch {
            throw Refusal(code: PFX_OUT_OF_MEMORY, text: "The system has no thread to give. Raise the limit.")
        }
    }

    private func work(_ lane: Int) {
        while let (number, job) = next(lane) {
            var completion = job.run(blocks)
            completion.job = number
            state.withLock { state in
                state.unfinished.remove(number)
                state.done.append(completion)
                cprefixstore_event_set(event)
            }
            state.broadcast()
        }
    }

    /// Waits for a job; nil when the queue is closed.
    private func next(_ lane: Int) -> (number: UInt64, job: BlockJob)? {
        state.withLock(when: { $0.isClosed || !$0.lanes[lane].jobs.isEmpty }) { state in
            state.isClosed ? nil : state.lanes[lane].jobs.removeFirst()
        }
    }
}
