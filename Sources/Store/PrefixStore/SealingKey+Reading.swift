// Where a sealing key comes from: a file, a descriptor, a variable of the environment.

internal import Glibc

extension SealingKey {
    /// Bytes of a file or descriptor that are looked at: a key with white space around it is never longer.
    private static let longest = 4096

    /// The key in a file: 32 bytes, or 64 hexadecimal digits.
    ///
    /// - Throws: `.invalidKey` when there is no such file, when others than its owner may read or write it, when it
    ///   belongs to another user, or when it holds no key.
    public init(file path: String) throws(StoreError) {
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw .invalidKey("the file \(path) cannot be opened: \(StoreError.words(of: errno))")
        }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw .invalidKey("\(path) is not a file")
        }
        guard status.st_mode & 0o077 == 0 else {
            throw .invalidKey("others may read or write the file \(path); set its mode to 0600 (chmod)")
        }
        guard status.st_uid == geteuid() || status.st_uid == 0 else {
            throw .invalidKey("the file \(path) belongs to another user")
        }
        try self.init(text: Self.contents(of: descriptor))
    }

    /// The key that a descriptor gives until its end, such as a pipe from a key service. The descriptor stays open.
    ///
    /// - Throws: `.invalidKey` when it cannot be read, or gives no key.
    public init(descriptor: Int32) throws(StoreError) { try self.init(text: Self.contents(of: descriptor)) }

    /// The key in a variable of the environment, 64 hexadecimal digits. Other programs of this user can read the
    /// environment of a process: a file or a descriptor is better.
    ///
    /// - Returns: nil when there is no such variable.
    /// - Throws: `.invalidKey` when it is not a key.
    public static func environment(_ name: String = "PFX_KEY") throws(StoreError) -> SealingKey? {
        guard let value = unsafe getenv(name) else { return nil }
        let digits = unsafe Array(String(cString: value).utf8)
        guard digits.count != byteCount else { throw .invalidKey("the variable \(name) is not hexadecimal") }
        return try SealingKey(text: digits)
    }

    private static func contents(of descriptor: Int32) throws(StoreError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: longest)
        var held = 0
        while held < bytes.count {
            let count = unsafe bytes.withUnsafeMutableBytes { bytes in
                let room = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[held...])
                return unsafe read(descriptor, room.baseAddress, room.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .invalidKey("it cannot be read: \(StoreError.words(of: errno))") }
            if count == 0 { break }
            held += count
        }
        return Array(bytes[..<held])
    }
}
