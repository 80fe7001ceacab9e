// pfx_last_error, pfx_error_name, pfx_version, pfx_struct_size.

internal import CPrefixStore
internal import PrefixStore

/// See prefixstore.h.
@c @implementation
public func pfx_last_error() -> UnsafePointer<CChar>! { unsafe cprefixstore_error() }

/// See prefixstore.h.
@c @implementation
public func pfx_error_name(_ code: Int32) -> UnsafePointer<CChar>! {
    let name = errorNames[Int(code)] ?? "PFX_UNKNOWN"
    return unsafe name.utf8Start.withMemoryRebound(to: CChar.self, capacity: name.utf8CodeUnitCount + 1) {
        unsafe UnsafePointer($0)
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_version() -> UnsafePointer<CChar>! {
    let version: StaticString = "0.1.0"
    return unsafe version.utf8Start.withMemoryRebound(to: CChar.self, capacity: version.utf8CodeUnitCount + 1) {
        unsafe UnsafePointer($0)
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_struct_size(_ name: UnsafePointer<CChar>!) -> Int {
    guard let name = unsafe name, let text = unsafe String(validatingCString: name) else { return 0 }
    return structSizes[text] ?? 0
}

/// The bytes of each struct of the header. Types with pointers in them count as unsafe; no pointer is followed.
private let structSizes: [String: Int] = unsafe [
    "pfx_options": MemoryLayout<pfx_options>.size,
    "pfx_identity": MemoryLayout<pfx_identity>.size,
    "pfx_plane": MemoryLayout<pfx_plane>.size,
    "pfx_layout": MemoryLayout<pfx_layout>.size,
    "pfx_match_info": MemoryLayout<pfx_match_info>.size,
    "pfx_rows": MemoryLayout<pfx_rows>.size,
    "pfx_key": MemoryLayout<pfx_key>.size,
    "pfx_span": MemoryLayout<pfx_span>.size,
    "pfx_completion": MemoryLayout<pfx_completion>.size,
]

/// The name of each code.
private let errorNames: [Int: StaticString] = [
    PFX_OK: "PFX_OK",
    PFX_INVALID_ARGUMENT: "PFX_INVALID_ARGUMENT",
    PFX_INVALID_HANDLE: "PFX_INVALID_HANDLE",
    PFX_TIMED_OUT: "PFX_TIMED_OUT",
    PFX_TOO_MANY: "PFX_TOO_MANY",
    PFX_OUT_OF_MEMORY: "PFX_OUT_OF_MEMORY",
    PFX_INVALID_LAYOUT: "PFX_INVALID_LAYOUT",
    PFX_INVALID_IDENTITY: "PFX_INVALID_IDENTITY",
    PFX_INVALID_OPTION: "PFX_INVALID_OPTION",
    PFX_INVALID_TOKENS: "PFX_INVALID_TOKENS",
    PFX_INVALID_PAGES: "PFX_INVALID_PAGES",
    PFX_INVALID_SIDE_STATE: "PFX_INVALID_SIDE_STATE",
    PFX_ALREADY_OPEN: "PFX_ALREADY_OPEN",
    PFX_FORKED: "PFX_FORKED",
    PFX_CLOSED: "PFX_CLOSED",
    PFX_NO_SUCH_PAGE: "PFX_NO_SUCH_PAGE",
    PFX_NO_SUCH_SPACE: "PFX_NO_SUCH_SPACE",
    PFX_INVALID_BLOCK: "PFX_INVALID_BLOCK",
    PFX_INVALID_NAME: "PFX_INVALID_NAME",
    PFX_TOO_MANY_NAMES: "PFX_TOO_MANY_NAMES",
    PFX_NO_SUCH_NAME: "PFX_NO_SUCH_NAME",
    PFX_NOT_A_FOLDER: "PFX_NOT_A_FOLDER",
    PFX_NOT_A_STORE: "PFX_NOT_A_STORE",
    PFX_READ_ONLY: "PFX_READ_ONLY",
    PFX_PERMISSIONS: "PFX_PERMISSIONS",
    PFX_NETWORK_FILE_SYSTEM: "PFX_NETWORK_FILE_SYSTEM",
    PFX_FORMAT_MISMATCH: "PFX_FORMAT_MISMATCH",
    PFX_SEALED_SPACE: "PFX_SEALED_SPACE",
    PFX_WRONG_KEY: "PFX_WRONG_KEY",
    PFX_INVALID_KEY: "PFX_INVALID_KEY",
    PFX_DISK_FULL: "PFX_DISK_FULL",
    PFX_QUOTA_FULL: "PFX_QUOTA_FULL",
    PFX_MAP_FULL: "PFX_MAP_FULL",
    PFX_READERS_FULL: "PFX_READERS_FULL",
    PFX_DAMAGED: "PFX_DAMAGED",
    PFX_SYSTEM: "PFX_SYSTEM",
    PFX_WRITER_BUSY: "PFX_WRITER_BUSY",
    PFX_DISK_FAILURE: "PFX_DISK_FAILURE",
    PFX_FILE_REPLACED: "PFX_FILE_REPLACED",
    PFX_REMOTE_FAILURE: "PFX_REMOTE_FAILURE",
]
