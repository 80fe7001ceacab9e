// Where LMDB's map lies in memory, so that a damaged size or pointer is found before anything is read through it.

import CLMDB
import Glibc
import Threads

/// The memory that LMDB mapped the data file to.
///
/// LMDB reports a map's size but not its address. The address is read from its environment, or looked up in the
/// kernel's list of mappings where the environment has another form than that of LMDB 0.9.
@safe
struct MapRegion {
    let start: UnsafeRawPointer
    let byteCount: Int

    /// Whether a byte lies in the map.
    func contains(_ address: UnsafeRawPointer) -> Bool {
        unsafe UInt(bitPattern: address) &- UInt(bitPattern: start) < UInt(byteCount)
    }

    /// Whether a run of bytes lies in the first `limit` bytes of the map.
    func contains(_ bytes: UnsafeRawBufferPointer, limit: Int) -> Bool {
        guard let address = bytes.baseAddress else { return unsafe bytes.isEmpty }
        let offset = unsafe UInt(bitPattern: address) &- UInt(bitPattern: start)
        return offset <= UInt(limit) && UInt(bytes.count) <= UInt(limit) - offset
    }
}

extension MapRegion {
    /// Which process made the map at each address. A forked child inherits the maps of its parent, of the same file
    /// too: they are not those of its own environments, and show pages that LMDB may have used again since. A list,
    /// since a process has few.
    private static let makers = Guarded<[Maker]>([])

    private struct Maker {
        let start: UInt
        let process: pid_t
    }

    private static func note(mapAt start: UInt) {
        makers.withLock { makers in
            makers.removeAll { $0.start == start }
            makers.append(Maker(start: start, process: getpid()))
        }
    }

    /// To be called when LMDB has ended the map: another may come to its place.
    func forget() {
        let start = unsafe UInt(bitPattern: start)
        Self.makers.withLock { $0.removeAll { $0.start == start } }
    }

    /// Finds the map of an open environment's data file.
    init(of environment: OpaquePointer) throws(LMDBError) {
        guard let address = unsafe Self.address(in: environment) else {
            try unsafe self.init(lookingUp: environment)
            return
        }
        try unsafe self.init(start: address, byteCount: Self.size(of: environment))
        Self.note(mapAt: UInt(bitPattern: address))
    }

    /// The address that LMDB's environment has; nil when it has another form than that of LMDB 0.9.
    static func address(in environment: OpaquePointer) -> UnsafeRawPointer? { unsafe clmdb_map_address(environment) }

    private static func size(of environment: OpaquePointer) throws(LMDBError) -> Int {
        var info = unsafe MDB_envinfo()
        try check(unsafe mdb_env_info(environment, &info), call: "mdb_env_info")
        return unsafe info.me_mapsize
    }

    /// Finds the map in the process's list of mappings, which it reads once.
    init(lookingUp environment: OpaquePointer) throws(LMDBError) {
        var descriptor: Int32 = -1
        try check(unsafe mdb_env_get_fd(environment, &descriptor), call: "mdb_env_get_fd")
        let size = try unsafe Self.size(of: environment)
        let path = try Self.path(of: descriptor)
        let inherited = Self.makers.withLock { makers in makers.filter { $0.process != getpid() } }
        let found = Self.lines(of: try Self.readMappings(), endingIn: path).lazy
            .compactMap { Mapping(line: $0) }
            .first { mapping in
                mapping.path == path && mapping.offset == 0 && mapping.byteCount >= size
                    && !inherited.contains { $0.start == mapping.start }
            }
        guard let found, let address = unsafe UnsafeRawPointer(bitPattern: found.start) else {
            throw .code(ENOENT, call: "looking up the map in /proc/self/maps")
        }
        unsafe start = address
        byteCount = size
        Self.note(mapAt: found.start)
    }

    /// The path that the kernel has for an open file, spelled as in the list of mappings.
    private static func path(of descriptor: Int32) throws(LMDBError) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe readlink("/proc/self/fd/\(descriptor)", &buffer, buffer.count)
        guard count > 0 else { throw .code(errno, call: "readlink") }
        // A line break is the one byte of a path that the list of mappings spells in another way.
        return buffer[..<count].map { UInt8(bitPattern: $0) }.flatMap {
            $0 == UInt8(ascii: "\n") ? Array("\\012".utf8) : [$0]
        }
    }

    /// The lines that end in `path`. A process has hundreds of mappings, and few are of one file: the others are not
    /// taken apart.
    private static func lines(of text: [UInt8], endingIn path: [UInt8]) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var start = 0
        while start < text.count {
            var end = start
            while end < text.count, text[end] != UInt8(ascii: "\n") { end += 1 }
            if end - start > path.count, text[end - 1] == path.last, text[start..<end].suffix(path.count) == path[...] {
                lines.append(Array(text[start..<end]))
            }
            start = end + 1
        }
        return lines
    }

    private static func readMappings() throws(LMDBError) -> [UInt8] {
        let descriptor = unsafe open("/proc/self/maps", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .code(errno, call: "open /proc/self/maps") }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe read(descriptor, &chunk, chunk.count)
            guard count >= 0 else { throw .code(errno, call: "read /proc/self/maps") }
            guard count > 0 else { return text }
            text += chunk[..<count]
        }
    }
}

/// One line of the kernel's list: `start-end permissions offset device inode path`.
struct Mapping: Equatable {
    let start: UInt
    let byteCount: UInt
    let offset: UInt
    let path: [UInt8]

    /// Reads a line; `nil` when it does not describe a mapped file.
    init?(line: [UInt8]) {
        let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
        guard fields.count == 6 else { return nil }
        let ends = fields[0].split(separator: UInt8(ascii: "-"))
        guard ends.count == 2,
            let start = Self.number(ends[0]), let end = Self.number(ends[1]), end > start,
            let offset = Self.number(fields[2])
        else { return nil }
        self.start = start
        self.byteCount = end - start
        self.offset = offset
        self.path = Array(fields[5].drop { $0 == UInt8(ascii: " ") })
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt? {
        UInt(String(decoding: digits, as: UTF8.self), radix: 16)
    }
}
