// Reading a file that holds a secret, such as a key or a password.

internal import Glibc

/// A file, or a descriptor, that gives a secret.
package enum SecretFile {
    /// Bytes that a secret has at most, with white space around it.
    package static let longest = 4096

    /// Why a secret could not be read, as a clause without a full stop. It has nothing of the content.
    package struct Unreadable: Error {
        package let text: String
    }

    /// The content of a file.
    ///
    /// - Parameters:
    ///   - isPrivate: whether only its owner, this user or root, may be able to read it. A file that others may read,
    ///     and not write, will do on a file system in memory that is mounted for reading only: so clusters hand secrets
    ///     to containers, in which nobody else is. False for files of other tools, which have their own rules.
    ///   - longest: bytes that it has at most.
    /// - Throws: when there is no such file, when others can read or write it, or when it is too long.
    package static func contents(
        ofFile path: String, isPrivate: Bool = true, longest: Int = longest
    ) throws(Unreadable) -> [UInt8] {
        // Whatever it is, opening it must not wait for anybody.
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw Unreadable(text: "the file \(path) cannot be opened: \(StoreError.words(of: errno))")
        }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw Unreadable(text: "\(path) is not a file")
        }
        guard
            !isPrivate || status.st_mode & 0o077 == 0
                || status.st_mode & 0o022 == 0 && isHandedToContainer(descriptor, device: status.st_dev)
        else {
            throw Unreadable(text: "others may read or write the file \(path); set its mode to 0600 (chmod)")
        }
        guard !isPrivate || status.st_uid == geteuid() || status.st_uid == 0 else {
            throw Unreadable(text: "the file \(path) belongs to another user")
        }
        return try contents(ofDescriptor: descriptor, longest: longest)
    }

    /// Whether a file is on a file system in memory that is mounted for reading only.
    private static func isHandedToContainer(_ descriptor: Int32, device: dev_t) -> Bool {
        var mount = statvfs()
        guard unsafe fstatvfs(descriptor, &mount) == 0, mount.f_flag & UInt(ST_RDONLY) != 0 else { return false }
        let list = unsafe Glibc.open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC)
        guard list >= 0 else { return false }
        defer { Glibc.close(list) }
        guard let bytes = try? contents(ofDescriptor: list, longest: 1 << 20) else { return false }
        // As glibc's macros `major` and `minor` do, which Swift does not see.
        let major = (device >> 8) & 0xFFF | (device >> 32) & ~0xFFF
        let minor = device & 0xFF | (device >> 12) & ~0xFF
        return isInMemory("\(major):\(minor)", mounts: bytes)
    }

    /// Whether a device is a file system in memory, by the list of mounts as Linux has it: the third word of a line is
    /// the device, and the word behind the hyphen is the file system.
    static func isInMemory(_ device: String, mounts: [UInt8]) -> Bool {
        let lines = mounts.split(separator: UInt8(ascii: "\n")).lazy.map { line in
            line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
        }
        guard let line = lines.first(where: { $0.count > 6 && $0[2] == device }),
            let hyphen = line[6...].firstIndex(of: "-"), hyphen + 1 < line.count
        else { return false }
        return ["tmpfs", "ramfs"].contains(line[hyphen + 1])
    }

    /// What a descriptor gives until its end. It stays open.
    ///
    /// - Throws: when it cannot be read, or gives too much.
    package static func contents(
        ofDescriptor descriptor: Int32, longest: Int = longest
    ) throws(Unreadable) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: longest + 1)
        var held = 0
        while held < bytes.count {
            let count = unsafe bytes.withUnsafeMutableBytes { bytes in
                let room = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[held...])
                return unsafe read(descriptor, room.baseAddress, room.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Unreadable(text: "it cannot be read: \(StoreError.words(of: errno))") }
            if count == 0 { return Array(bytes[..<held]) }
            held += count
        }
        throw Unreadable(text: "it has more than \(longest) bytes")
    }
}
