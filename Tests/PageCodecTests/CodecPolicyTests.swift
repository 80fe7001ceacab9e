// Which codec `auto` picks, on paper and for real frames.

import KVFormat
import Testing

@testable import PageCodec

@Suite("The codec that loads soonest")
struct CodecPolicyTests {
    /// A core that copies at 10 GB/s, behind a disk of `read` bytes a second.
    static func rates(_ read: Double) -> CodecRates { CodecRates(read: read, raw: 10e9, kbit: 9e9, zstd: 3e9) }

    /// Codecs of the frames of a page, encoded for `rates`.
    private func codecs(
        _ rates: CodecRates, _ element: KVElement = .bf16, _ content: PageContent = .gaussian
    ) throws -> Set<FrameCodec> {
        let layout = try KVLayout(layers: 8, kvHeads: 4, headDimension: 128, element: element, pageSize: 64)
        let key = key("policy")
        let page = pageBytes(layout, tokens: 64, key: key, content)
        let record = encode(page, layout, tokens: 64, key: key, .auto(rates))
        #expect(decode(record, layout, key: key) == .success(page))
        let frames = RecordHeader(record.raw).frameCount
        return Set((0..<frames).compactMap { FrameCodec(rawValue: FrameEntry(record.raw, index: $0).codec) })
    }

    @Test("is decided by bytes to read and bytes to decode")
    func seconds() {
        let policy = CodecPolicy(rates: CodecRates(read: 100, raw: 1000, kbit: 500, zstd: 200))
        #expect(policy.loadSeconds(.raw, stored: 1000, raw: 1000) == 11)
        #expect(policy.loadSeconds(.kbit, stored: 700, raw: 1000) == 9)
        #expect(policy.loadSeconds(.zstd, stored: 650, raw: 1000) == 11.5)
        #expect(policy.loadSeconds(.zstdPlain, stored: 650, raw: 1000) == 11.5)
        #expect(policy.budget(.kbit, against: .raw, storing: 1000, raw: 1000) == 900)
        #expect(policy.budget(.zstd, against: .kbit, storing: 700, raw: 1000) == 400)
        #expect(policy.budget(.zstd, against: .raw, storing: 10, raw: 1000) < 0)
    }

    @Test("is allowed just the bytes with which it is no later", arguments: [50e6, 1e9, 5e9, 20e9])
    func budget(read: Double) {
        let policy = CodecPolicy(rates: Self.rates(read))
        let raw = 1 << 20
        for codec in [FrameCodec.kbit, .zstd] {
            let limit = policy.loadSeconds(.raw, stored: raw, raw: raw)
            let budget = policy.budget(codec, against: .raw, storing: raw, raw: raw)
            #expect(budget < 0 || policy.loadSeconds(codec, stored: budget, raw: raw) <= limit * 1.000_001)
            #expect(policy.loadSeconds(codec, stored: budget + 2, raw: raw) > limit)
        }
    }

    @Test("is zstd behind a slow disk, kbit behind a fast one, and raw where reading costs nothing")
    func picks() throws {
        #expect(try codecs(Self.rates(50e6)) == [.zstd])
        #expect(try codecs(Self.rates(2e9)) == [.kbit])
        #expect(try codecs(Self.rates(1000e9)) == [.raw])
    }

    @Test("is zstd behind any disk when zstd decodes as fast as the others")
    func fastZstd() throws {
        #expect(try codecs(CodecRates(read: 2e9, raw: 10e9, kbit: 9e9, zstd: 10e9)) == [.zstd])
    }

    @Test("is zstd or raw for elements of one byte, which have no kbit codes")
    func bytes() throws {
        #expect(try codecs(Self.rates(50e6), .int8) == [.zstdPlain])
        #expect(try codecs(Self.rates(1000e9), .int8) == [.raw])
    }

    @Test("loads no later than each of the others, whatever the disk", arguments: [50e6, 300e6, 1e9, 3e9, 8e9, 100e9])
    func best(read: Double) throws {
        let policy = CodecPolicy(rates: Self.rates(read))
        let layout = try KVLayout(layers: 2, kvHeads: 4, headDimension: 128, element: .bf16, pageSize: 64)
        for content in PageContent.allCases {
            let key = key("best \(content)")
            let page = pageBytes(layout, tokens: 64, key: key, content)
            func seconds(_ choice: CodecChoice) throws -> Double {
                let entry = FrameEntry(encode(page, layout, tokens: 64, key: key, choice).raw, index: 0)
                let codec = try #require(FrameCodec(rawValue: entry.codec))
                return policy.loadSeconds(codec, stored: entry.encodedBytes, raw: entry.rawBytes)
            }
            let least = try [CodecChoice.raw, .kbit, .zstd].map(seconds).min() ?? 0
            #expect(try seconds(.auto(policy.rates)) <= least * 1.000_01, "\(content) at \(read) bytes a second")
        }
    }
}
