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
    ///   - isPrivate: whether only its owner, this user or root, may be able to read it. False for files of other
    ///     tools, which have their own rules.
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
        guard !isPrivate || status.st_mode & 0o077 == 0 else {
            throw Unreadable(text: "others may read or write the file \(path); set its mode to 0600 (chmod)")
        }
        guard !isPrivate || status.st_uid == geteuid() || status.st_uid == 0 else {
            throw Unreadable(text: "the file \(path) belongs to another user")
        }
        return try contents(ofDescriptor: descriptor, longest: longest)
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
