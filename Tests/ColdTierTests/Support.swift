// Stores in folders of their own, and pages whose every byte can be computed from the token ids.

import ColdTier
import KVFormat
import PageCodec
import Records
import TestKit
import Threads

extension TemporaryFolder {
    /// The store's folder, not made yet.
    var store: String { path("store") }
}

extension ColdTier {
    /// A tier with a roomy quota unless the test says otherwise.
    convenience init(_ path: String, quota: ByteCount = .mebibytes(256)) throws(StoreError) {
        try self.init(path: path, options: ColdOptions(quota: quota))
    }
}

extension ColdTier {
    /// Loads pages with a loader of its own.
    func load(_ loads: [RecordLoad], layout: KVLayout) throws(StoreError) -> Int {
        let team = Team(helpers: 2)
        defer { team.close() }
        return try RecordLoader(team).load(loads, of: layout, from: self)
    }
}

/// A model with pages like attention's: the bytes of a token depend on it and on all before it, on nothing else.
struct Model {
    let descriptor: SpaceDescriptor
    /// What its space was opened as, if that is sealed.
    var access: SpaceAccess?
    var layout: KVLayout { descriptor.layout }
    var root: PrefixHash { access?.root ?? descriptor.root }
    var seal: SpaceSeal? { access?.seal }

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
        PrefixHash.chain(from: root, tokens: tokens[...], pageSize: layout.pageSize, seal: seal)
    }

    /// The bytes of tokens `range` of the sequence, one page in one piece.
    func bytes(_ tokens: [TokenID], _ range: Range<Int>) -> [UInt8] {
        GeneratedPages(layout, seed: root.prefixWord).bytes(tokens, range)
    }

    /// The pages of `tokens`, encoded, from page `first` on.
    func pages(_ tokens: [TokenID], from first: Int = 0, now: Int64 = 1000) -> [PageRecord] {
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
                    key: hashes[index], codec: .zstd, seal: seal)
            }
            let name = PageName(
                root: root, parent: index == 0 ? root : hashes[index - 1], hash: hashes[index],
                firstToken: range.lowerBound, tokens: tokens[range], seal: seal)
            return PageRecord(name, RecordBytes(record), lastUse: now)
        }
    }

    /// Matches `tokens` from their beginning.
    func match(_ tokens: [TokenID], in tier: ColdTier, now: Int64 = 2000) throws(StoreError) -> [ColdPage] {
        try tier.match(tokens, from: 0, parent: root, root: root, layout: layout, now: now, seal: seal)
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
            unsafe RecordLoad(
                hash: page.hash, tokens: page.matchedTokens, tokenCount: page.tokenCount,
                target: PageTarget(memory + index * size, capacity: page.matchedTokens), seal: seal)
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
