// What a phase of the benchmark works on: which pages, of which sequences, in which store.

internal import Foundation
internal import PrefixStore

/// The work of one run. Every phase is a separate process and derives the same work from the same arguments.
struct BenchWork {
    /// The store's folder.
    let folder: String
    /// Raw pages, one after the other.
    let pagesFile: String
    /// Shape of a page.
    let layout: KVLayout
    /// Number of pages.
    let pageCount: Int
    /// Number of pages per sequence; the last sequence may have fewer.
    let sequencePages: Int
    /// How pages are encoded.
    let codec: StoreCodec

    /// Bytes of all pages.
    var byteCount: Int { pageCount * layout.bytesPerPage }
    /// Sequences that the pages belong to.
    var sequences: Range<Int> { 0..<(pageCount + sequencePages - 1) / sequencePages }
    /// The data file of the store.
    var dataFile: String { folder + "/data.mdb" }

    /// The pages of a sequence.
    func pages(of sequence: Int) -> Range<Int> {
        sequence * sequencePages..<min(pageCount, (sequence + 1) * sequencePages)
    }

    /// The token ids of a sequence. From `sequences.upperBound` on, they are those of sequences that share nothing with
    /// what is stored.
    func tokens(of sequence: Int) -> [TokenID] {
        let count = sequences.contains(sequence) ? pages(of: sequence).count : min(pageCount, sequencePages)
        var generator = BenchRandom(seed: UInt64(sequence) &+ 0xFACE)
        return (0..<count * layout.pageSize).map { _ in TokenID(generator.next() & 0x1_FFFF) }
    }

    /// The model that the pages are of.
    func identity() throws(StoreError) -> ModelIdentity {
        let digest = Digest.sha256(Array("pfx bench".utf8))
        return try ModelIdentity(
            weights: digest, layout: layout, positions: "none", tokenizer: digest, engine: "pfx bench",
            engineFormat: 1, labels: ["model": "pfx bench"])
    }

    /// Opens the store.
    /// - Parameter hotCapacity: bytes of RAM for pages; zero measures the cold tier alone.
    func open(hotCapacity: ByteCount) throws(StoreError) -> Store {
        // Four times the pages, so that nothing is evicted; a page of a few KiB has a slot of twice its size.
        let quota = ByteCount.mebibytes(256 + UInt64(4 * byteCount + pageCount * 8192) >> 20)
        return try Store(
            at: folder,
            options: StoreOptions(
                quota: quota, hotCapacity: hotCapacity, codec: codec, promotes: hotCapacity > .zero))
    }

    /// RAM that holds all pages, 2 GiB at most.
    var hotCapacity: ByteCount {
        let slot = (layout.bytesPerPage + 4095) / 4096 * 4096
        return ByteCount(UInt64(min((pageCount + 1) * slot, 2 << 30)))
    }

    /// Memory for all pages.
    func buffer() throws -> PageBuffer { try PageBuffer(byteCount) }

    /// Memory with the bytes of all pages.
    func source() throws -> PageBuffer {
        let buffer = try self.buffer()
        try buffer.read(pagesFile, pageBytes: layout.bytesPerPage)
        return buffer
    }

    /// The pages of a sequence in `buffer`, to insert.
    func sources(_ sequence: Int, in buffer: PageBuffer) -> [PageSource] {
        pages(of: sequence).map { page in
            unsafe PageSource(buffer.base + page * layout.bytesPerPage, capacity: layout.pageSize)
        }
    }

    /// The pages of a sequence in `buffer`, to load into.
    func targets(_ sequence: Int, in buffer: PageBuffer) -> [PageTarget] {
        pages(of: sequence).map { page in
            unsafe PageTarget(buffer.base + page * layout.bytesPerPage, capacity: layout.pageSize)
        }
    }
}
