// Which processes have the store open, and which ended without closing it. They are in a separate file, so that opening
// and closing cost no write transaction.

internal import Glibc
internal import KVFormat
internal import LMDB
internal import Threads

/// This process's slot in the file `openers`.
///
/// A process holds a lock on the bytes of its slot as long as it has the store open, and clears the slot when it
/// closes. The lock belongs to the open file, and the system releases it however the process ends. So a slot that is
/// written but not locked belongs to a process that ended without closing. Nothing here can fail: a process without a
/// slot can use the store too, but is not listed. Thread-safe.
final class Opener: Sendable {
    static let file = "openers"

    private struct Place {
        let descriptor: Int32
        let slot: Int
        let processID: Int32
    }
    private let place: Guarded<Place?>

    /// Takes a slot of the store in `folder`. Makes the file when it is missing or damaged. Takes about 50
    /// microseconds.
    init(folder: String, role: OpenerRole) {
        let descriptor = unsafe open(
            folder + "/" + Self.file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        let record = OpenerRecord(role: role, openedAt: SystemClock.wallMilliseconds())
        guard descriptor >= 0, Self.mend(descriptor), let slot = Self.take(descriptor, record) else {
            if descriptor >= 0 { close(descriptor) }
            place = Guarded(nil)
            return
        }
        place = Guarded(Place(descriptor: descriptor, slot: slot, processID: getpid()))
    }

    deinit { leave() }

    /// Clears the slot and releases its lock. In a forked child it does nothing, because slot and lock belong to the
    /// parent.
    func leave() {
        guard
            let left = place.withLock({ place in
                defer { place = nil }
                return place
            })
        else { return }
        if left.processID == getpid() {
            _ = Self.write([UInt8](repeating: 0, count: OpenerRecord.byteCount), left.descriptor, slot: left.slot)
        }
        close(left.descriptor)
    }

    /// The processes that have the store in `folder` open or ended without closing it, in the order in which they
    /// opened it. Empty when the file is missing or cannot be read.
    static func list(folder: String) -> [OpenerInfo] {
        // A separate open file, because a query does not report the locks of the open file that it is made through.
        let descriptor = StandardDescriptors.taken {
            unsafe open(folder + "/" + file, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        }
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        let bytes = read(descriptor)
        guard bytes.starts(with: OpenerRecord.header) else { return [] }
        return (0..<OpenerRecord.slots).compactMap { slot -> OpenerInfo? in
            guard let record = record(bytes, slot) else { return nil }
            return OpenerInfo(
                processID: Int(record.processID), program: record.program,
                openedAt: Timestamp(milliseconds: record.openedAt), role: record.role,
                isAlive: isLocked(descriptor, slot))
        }
        .sorted { $0.openedAt < $1.openedAt }
    }

    /// A process in words, with what the list says of it.
    ///
    /// - Parameter process: its id; nil when that is not known.
    static func words(_ process: Int32?, folder: String) -> String {
        guard let process else { return "Another writer" }
        guard let opener = list(folder: folder).last(where: { $0.isAlive && $0.processID == Int(process) }) else {
            return "Process \(process)"
        }
        let seconds = (SystemClock.wallMilliseconds() - opener.openedAt.milliseconds) / 1000
        return "Process \(process) (\(opener.program), which opened it \(max(0, seconds)) seconds ago)"
    }

    /// Makes the list of openers when it is missing; false when that fails.
    static func makeList(in folder: String) -> Bool {
        let descriptor = unsafe open(folder + "/" + file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return mend(descriptor)
    }

    /// Whether an open file is a list of openers: the folder is a store's then.
    static func isList(_ descriptor: Int32) -> Bool {
        read(descriptor, count: OpenerRecord.byteCount) == OpenerRecord.header
    }

    // MARK: The file

    /// Makes sure that the file has a header and all its slots.
    private static func mend(_ descriptor: Int32) -> Bool {
        func isWhole() -> Bool {
            var status = stat()
            guard unsafe fstat(descriptor, &status) == 0, status.st_size == off_t(OpenerRecord.fileBytes) else {
                return false
            }
            return read(descriptor, count: OpenerRecord.byteCount) == OpenerRecord.header
        }
        guard !isWhole() else { return true }
        // Only one of several that open the store at once makes the file. That takes microseconds; a process that
        // stands still meanwhile costs the others their place in the list.
        guard (0..<50).contains(where: { _ in lock(descriptor, slot: -1, setLock, F_WRLCK) || usleep(1000) != 0 })
        else { return false }
        defer { _ = lock(descriptor, slot: -1, setLock, F_UNLCK) }
        return isWhole()
            || ftruncate(descriptor, 0) == 0 && ftruncate(descriptor, off_t(OpenerRecord.fileBytes)) == 0
                && write(OpenerRecord.header, descriptor, slot: -1)
    }

    /// Writes `record` into a slot that no process holds: an empty one, or the oldest one whose process ended without
    /// closing.
    private static func take(_ descriptor: Int32, _ record: OpenerRecord) -> Int? {
        let bytes = read(descriptor)
        guard bytes.count == OpenerRecord.fileBytes else { return nil }
        var written: [(slot: Int, openedAt: Int64)] = []
        for slot in 0..<OpenerRecord.slots {
            if let record = Self.record(bytes, slot) {
                written.append((slot, record.openedAt))
            } else if fill(descriptor, slot, record) {
                return slot
            }
        }
        return written.sorted { $0.openedAt < $1.openedAt }.first { fill(descriptor, $0.slot, record) }?.slot
    }

    /// Locks a slot and writes it; false when another process holds it.
    private static func fill(_ descriptor: Int32, _ slot: Int, _ record: OpenerRecord) -> Bool {
        guard lock(descriptor, slot: slot, setLock, F_WRLCK) else { return false }
        if write(record.encoded(slot: slot), descriptor, slot: slot) { return true }
        _ = lock(descriptor, slot: slot, setLock, F_UNLCK)
        return false
    }

    private static func record(_ bytes: [UInt8], _ slot: Int) -> OpenerRecord? {
        let start = offset(slot)
        guard bytes.count >= start + OpenerRecord.byteCount else { return nil }
        return unsafe OpenerRecord(bytes.span.bytes.extracting(start..<start + OpenerRecord.byteCount), slot: slot)
    }

    private static func read(_ descriptor: Int32, count: Int = OpenerRecord.fileBytes) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, read in
            read = unsafe max(0, pread(descriptor, buffer.baseAddress, buffer.count, 0))
        }
    }

    private static func write(_ bytes: [UInt8], _ descriptor: Int32, slot: Int) -> Bool {
        unsafe bytes.withUnsafeBytes { bytes in
            unsafe pwrite(descriptor, bytes.baseAddress, bytes.count, off_t(offset(slot))) == bytes.count
        }
    }

    /// Where slot `slot` lies; the header lies at slot -1.
    private static func offset(_ slot: Int) -> Int { (slot + 1) * OpenerRecord.byteCount }

    // MARK: Locks

    // `F_OFD_GETLK` and `F_OFD_SETLK` of Linux, which Glibc declares only for GNU programs.
    private static let getLock: Int32 = 36
    static let setLock: Int32 = 37

    /// Locks or unlocks a slot. The lock belongs to the open file and not to the process, because closing another file
    /// of the process must not release it.
    private static func lock(_ descriptor: Int32, slot: Int, _ command: Int32, _ type: Int32) -> Bool {
        var range = range(slot, type)
        return unsafe fcntl(descriptor, command, &range) == 0
    }

    private static func isLocked(_ descriptor: Int32, _ slot: Int) -> Bool {
        var range = range(slot, F_WRLCK)
        return unsafe fcntl(descriptor, getLock, &range) == 0 && range.l_type != Int16(F_UNLCK)
    }

    private static func range(_ slot: Int, _ type: Int32) -> flock {
        flock(
            l_type: Int16(type), l_whence: Int16(SEEK_SET), l_start: off_t(offset(slot)),
            l_len: off_t(OpenerRecord.byteCount), l_pid: 0)
    }
}
