// What an inspector shows, as values and as JSON.

import Foundation
import KVFormat
import Testing

@Suite("What an inspector shows")
struct InspectionTests {
    private func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    @Test("has hashes and moments as text in JSON, and sizes as numbers")
    func values() throws {
        let hash = PrefixHash.sha256([1])
        #expect(try json([hash]) == "[\"\(hash)\"]")
        #expect(try json([ByteCount.kibibytes(2)]) == "[2048]")
        #expect(try json([Timestamp(milliseconds: 1_795_564_804_667)]) == "[\"2026-11-25T00:00:04Z\"]")
    }

    @Test("has durations as whole nanoseconds, and as many as fit")
    func nanoseconds() {
        #expect((Duration.seconds(2) + .nanoseconds(5)).nanoseconds == 2_000_000_005)
        #expect(Duration.nanoseconds(-7).nanoseconds == -7)
        #expect(Duration.seconds(Int64.max).nanoseconds == .max)
        #expect(Duration.seconds(Int64.min).nanoseconds == .min)
        #expect((Duration.nanoseconds(Int64.max) + .nanoseconds(1)).nanoseconds == .max)
    }

    @Test("says of a finding whether it is damage, and counts what it does not list")
    func findings() throws {
        var report = VerifyReport()
        report.add(VerifyFinding(.orphanEdge, nil, "A leftover."))
        #expect(report.isSound && report.findingCount == 1 && report.damageCount == 0)
        for _ in 0..<VerifyReport.findingLimit { report.add(VerifyFinding(.damagedNode, nil, "Damage.")) }
        #expect(!report.isSound)
        #expect(report.findings.count == VerifyReport.findingLimit)
        #expect(report.findingCount == VerifyReport.findingLimit + 1)
        #expect(try json(report.findings[1]) == #"{"isDamage":true,"kind":"damagedNode","sentence":"Damage."}"#)
    }

    @Test("has the layers of a frame in JSON as the first and their number")
    func frames() throws {
        let frame = FrameInfo(
            layers: 3..<5, codec: "zstd", rawBytes: .kibibytes(1), encodedBytes: ByteCount(7), isSound: true)
        #expect(
            try json(frame)
                == #"{"codec":"zstd","encodedBytes":7,"firstLayer":3,"isSound":true,"layers":2,"rawBytes":1024}"#)
    }

    @Test("has an opener's role by its name in JSON")
    func openers() throws {
        let opener = OpenerInfo(
            processID: 4711, program: "engine", openedAt: Timestamp(milliseconds: 0), role: .tool, isAlive: true)
        #expect(
            try json(opener)
                == #"{"isAlive":true,"openedAt":"1970-01-01T00:00:00Z","processID":4711,"program":"engine","#
                + #""role":"tool"}"#)
    }

    @Test("has the identity of a space in JSON by the names of its fields, and its prefill time in nanoseconds")
    func spaces() throws {
        let layout = try KVLayout(layers: 1, kvHeads: 1, headDimension: 8, element: .bf16, pageSize: 16)
        let identity = try ModelIdentity(
            weights: .sha256([]), layout: layout, positions: "none", tokenizer: .sha256([]), engine: "test",
            engineFormat: 7, labels: ["model": "demo"])
        let space = SpaceInfo(
            root: identity.spaceRoot, descriptor: identity.descriptor, pages: 1, tails: 0, tokens: 16, rawBytes: .zero,
            encodedBytes: .zero, slotBytes: .zero, hitTokens: 0, lastUse: Timestamp(milliseconds: 0),
            prefillTimePerToken: .microseconds(70))
        let text = try json(space)
        #expect(text.contains(#""prefillNanoseconds":70000"#) && text.contains(#""labels":{"model":"demo"}"#))
        for field in SpaceDescriptor.Field.allCases {
            #expect(text.contains("\"\(field)\":\"\(identity.descriptor.text(field))\""))
        }
    }

    @Test("counts slots and index of a store as used")
    func used() {
        let info = StoreInfo(
            path: "kv", formatVersion: 2, createdAt: Timestamp(milliseconds: 0), quotaBytes: .mebibytes(4),
            slotBytes: ByteCount(4096), indexBytes: ByteCount(300), encodedBytes: .zero, rawBytes: .zero,
            fileBytes: .zero, freeBytes: .zero, mapBytes: .zero, pages: 0, tails: 0, tokens: 0, spaces: 0,
            sideStates: 0, seenPages: 0, pinnedPages: 0, quarantinedPages: 0, evictedPages: 0, generation: 0,
            readers: 0,
            readerSlots: 0, oldestReaderLag: nil, openers: [], lmdbVersion: "", zstdVersion: "")
        #expect(info.usedBytes == ByteCount(4396))
    }
}
