// Stores in folders of their own, and pages whose every byte can be computed from the token ids.

import ColdTier
import Glibc
import KVFormat
import PageCodec
import Threads

/// A folder of a test. Its files go when the last reference to it goes, the folder itself when the process ends: a tier
/// that still has it open would make the next folder that gets the same inode look open.
final class Folder: Sendable {
    let path: String

    init() throws {
        let template = "/tmp/pfx-cold-XXXXXX"
        var name = Array(template.utf8CString)
        guard unsafe mkdtemp(&name) != nil else { throw StoreError.system(call: "mkdtemp", errno: errno) }
        path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        FolderList.shared.append(path)
    }

    deinit { Self.removeFiles(path) }

    /// The store's folder, not made yet.
    var store: String { path + "/store" }

    private static func removeFiles(_ path: String) {
        for name in names(path) { removeFiles(path + "/" + name) }
        unsafe unlink(path)
    }

    fileprivate static func remove(_ path: String) {
        for name in names(path) { remove(path + "/" + name) }
        unsafe unlink(path)
        unsafe rmdir(path)
    }

    static func names(_ path: String) -> [String] {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe String(cString: UnsafeRawPointer(name).assumingMemoryBound(to: CChar.self))
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    static func mode(_ path: String) -> mode_t {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? status.st_mode & 0o7777 : 0
    }

    static func size(_ path: String) -> Int {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}

/// The folders of this process, removed at its end.
private final class FolderList: @unchecked Sendable {
    // Unchecked because the list is read and written under the mutex.
    static let shared = FolderList()

    private let mutex = Mutex()
    private var paths: [String] = []

    private init() { atexit { FolderList.shared.removeAll() } }

    func append(_ path: String) { mutex.withLock { paths.append(path) } }

    private func removeAll() { for path in mutex.withLock({ paths }) { Folder.remove(path) } }
}

extension ColdTier {
    /// A tier with a roomy quota unless the test says otherwise.
    convenience init(_ path: String, quota: ByteCount = .mebibytes(256)) throws(StoreError) {
        try self.init(path: path, options: ColdOptions(quota: quota))
    }
}

/// A small generator with a seed, so that every run can be had again.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// A model with pages like attention's: the bytes of a token depend on it and on all before it, on nothing else.
struct Model {
    let descriptor: SpaceDescriptor
    var layout: KVLayout { descriptor.layout }
    var root: PrefixHash { descriptor.root }

    /// 4 tokens a page unless the test says otherwise; `width` scales the bytes of a token.
    init(
        _ name: String = "model", pageSize: Int = 4, width: Int = 8, salt: Salt? = nil
    ) throws(StoreError) {
        let layout = try KVLayout(layers: 2, kvHeads: 1, headDimension: width, element: .bf16, pageSize: pageSize)
        try self.init(name, layout: layout, salt: salt)
    }

    init(_ name: String, layout: KVLayout, salt: Salt? = nil) throws(StoreError) {
        descriptor = try ModelIdentity(
            weights: .sha256(Array(name.utf8)), layout: layout, positions: "rope", tokenizer: .sha256([]),
            engine: "test", engineFormat: 1, salt: salt
        ).descriptor
    }

    /// The prefix hashes of the pages of `tokens`.
    func path(_ tokens: [TokenID]) -> [PrefixHash] {
        PrefixHash.chain(from: root, tokens: tokens[...], pageSize: layout.pageSize)
    }

    /// The bytes of tokens `range` of the sequence, one page in one piece.
    func bytes(_ tokens: [TokenID], _ range: Range<Int>) -> [UInt8] {
        var seeds: [UInt64] = []
        var seed = root.prefixWord
        for token in tokens[..<range.upperBound] {
            seed = SeededGenerator.mix(seed ^ UInt64(token) &* 0xD6E8_FEB8_6659_FD93)
            seeds.append(seed)
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(layout.pageBytes(tokens: range.count))
        for plane in 0..<layout.planeCount {
            for token in range {
                var generator = SeededGenerator(seed: seeds[token] &+ UInt64(plane))
                var left = layout.bytesPerToken(inPlane: plane)
                while left > 0 {
                    // The top byte of each element varies little, as exponents do: the codec has something to gain.
                    var word = generator.next() & 0x83FF_83FF_83FF_83FF
                    for _ in 0..<min(left, 8) {
                        bytes.append(UInt8(truncatingIfNeeded: word))
                        word >>= 8
                    }
                    left -= 8
                }
            }
        }
        return bytes
    }

    /// The pages of `tokens`, encoded, from page `first` on.
    func pages(_ tokens: [TokenID], from first: Int = 0, now: Int64 = 1000, uses: Int = 1) -> [SpillPage] {
        let hashes = path(tokens)
        let encoder = RecordEncoder()
        return hashes.indices.dropFirst(first).map { index in
            let range = index * layout.pageSize..<min((index + 1) * layout.pageSize, tokens.count)
            let bytes = bytes(tokens, range)
            let record = unsafe bytes.withUnsafeBytes { buffer in
                // Fails only for an empty page, and there is none.
                guard let base = buffer.baseAddress else { preconditionFailure("a page without bytes") }
                return unsafe encoder.encode(
                    page: PageSource(base, capacity: range.count), tokens: range.count, layout: layout,
                    key: hashes[index], codec: .zstd)
            }
            return SpillPage(
                hash: hashes[index], parent: index == 0 ? root : hashes[index - 1], root: root,
                firstToken: range.lowerBound, tokens: Array(tokens[range]), record: record, now: now, uses: uses)
        }
    }

    /// Matches `tokens` from their beginning.
    func match(_ tokens: [TokenID], in tier: ColdTier, now: Int64 = 2000) throws(StoreError) -> [ColdPage] {
        try tier.match(tokens, from: 0, parent: root, root: root, layout: layout, now: now)
    }

    /// Tokens that a match found.
    func matched(_ tokens: [TokenID], in tier: ColdTier, now: Int64 = 2000) throws(StoreError) -> Int {
        try match(tokens, in: tier, now: now).reduce(0) { $0 + $1.matchedTokens }
    }

    /// Matches and loads `tokens`. Answers the tokens delivered, or nil when a delivered byte is not the right one.
    func load(_ tokens: [TokenID], from tier: ColdTier, now: Int64 = 2000) throws(StoreError) -> Int? {
        let pages = try match(tokens, in: tier, now: now)
        let size = layout.bytesPerPage
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(1, pages.count * size), alignment: 64)
        defer { unsafe memory.deallocate() }
        let loads = pages.enumerated().map { index, page in
            unsafe ColdLoad(
                hash: page.hash, tokens: page.matchedTokens, tokenCount: page.tokenCount,
                target: PageTarget(memory + index * size, capacity: page.matchedTokens))
        }
        let delivered = try tier.load(loads, layout: layout)
        var tokensDelivered = 0
        for (index, page) in pages.prefix(delivered).enumerated() {
            let expected = bytes(tokens, page.firstToken..<page.firstToken + page.matchedTokens)
            let got = unsafe Array(UnsafeRawBufferPointer(start: memory + index * size, count: expected.count))
            guard got == expected else { return nil }
            tokensDelivered += page.matchedTokens
        }
        return tokensDelivered
    }
}

/// Token ids `first...`, one after the other.
func tokens(_ count: Int, from first: TokenID = 1) -> [TokenID] { (0..<TokenID(count)).map { first + $0 } }
