// Where a sealing key comes from: a file, a descriptor, a variable of the environment.

internal import Glibc

extension SealingKey {
    /// The key in a file: 32 bytes, or 64 hexadecimal digits.
    ///
    /// - Throws: `.invalidKey` when there is no such file, when others than its owner may read or write it, when it
    ///   belongs to another user, or when it holds no key.
    public init(file path: String) throws(StoreError) {
        try self.init(text: Self.read { () throws(SecretFile.Unreadable) in try SecretFile.contents(ofFile: path) })
    }

    /// The key that a descriptor gives until its end, such as a pipe from a key service. The descriptor stays open.
    ///
    /// - Throws: `.invalidKey` when it cannot be read, or gives no key.
    public init(descriptor: Int32) throws(StoreError) {
        try self.init(
            text: Self.read { () throws(SecretFile.Unreadable) in try SecretFile.contents(ofDescriptor: descriptor) })
    }

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

    private static func read(_ body: () throws(SecretFile.Unreadable) -> [UInt8]) throws(StoreError) -> [UInt8] {
        do throws(SecretFile.Unreadable) { return try body() } catch { throw .invalidKey(error.text) }
    }
}
