// Memory for pages, which is touched before anything is timed.

internal import Foundation
internal import PrefixStore

/// Anonymous memory, all of it resident, which is given back with the object.
@safe
final class PageBuffer: @unchecked Sendable {
    // Unchecked because the benchmark's threads never write where another reads.
    let base: UnsafeMutableRawPointer
    /// Bytes.
    let count: Int

    /// Reserves `count` bytes, at least one, and touches all of them, so that no page fault falls into a timed part.
    init(_ count: Int) throws {
        let address = unsafe mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let address = unsafe address, unsafe address != MAP_FAILED else {
            throw CommandFailure(
                status: .inputOutput, sentence: "The system cannot provide \(ByteCount(UInt64(count))) of memory.",
                remedy: "Give fewer --tokens or a smaller --model-shape.")
        }
        unsafe base = address
        self.count = count
        unsafe memset(address, 1, count)
    }

    deinit { unsafe munmap(base, count) }

    /// Fills the buffer from the beginning of a file, and repeats its pages when the file ends.
    ///
    /// - Parameter pageBytes: the file is used in whole pages of this size.
    func read(_ path: String, pageBytes: Int) throws {
        let file = unsafe open(path, O_RDONLY)
        guard file >= 0 else {
            throw CommandFailure(
                status: .missingInput, sentence: "The file of pages \(path) cannot be read.",
                remedy: "Name a file of raw pages, \(pageBytes) bytes each.")
        }
        defer { close(file) }
        var filled = 0
        while filled < count {
            let got = unsafe Foundation.read(file, base + filled, min(count - filled, 64 << 20))
            if got <= 0 { break }
            filled += got
        }
        filled -= filled % pageBytes
        guard filled > 0 else {
            throw CommandFailure(
                status: .badInput,
                sentence: "The file of pages \(path) is smaller than one page of \(pageBytes) bytes.",
                remedy: "Give the shape and --page-size that its pages have.")
        }
        var end = filled
        while end < count {
            let part = min(filled, count - end)
            unsafe (base + end).copyMemory(from: base, byteCount: part)
            end += part
        }
    }

    /// Whether the two hold the same bytes.
    func isEqual(to other: PageBuffer) -> Bool {
        guard count == other.count else { return false }
        return unsafe memcmp(base, other.base, count) == 0
    }

    /// Seconds that `threads` threads take to copy all of `source` here, `step` bytes at a time.
    func copySeconds(from source: PageBuffer, step: Int, threads: Int) -> Double {
        let steps = count / step
        return Stopwatch.seconds {
            DispatchQueue.concurrentPerform(iterations: threads) { thread in
                for part in stride(from: thread, to: steps, by: threads) {
                    unsafe (base + part * step).copyMemory(from: source.base + part * step, byteCount: step)
                }
            }
        }
    }
}

/// Wall time.
enum Stopwatch {
    /// Seconds on a monotonic clock.
    static var now: Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Seconds that `body` takes.
    static func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = now
        try body()
        return now - start
    }

    /// Waits until `time` on this clock, which all processes of the machine share. Returns at once if it has passed.
    static func wait(until time: Double) {
        let left = time - now
        if left > 0 { usleep(UInt32(min(left, 3600) * 1e6)) }
    }

    /// The median of the numbers; 0 if there are none.
    static func median(_ numbers: [Double]) -> Double {
        guard !numbers.isEmpty else { return 0 }
        let sorted = numbers.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
}
