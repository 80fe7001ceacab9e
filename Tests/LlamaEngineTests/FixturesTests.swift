import Testing

@Suite("The fixtures")
struct FixturesTests {
    @Test("carry logits of every saved position for both prompts", arguments: Fixtures.checkpoints)
    func expectedLogits(name: String) throws {
        let prompts = try Fixtures.expected(name)
        #expect(prompts.map(\.tokens.count) == [17, 150])
        #expect(prompts[0].logits.keys.sorted() == [0, 7, 14, 15, 16])
        #expect(prompts[1].logits.keys.sorted() == [15, 16, 63, 64, 100, 147, 148, 149])
        for prompt in prompts {
            #expect(prompt.logits.values.allSatisfy { $0.count == 288 && $0.allSatisfy(\.isFinite) })
            #expect(prompt.greedy.count == 12)
            let last = try #require(prompt.logits[prompt.tokens.count - 1])
            #expect(last.firstIndex(of: last.max() ?? .nan) == Int(prompt.greedy[0]))
        }
    }
}
