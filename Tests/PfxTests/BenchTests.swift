// `pfx bench`: that it measures, checks and cleans up; never how fast anything is.

import Foundation
import PrefixStore
import StoreTestKit
import Testing

@testable import pfx

@Suite("pfx bench")
struct BenchTests {
    let folder = NSTemporaryDirectory() + "/pfx-bench-test-" + UUID().uuidString

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    private func clean() { try? FileManager.default.removeItem(atPath: folder) }

    private func bench(_ arguments: String...) throws -> Run {
        try Run(["bench", "--model-shape", "demo", "--repeat", "1", "--store", folder] + arguments)
    }

    private func steps(_ run: Run) throws -> [String] {
        try #require(try run.json()["rates"] as? [[String: Any]]).compactMap { $0["step"] as? String }
    }

    @Test(
        "measures every step with each codec, draws it, and leaves nothing behind",
        arguments: [StoreCodec.raw, .zstd, .kbit])
    func measures(codec: StoreCodec) throws {
        defer { clean() }
        let picture = folder + "/rates.svg"
        let run = try bench("--tokens", "200", "--codec", codec.rawValue, "--json", "--plot", picture)
        #expect(run.status == 0, "\(run)")
        let report = try run.json()
        #expect(report["page_count"] as? Int == 4)
        #expect(report["raw_bytes"] as? Int == 4 * 64 * 3072)
        #expect(report["codec"] as? String == codec.rawValue)
        #expect(try steps(run).count == 9)
        let ratio = try #require(report["ratio"] as? Double)
        let slots = try #require(report["slot_bytes"] as? Int)
        #expect(abs(ratio - Double(4 * 64 * 3072) / Double(slots)) < 0.001, "what the disk shows")
        #expect(codec == .raw ? ratio < 1 : (0.99...1.6).contains(ratio))
        #expect(try #require(report["break_even_warm"] as? Double) > 0)
        #expect(try #require(report["break_even_cold"] as? Double) > 0)
        let svg = try String(contentsOfFile: picture, encoding: .utf8)
        #expect(svg.hasPrefix("<svg ") && svg.hasSuffix("</svg>\n") && svg.contains("memcpy, 2 threads"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["rates.svg"])
    }

    @Test("loads from the disk only, or from the page cache only, when asked to")
    func oneLoad() throws {
        defer { clean() }
        let cold = try bench("--tokens", "64", "--cold", "--json")
        #expect(try steps(cold).filter { $0.hasPrefix("load") } == ["load, new process, from disk"])
        #expect(try cold.json()["break_even_warm"] == nil)
        let warm = try bench("--tokens", "64", "--warm")
        #expect(warm.status == 0, "\(warm)")
        #expect(warm.output.contains("page cache warm") && !warm.output.contains("from disk"))
        #expect(warm.output.contains("From the page cache, loading beats recomputing below "))
    }

    @Test("uses the pages of a file, in several prompts, and its own generated ones are always the same")
    func pagesFile() throws {
        defer { clean() }
        let shape = ["--model-shape", "demo", "--page-size", "16", "--tokens", "160"]
        let files = [folder + "/a", folder + "/b"]
        for file in files {
            let run = try Run(["bench", "--phase", "pages", "--pages-file", file] + shape)
            #expect(run.status == 0, "\(run)")
        }
        #expect(FileManager.default.contentsEqual(atPath: files[0], andPath: files[1]))
        let run = try bench(
            "--page-size", "16", "--tokens", "320", "--sequence-pages", "7", "--pages-file", files[0], "--json")
        #expect(run.status == 0, "\(run)")
        #expect(try run.json()["pages"] as? String == "given")
        #expect(try run.json()["page_count"] as? Int == 20)
        let samples = try #require(try run.json()["samples"] as? [[String: Any]])
        let warm = try #require(samples.first?["warm"] as? [String: Any])
        #expect(warm["is_exact"] as? Bool == true)
        #expect(warm["tokens"] as? Int == 320)
    }

    @Test("says what is wrong in one line, and leaves nothing behind")
    func mistakes() throws {
        defer { clean() }
        let short = folder + "/short"
        try Data(count: 100).write(to: URL(fileURLWithPath: short))
        let cases: [(Run, Int32, String)] = [
            (try bench("--pages-file", folder + "/none"), 66, "cannot be read"),
            (try bench("--pages-file", short), 65, "is smaller than one page"),
            (try bench("--tokens", "1000000000"), 64, "Give fewer --tokens"),
            (try bench("--store", short), 74, "cannot be made"),
        ]
        for (run, status, words) in cases {
            #expect(run.status == status, "\(run)")
            #expect(run.errors.contains(words) && run.errors.split(separator: "\n").count == 1, "\(run)")
        }
        for wrong in [
            ["--layers", "2"], ["--codec", "lz4"], ["--cold", "--warm"], ["--repeat", "0"], ["--tokens", "0"],
        ] {
            #expect(try Run(["bench", "--store", folder] + wrong).status == 64, "\(wrong)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["short"])
    }

    @Test(
        "knows how many bytes a token of each model has",
        arguments: zip(
            ModelShape.allCases, [32_768, 131_072, 147_456, 57_344, 70_272, 3072]))
    func shapes(model: ModelShape, bytes: Int) throws {
        #expect(try model.dimensions.layout(.bf16, pageSize: 64).bytesPerToken == bytes)
    }

    @Test("takes the middle of an odd number of samples, and the mean of the two middle ones of an even number")
    func median() {
        #expect(Stopwatch.median([3, 1, 2]) == 2)
        #expect(Stopwatch.median([4, 1, 3, 2]) == 2.5)
        #expect(Stopwatch.median([]) == 0)
    }

    @Test("notices a byte that is not as it was put")
    func comparison() throws {
        let (left, right) = (try PageBuffer(8192), try PageBuffer(8192))
        #expect(left.isEqual(to: right))
        unsafe right.base.storeBytes(of: 7, toByteOffset: 8191, as: UInt8.self)
        #expect(!left.isEqual(to: right))
        #expect(left.copySeconds(from: right, step: 4096, threads: 2) > 0)
        #expect(left.isEqual(to: right))
    }
}
