// What the environment says of passwords and places.

internal import Glibc

/// The environment of this process.
enum ProcessEnvironment {
    /// The bytes of a variable; nil if it is not set, or empty.
    static func bytes(_ name: String) -> [UInt8]? {
        guard let value = unsafe getenv(name), unsafe value.pointee != 0 else { return nil }
        return unsafe Array(UnsafeRawBufferPointer(start: value, count: strlen(value)))
    }

    /// The text of a variable; nil if it is not set, or empty.
    static func value(_ name: String) -> String? { bytes(name).map { String(decoding: $0, as: UTF8.self) } }
}
