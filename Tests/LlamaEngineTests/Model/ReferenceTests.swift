import KVFormat
import Testing

@testable import LlamaEngine

@Suite("The model's logits")
struct ReferenceTests {
    /// The largest distance to the reference over all saved positions.
    private func distance(_ logits: [[Float]], _ expected: ExpectedPrompt) -> Float {
        expected.logits.reduce(0) { worst, entry in
            zip(logits[entry.key], entry.value).reduce(worst) { max($0, abs($1.0 - $1.1)) }
        }
    }

    @Test("agree with the reference's for every architecture", arguments: Fixtures.checkpoints)
    func agreesWithReference(name: String) throws {
        let model = try TestModel(name)
        for prompt in try Fixtures.expected(name) {
            let logits = model.logits(prompt.tokens)
            #expect(logits.allSatisfy { $0.allSatisfy(\.isFinite) })
            #expect(distance(logits, prompt) < 1e-3)
        }
    }

    @Test(
        "agree on every build of the kernels and page size", arguments: ["avx512", "avx2", "portable"], [16, 48, 256])
    func agreesOnEveryBuild(build: String, pageSize: Int) throws {
        // A build that this CPU cannot run has nothing to agree about; the portable one always runs.
        guard let kernels = Kernels.named(build) else { return }
        let model = try TestModel("qwen3", pageSize: pageSize, kernels: kernels)
        for prompt in try Fixtures.expected("qwen3") {
            #expect(distance(model.logits(prompt.tokens), prompt) < 1e-3)
        }
    }

    @Test("stay near the reference's with KV rounded to 16 bits", arguments: [KVElement.bf16, .fp16])
    func roundedKV(element: KVElement) throws {
        let model = try TestModel("llama-bf16", element: element)
        for prompt in try Fixtures.expected("llama-bf16") {
            let worst = distance(model.logits(prompt.tokens), prompt)
            #expect(worst < (element == .bf16 ? 0.1 : 0.02))
            #expect(worst > 0)
        }
    }
}
