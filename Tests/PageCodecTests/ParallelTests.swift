// Frames of one record on several threads at once.

import Dispatch
import KVFormat
import Synchronization
import Testing

@testable import PageCodec

@Suite("Frames")
struct ParallelTests {
    @Test(
        "of one record are decoded by several threads at once, each with its own decoder",
        arguments: CodecChoice.allCases)
    func severalThreads(codec: CodecChoice) throws {
        let layout = try KVLayout(layers: 16, kvHeads: 8, headDimension: 128, element: .bf16)
        let key = key("parallel")
        let page = pageBytes(layout, tokens: 64, key: key, .gaussian)
        let record = encode(page, layout, tokens: 64, key: key, codec)
        let frames = FramePlan(layout, tokens: 64).frameCount
        #expect(frames == 8)
        let damaged = Atomic<Int>(0)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: page.count, alignment: 64)
        defer { unsafe memory.deallocate() }
        guard let base = memory.baseAddress else { preconditionFailure("memory without an address") }
        let target = unsafe PageTarget(base, capacity: 64)
        DispatchQueue.concurrentPerform(iterations: frames) { frame in
            do {
                let view = try RecordView(record.raw, key: key, layout: layout)
                try RecordDecoder().decode(frame: frame, of: view, tokens: 64, into: target)
            } catch {
                damaged.add(1, ordering: .relaxed)
            }
        }
        #expect(damaged.load(ordering: .relaxed) == 0)
        #expect(unsafe [UInt8](memory) == page)
    }
}
