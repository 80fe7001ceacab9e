import Foundation
import Testing
import TestKit

@testable import LlamaEngine

/// A string and what the `tokenizers` library made of it.
struct TokenizerReference: Decodable {
    let text: String
    let ids: [UInt32]
    /// Without the template's special tokens; left out when the same.
    let plain: [UInt32]?
    /// Left out when it is the text.
    let decoded: String?

    static func all(_ name: String) throws -> [TokenizerReference] {
        let path = Fixtures.tokenizer(name) + "/strings.json"
        return try JSONDecoder().decode([TokenizerReference].self, from: Data(contentsOf: URL(fileURLWithPath: path)))
    }
}

@Suite("The tokenizer")
struct TokenizerParityTests {
    @Test("gives the ids that the reference library gives, for every string", arguments: Fixtures.tokenizers)
    func ids(name: String) throws {
        let tokenizer = try Tokenizer(path: Fixtures.tokenizer(name) + "/tokenizer.json")
        let references = try TokenizerReference.all(name)
        #expect(references.count == 300)
        for reference in references {
            #expect(tokenizer.encode(reference.text) == reference.ids, "\(reference.text.debugDescription)")
            #expect(tokenizer.encode(reference.text, addSpecialTokens: false) == reference.plain ?? reference.ids)
        }
    }

    @Test("decodes to the text that the reference library gives", arguments: Fixtures.tokenizers)
    func text(name: String) throws {
        let tokenizer = try Tokenizer(path: Fixtures.tokenizer(name) + "/tokenizer.json")
        for reference in try TokenizerReference.all(name) {
            let decoded = tokenizer.decode(reference.ids)
            #expect(Array(decoded.utf8) == Array((reference.decoded ?? reference.text).utf8))
        }
    }

    @Test("gives the same ids for a text as for its normal form, if it normalises")
    func normalForm() throws {
        let tokenizer = try Tokenizer(path: Fixtures.tokenizer("qwen2") + "/tokenizer.json")
        #expect(tokenizer.encode("e\u{301}t\u{E9}") == tokenizer.encode("\u{E9}te\u{301}"))
        #expect(tokenizer.decode(tokenizer.encode("que\u{302}\u{301}!")).utf8.elementsEqual("qu\u{1EBF}!".utf8))
    }

    @Test("puts the template's tokens around a text only where they are asked for")
    func template() throws {
        let tokenizer = try Tokenizer(path: Fixtures.tokenizer("llama3") + "/tokenizer.json")
        let begin = try #require(tokenizer.id(ofAdded: "<|begin_of_text|>"))
        #expect(tokenizer.encode("") == [begin])
        #expect(tokenizer.encode("", addSpecialTokens: false).isEmpty)
        #expect(tokenizer.isSpecial(begin))
        #expect(tokenizer.bytes(of: begin) == Array("<|begin_of_text|>".utf8))
        #expect(tokenizer.decode([begin]) == "")
        #expect(tokenizer.id(ofAdded: "<|none|>") == nil)
    }

    @Test("knows when text brings the special tokens that the template puts before it, and can leave them out")
    func doubledBeginning() throws {
        let tokenizer = try Tokenizer(path: Fixtures.tokenizer("llama3") + "/tokenizer.json")
        let begin = try #require(tokenizer.id(ofAdded: "<|begin_of_text|>"))
        let text = "<|begin_of_text|>the"
        let doubled = tokenizer.encode(text)
        #expect(doubled.prefix(2) == [begin, begin])
        #expect(tokenizer.hasDoubledBeginning(doubled))
        let once = tokenizer.encode(text, addSpecialTokens: false)
        #expect(once == Array(doubled.dropFirst()))
        #expect(once == tokenizer.encode("the"))
        #expect(!tokenizer.hasDoubledBeginning(once) && !tokenizer.hasDoubledBeginning([]))
        let without = try Tokenizer(path: Fixtures.tokenizer("gpt2") + "/tokenizer.json")
        #expect(!without.hasDoubledBeginning(without.encode("<|endoftext|><|endoftext|>")))
    }

    @Test("knows no bytes for ids without a token, and decodes them to nothing")
    func unknownIDs() throws {
        let tokenizer = try Tokenizer(path: Fixtures.tokenizer("gpt2") + "/tokenizer.json")
        let size = UInt32(tokenizer.vocabularySize)
        #expect(size == 701)
        #expect(tokenizer.bytes(of: size) == nil)
        #expect(tokenizer.bytes(of: .max) == nil)
        #expect(tokenizer.decode([size, .max]) == "")
        for id in 0..<size { #expect(tokenizer.bytes(of: id)?.isEmpty == false) }
    }

    @Test("has a long word done in reasonable steps, and gives its bytes back")
    func longWord() throws {
        let tokenizer = try Tokenizer(path: Fixtures.tokenizer("llama3") + "/tokenizer.json")
        let word = String(repeating: "the", count: 20_000)
        let ids = tokenizer.encode(word, addSpecialTokens: false)
        #expect(ids.count < word.utf8.count)
        #expect(tokenizer.decode(ids) == word)
    }
}

@Suite("Decoding what was encoded")
struct TokenizerRoundTripTests {
    @Test("gives the text back, for random text of any scalars", arguments: Fixtures.tokenizers)
    func roundTrip(name: String) throws {
        let tokenizer = try Tokenizer(path: Fixtures.tokenizer(name) + "/tokenizer.json")
        let seed = TestSeed.fixed(20_261_124, "text and back")
        var random = RandomSource(seed: seed)
        for _ in 0..<300 {
            let text = Self.text(&random)
            let decoded = tokenizer.decode(tokenizer.encode(text))
            let expected = name == "qwen2" ? NormalForm.composed(text) : text
            #expect(decoded.utf8.elementsEqual(expected.utf8), "seed \(seed)")
        }
    }

    @Test("token by token gives the same text, whole characters at a time", arguments: Fixtures.tokenizers)
    func streaming(name: String) throws {
        let tokenizer = try Tokenizer(path: Fixtures.tokenizer(name) + "/tokenizer.json")
        for reference in try TokenizerReference.all(name) {
            var decoder = StreamingDecoder(tokenizer)
            var text = reference.ids.map { decoder.append($0) }.joined()
            #expect(!text.contains("\u{FFFD}") || reference.text.contains("\u{FFFD}"))
            text += decoder.finish()
            #expect(text.utf8.elementsEqual((reference.decoded ?? reference.text).utf8))
        }
    }

    @Test("token by token replaces just what decoding at once replaces, for random ids")
    func streamingOfAnything() throws {
        let tokenizer = try Tokenizer(path: Fixtures.tokenizer("gpt2") + "/tokenizer.json")
        let seed = TestSeed.fixed(20_261_124, "any ids")
        var random = RandomSource(seed: seed)
        // Bytes from the edges of UTF-8, where what may follow depends on what went before.
        let edges: [UInt8] = [
            0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4,
            0xF5, 0xFF,
        ]
        let all = (0..<UInt32(tokenizer.vocabularySize)).filter { !tokenizer.isSpecial($0) }
        let ids = try edges.map { edge in try #require(all.first { tokenizer.bytes(of: $0) == [edge] }) }
        for _ in 0..<5_000 {
            let tokens = (0..<Int.random(in: 1...8, using: &random)).map { _ in ids.randomElement(using: &random) ?? 0 }
            var decoder = StreamingDecoder(tokenizer)
            var text = ""
            for token in tokens { text += decoder.append(token) }
            text += decoder.finish()
            #expect(text.utf8.elementsEqual(tokenizer.decode(tokens).utf8), "seed \(seed), \(tokens)")
        }
    }

    @Test("holds a character back until its last byte, and shows what never became one at the end")
    func holdsBack() throws {
        let tokenizer = try Tokenizer(path: Fixtures.tokenizer("gpt2") + "/tokenizer.json")
        let ids = tokenizer.encode("\u{1F9FF}")
        #expect(ids.count > 1)
        var decoder = StreamingDecoder(tokenizer)
        for id in ids.dropLast() { #expect(decoder.append(id) == "") }
        #expect(decoder.append(ids[ids.count - 1]) == "\u{1F9FF}")
        #expect(decoder.append(ids[0]) == "")
        #expect(decoder.finish() == "\u{FFFD}")
        #expect(decoder.finish() == "")
    }

    /// Up to 30 scalars from everywhere, with spaces and letters more often.
    private static func text(_ random: inout RandomSource) -> String {
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...30, using: &random) {
            let bound: UInt32 = [0x80, 0x80, 0x250, 0x3000, 0x11_0000][Int.random(in: 0..<5, using: &random)]
            if let scalar = Unicode.Scalar(UInt32.random(in: 0..<bound, using: &random)) { text.append(scalar) }
        }
        return String(text)
    }
}
