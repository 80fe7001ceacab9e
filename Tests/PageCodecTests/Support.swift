// Pages, keys and seeds for the tests of the codec.

import Glibc
import KVFormat
import Testing
import TestKit

@testable import PageCodec

extension SplitMix64 {
    /// A number of a normal distribution, near enough: the sum of 12 uniform ones.
    mutating func gaussian() -> Float {
        var sum: Float = -6
        for _ in 0..<3 {
            let bits = next()
            for part in 0..<4 { sum += Float((bits >> (16 * UInt64(part))) & 0xFFFF) / 65_536 }
        }
        return sum
    }
}

extension [UInt8] {
    /// The bytes, to read.
    var raw: RawSpan {
        @_lifetime(borrow self)
        get { unsafe span.bytes }
    }

    /// Lends the bytes to `body` for writing.
    mutating func withRaw<R>(_ body: (inout MutableRawSpan) throws -> R) rethrows -> R {
        var span = mutableSpan
        var bytes = unsafe span.mutableBytes
        return try body(&bytes)
    }
}

/// Lends a copy of `bytes` to `body`, with a page behind it that must not be touched: reading past the end ends the
/// test run.
func withGuarded<R>(_ bytes: [UInt8], _ body: (UnsafePointer<UInt8>) -> R) -> R {
    let page = Int(getpagesize())
    let size = (bytes.count + page - 1) / page * page
    let mapped = unsafe mmap(nil, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory = unsafe mapped, unsafe memory != MAP_FAILED, unsafe mprotect(memory + size, page, PROT_NONE) == 0
    else {
        preconditionFailure("no memory: \(errno)")
    }
    defer { unsafe munmap(memory, size + page) }
    let start = unsafe (memory + size - bytes.count).assumingMemoryBound(to: UInt8.self)
    unsafe start.update(from: bytes, count: bytes.count)
    return unsafe body(start)
}

/// Lends `bytes`, guarded, to `body` as a stored frame, and expects the checksum of all of them, whatever `body` had
/// hashed.
func withFrame<R>(_ bytes: [UInt8], _ body: (borrowing StoredFrame) -> R) -> R {
    let frame = StoredFrame()
    let key = key("frame")
    return unsafe withGuarded(bytes) { start in
        unsafe frame.begin(start, bytes.count, at: (key, 7))
        let result = body(frame)
        #expect(frame.checksum() == Checksum.of(bytes.raw, key: key, part: 7))
        return result
    }
}

extension StoredFrame {
    /// Expects the first `end` bytes to be hashed, as far as a frame is hashed before its end.
    borrowing func expectHashed(upTo end: Int) {
        let (hashed, limit) = (hashed, count < 1024 ? 0 : (count - 65) / 256 * 256)
        #expect(hashed <= min(end, limit) && (hashed > min(end, count) - 256 || hashed == limit))
    }
}

/// The prefix hash named `name`.
func key(_ name: String) -> PrefixHash { .sha256(Array(name.utf8)) }

/// What the elements of a generated page look like.
enum PageContent: CaseIterable {
    /// Numbers of a normal distribution, scaled by plane: compresses.
    case gaussian
    /// Any bits at all: does not compress.
    case noise
    /// Nothing but zeros.
    case zeros
}

/// The bytes of a page, generated from its key, so that any byte read anywhere can be computed again.
func pageBytes(_ layout: KVLayout, tokens: Int, key: PrefixHash, _ content: PageContent) -> [UInt8] {
    var random = SplitMix64(seed: key.prefixWord)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(layout.pageBytes(tokens: tokens))
    for plane in 0..<layout.planeCount {
        let scale = Float(plane % 5 + 1) * 0.3
        let element = layout.planes[plane].element
        for _ in 0..<tokens * layout.bytesPerToken(inPlane: plane) / element.codecWidth {
            switch (content, element) {
            case (.zeros, _): for _ in 0..<element.codecWidth { bytes.append(0) }
            case (.noise, _):
                let bits = random.next()
                for byte in 0..<element.codecWidth { bytes.append(UInt8(truncatingIfNeeded: bits >> (8 * byte))) }
            case (.gaussian, .bf16):
                let bits = (random.gaussian() * scale).bitPattern >> 16
                bytes.append(UInt8(truncatingIfNeeded: bits))
                bytes.append(UInt8(truncatingIfNeeded: bits >> 8))
            case (.gaussian, .fp16):
                let bits = Float16(random.gaussian() * scale).bitPattern
                bytes.append(UInt8(truncatingIfNeeded: bits))
                bytes.append(UInt8(truncatingIfNeeded: bits >> 8))
            case (.gaussian, .fp32):
                let bits = (random.gaussian() * scale).bitPattern
                for byte in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: bits >> (8 * UInt32(byte)))) }
            case (.gaussian, _): bytes.append(UInt8(bitPattern: Int8(max(-127, min(127, random.gaussian() * 20)))))
            }
        }
    }
    return bytes
}

/// Encodes `bytes`, a page in one piece, and returns the record.
func encode(
    _ bytes: [UInt8], _ layout: KVLayout, tokens: Int, key: PrefixHash, _ codec: CodecChoice,
    seal: SpaceSeal? = nil, with encoder: RecordEncoder = RecordEncoder()
) -> [UInt8] {
    let record = EncodedRecord()
    unsafe bytes.withUnsafeBytes { bytes in
        guard let base = bytes.baseAddress else { return }
        let page = unsafe PageSource(base, capacity: tokens)
        encoder.encode(page: page, tokens: tokens, layout: layout, key: key, codec: codec, seal: seal, into: record)
    }
    return unsafe record.bytes.withUnsafeBytes { unsafe [UInt8]($0) }
}

/// Decodes the first `wanted` tokens of a record into a page in one piece.
///
/// - Returns: the bytes, or the damage; nil when a byte before or after the target changed.
func decode(
    _ record: [UInt8], _ layout: KVLayout, wanted: Int? = nil, key: PrefixHash, seal: SpaceSeal? = nil,
    with decoder: RecordDecoder = RecordDecoder()
) -> Result<[UInt8], RecordDamage>? {
    let guardBytes = 128
    var page: [UInt8] = []
    do throws(RecordDamage) {
        let view = try RecordView(record.raw, key: key, layout: layout, seal: seal)
        let tokens = min(wanted ?? view.tokens, view.tokens)
        let size = layout.pageBytes(tokens: tokens)
        page = [UInt8](repeating: 0xA5, count: size + 2 * guardBytes)
        var damage: RecordDamage?
        unsafe page.withUnsafeMutableBytes { page in
            guard let base = page.baseAddress else { return }
            do throws(RecordDamage) {
                try decoder.decode(view, tokens: tokens, into: unsafe PageTarget(base + guardBytes, capacity: tokens))
            } catch {
                damage = error
            }
        }
        guard page.prefix(guardBytes).allSatisfy({ $0 == 0xA5 }), page.suffix(guardBytes).allSatisfy({ $0 == 0xA5 })
        else { return nil }
        if let damage { return .failure(damage) }
        return .success(Array(page[guardBytes..<guardBytes + size]))
    } catch {
        return .failure(error)
    }
}

/// The first `tokens` tokens of each plane of `bytes`, a page of `stored` tokens.
func cut(_ bytes: [UInt8], _ layout: KVLayout, stored: Int, tokens: Int) -> [UInt8] {
    (0..<layout.planeCount).flatMap { plane in
        let start = stored * layout.bytesPerToken(beforePlane: plane)
        return bytes[start..<start + tokens * layout.bytesPerToken(inPlane: plane)]
    }
}

/// Recomputes every checksum of `record` as far as its table can be read, as an attacker would.
func reseal(_ record: inout [UInt8], key: PrefixHash) {
    let header = RecordHeader(record.raw)
    guard header.frameCount <= RecordHeader.maximumFrames, record.count >= FrameEntry.offset(header.frameCount) else {
        return
    }
    var start = FrameEntry.offset(header.frameCount)
    for index in 0..<header.frameCount {
        var entry = FrameEntry(record.raw, index: index)
        guard record.count - start >= entry.encodedBytes else { break }
        entry.checksum = Checksum.of(
            record.raw.extracting(start..<start + entry.encodedBytes), key: key, part: UInt64(index) + 1)
        start += entry.encodedBytes
        let complete = entry
        record.withRaw { complete.write(to: &$0, index: index) }
    }
    record.withRaw { RecordHeader.setChecksum(&$0, key: key, frameCount: header.frameCount) }
}
