// How often in a row the opening of a store has ended the process that opened it.

internal import Glibc
internal import KVFormat

/// One opening of a store under way.
///
/// Processes open a store one after the other, each for some milliseconds: they lock the byte behind the last slot of
/// `openers`. Meanwhile the file `opening` counts, in one byte, the openings in a row that have begun and not ended,
/// this one included. It is gone when an opening has ended, in success or in an error. The system releases the lock
/// when a process dies, and leaves the file.
final class OpeningMark {
    static let file = "opening"
    /// After this many deaths in a row the store is not opened before all of it has been looked at. A process that dies
    /// in that look is one death more, and then the store is not opened again.
    static let deadly = 2
    /// How long an opening waits for another one: then it goes on without a mark.
    private static let patience = 200

    /// Openings before this one that ended their process, in a row.
    let deaths: Int
    private let descriptor: Int32
    private let path: String

    /// Begins to open the store in `folder`. Nil when the store has no list of openers yet, the folder cannot be
    /// written, or another process takes too long: nothing is counted then.
    init?(folder: String) {
        path = folder + "/" + Self.file
        let openers = unsafe open(folder + "/" + Opener.file, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard openers >= 0 else { return nil }
        guard Opener.isList(openers),
            (0..<Self.patience).contains(where: { _ in Self.lock(openers) || usleep(5000) != 0 })
        else {
            close(openers)
            return nil
        }
        descriptor = openers
        let count = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        var byte: [UInt8] = [0]
        deaths = unsafe count >= 0 && pread(count, &byte, 1, 0) == 1 ? Int(byte[0]) : 0
        byte[0] = UInt8(clamping: deaths + 1)
        if count >= 0 {
            _ = unsafe pwrite(count, &byte, 1, 0)
            close(count)
        }
    }

    deinit {
        unsafe unlink(path)
        close(descriptor)
    }

    /// Whether no process has the store open. No engine can begin to while this mark exists.
    func isAlone(in folder: String) -> Bool { !Opener.list(folder: folder).contains { $0.isAlive } }

    private static func lock(_ descriptor: Int32) -> Bool {
        var range = flock(
            l_type: Int16(F_WRLCK), l_whence: Int16(SEEK_SET), l_start: off_t(OpenerRecord.fileBytes), l_len: 1,
            l_pid: 0)
        return unsafe fcntl(descriptor, Opener.setLock, &range) == 0
    }
}
