// The file `openers`: its header, and one slot for each process that has the store open.

internal import Glibc
internal import KVFormat

/// A process that has opened a store.
///
/// The file has 64 bytes of header and 512 slots of 64 bytes. Header: `PFXopen2`, bytes of a slot (4), slots (4),
/// zeros, and XXH3-64 of the bytes before in the last 8, seeded as for a key of zeros, part 0. A slot, all of it 0 when
/// it is empty:
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<4 | process id, as the process itself sees it |
/// | 4..<12 | its process id namespace: the inode of `/proc/self/ns/pid` |
/// | 12..<20 | when the process was started, in clock ticks since the system was started |
/// | 20..<28 | when it opened the store, milliseconds since the Unix epoch |
/// | 28 | role: 1 engine, 2 tool |
/// | 29 | state: 0 empty, 1 open |
/// | 30..<54 | name of the program in UTF-8, padded with zeros |
/// | 54..<56 | 0 |
/// | 56..<64 | XXH3-64 of the bytes before, seeded as for a key of zeros, part = number of the slot + 1 |
struct OpenerRecord: Equatable, Sendable {
    static let byteCount = 64
    static let slots = 512
    static let fileBytes = byteCount * (slots + 1)
    private static let programBytes = 24

    var processID: UInt32
    var namespace: UInt64
    var started: UInt64
    var openedAt: Int64
    var role: OpenerRole
    var program: String

    /// This process.
    init(role: OpenerRole, openedAt: Int64) {
        processID = UInt32(bitPattern: getpid())
        var status = stat()
        namespace = unsafe stat("/proc/self/ns/pid", &status) == 0 ? UInt64(status.st_ino) : 0
        started = Self.startTicks()
        self.openedAt = openedAt
        self.role = role
        program = Self.programName()
    }

    /// Reads slot `slot`; nil when it is empty or damaged.
    init?(_ bytes: RawSpan, slot: Int) {
        guard bytes.integer(at: 29, as: UInt8.self) == 1,
            let role = OpenerRole(code: bytes.integer(at: 28, as: UInt8.self)),
            Self.endsWithChecksum(bytes, part: slot + 1)
        else { return nil }
        processID = bytes.integer(at: 0, as: UInt32.self)
        namespace = bytes.integer(at: 4, as: UInt64.self)
        started = bytes.integer(at: 12, as: UInt64.self)
        openedAt = bytes.integer(at: 20, as: Int64.self)
        self.role = role
        let name = bytes.extracting(0..<30 + Self.programBytes).copy(from: 30).prefix { $0 != 0 }
        program = String(decoding: name, as: UTF8.self)
    }

    /// The bytes of slot `slot`.
    func encoded(slot: Int) -> [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.append(processID)
        writer.append(namespace)
        writer.append(started)
        writer.append(openedAt)
        writer.append(role.code)
        writer.append(UInt8(1))
        let name = Self.cut(program)
        writer.append(contentsOf: name + [UInt8](repeating: 0, count: Self.programBytes - name.count))
        writer.append(UInt16(0))
        return Self.withChecksum(writer.bytes, part: slot + 1)
    }

    /// The first 64 bytes of the file.
    static var header: [UInt8] {
        var writer = ByteWriter(capacity: byteCount)
        writer.append(contentsOf: Array("PFXopen2".utf8))
        writer.append(UInt32(byteCount))
        writer.append(UInt32(slots))
        writer.append(contentsOf: [UInt8](repeating: 0, count: 40))
        return withChecksum(writer.bytes, part: 0)
    }

    private static func withChecksum(_ bytes: [UInt8], part: Int) -> [UInt8] {
        var writer = ByteWriter(capacity: byteCount)
        writer.append(contentsOf: bytes)
        writer.append(unsafe Checksum.of(bytes.span.bytes, key: .zero, part: UInt64(part)))
        return writer.bytes
    }

    private static func endsWithChecksum(_ bytes: RawSpan, part: Int) -> Bool {
        bytes.integer(at: 56, as: UInt64.self)
            == Checksum.of(bytes.extracting(0..<56), key: .zero, part: UInt64(part))
    }

    /// As many complete characters as there is room for.
    private static func cut(_ name: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for character in name {
            let next = Array(String(character).utf8)
            guard bytes.count + next.count <= programBytes else { break }
            bytes += next
        }
        return bytes
    }

    /// Field 22 of `/proc/self/stat`: the 20th behind the program's name, which may hold anything.
    private static func startTicks() -> UInt64 {
        let text = contents(of: "/proc/self/stat")
        guard let name = text.lastIndex(of: UInt8(ascii: ")")) else { return 0 }
        let fields = text[(name + 1)...].split(separator: UInt8(ascii: " "), maxSplits: 20)
        return fields.count > 19 ? fields[19].reduce(0) { $0 &* 10 &+ UInt64($1 &- UInt8(ascii: "0")) } : 0
    }

    /// The last part of the program's path.
    private static func programName() -> String {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe max(0, readlink("/proc/self/exe", &path, path.count))
        let name = path[..<count].map { UInt8(bitPattern: $0) }.split(separator: UInt8(ascii: "/")).last ?? []
        return String(decoding: name, as: UTF8.self)
    }

    private static func contents(of path: String) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        return unsafe [UInt8](unsafeUninitializedCapacity: 1024) { buffer, count in
            count = unsafe max(0, read(descriptor, buffer.baseAddress, buffer.count))
        }
    }
}

extension OpenerRole {
    /// The number in the file.
    var code: UInt8 {
        switch self {
        case .engine: 1
        case .tool: 2
        }
    }

    /// The role with this number; nil when there is none.
    init?(code: UInt8) {
        guard let role = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = role
    }
}
