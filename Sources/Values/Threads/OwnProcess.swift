// Whether code runs in the process that made an object, or in a forked child of it.

internal import Glibc
internal import Synchronization

/// The process in which it was made. Thread-safe.
///
/// A look-up asks twice, so that asking must cost nothing: `getpid` is a system call and was an eighth of a look-up
/// that misses. The kernel wipes one page of memory in every forked child instead (`MADV_WIPEONFORK`), and a generation
/// in that page tells the processes apart.
package struct OwnProcess: Sendable {
    private let generation: Int

    /// This process.
    package init() { generation = Self.current() }

    /// Whether this is still that process; false in a child that was forked from it.
    package var isHere: Bool { Self.current() == generation }

    /// Counts the generations among a process and its ancestors; a child begins with its parent's count.
    private static let generations = Atomic<Int>(0)

    @safe
    private struct Page: @unchecked Sendable {
        let generation: UnsafeMutablePointer<Atomic<Int>>

        /// Nil where the kernel does not wipe memory on a fork: before Linux 4.14, and in some sandboxes.
        init?() {
            let byteCount = Int(sysconf(Int32(_SC_PAGESIZE)))
            let address = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            guard let address = unsafe address, unsafe address != MAP_FAILED else { return nil }
            guard unsafe madvise(address, byteCount, MADV_WIPEONFORK) == 0 else {
                unsafe munmap(address, byteCount)
                return nil
            }
            // The page is of zeros, which is an atomic 0, and stays for the life of the process.
            unsafe generation = address.bindMemory(to: Atomic<Int>.self, capacity: 1)
        }
    }
    private static let page = Page()

    /// A number that differs between this process and those before it; the process's number where no page is wiped.
    private static func current() -> Int {
        guard let page else { return Int(getpid()) }
        let known = unsafe page.generation.pointee.load(ordering: .relaxed)
        guard known == 0 else { return known }
        let next = generations.add(1, ordering: .relaxed).newValue
        let exchange = unsafe page.generation.pointee.compareExchange(
            expected: 0, desired: next, ordering: .relaxed)
        return exchange.exchanged ? next : exchange.original
    }
}
