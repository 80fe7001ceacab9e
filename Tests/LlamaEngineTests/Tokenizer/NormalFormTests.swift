// Normal form C against two judges: what Python's tables say (tools/fixtures/normal_forms.py), and the standard
// library's comparison of strings, which is by canonical equivalence.

import Foundation
import Testing

@testable import LlamaEngine

@Suite("Normal form C")
struct NormalFormTests {
    /// Every scalar that Unicode knows, as far as the standard library does.
    private static let scalars = (0...0x10FFFF).compactMap { Unicode.Scalar(UInt32($0)) }
        .filter { $0.properties.age != nil }

    private static func scalars(_ text: String) -> [UInt32] { text.unicodeScalars.map(\.value) }

    @Test("is what Unicode's own tables say: every decomposition, every canonical pair, every mark, and random strings")
    func references() throws {
        let path = Fixtures.folder.appendingPathComponent("normal-forms.json")
        let rows = try JSONDecoder().decode([[String]].self, from: Data(contentsOf: path))
        #expect(rows.count > 4_000)
        let wrong = rows.filter { Self.scalars(NormalForm.composed($0[0])) != Self.scalars($0[1]) }
        #expect(wrong == [])
    }

    @Test("composes each Hangul syllable with each final consonant, from a syllable and from three letters")
    func hangul() {
        var wrong: [[UInt32]] = []
        for pair in 0..<UInt32(19 * 21) {
            let (leading, vowel) = pair.quotientAndRemainder(dividingBy: 21)
            let syllable = 0xAC00 + pair * 28
            for final in 1..<UInt32(28) {
                for text in [[syllable, 0x11A7 + final], [0x1100 + leading, 0x1161 + vowel, 0x11A7 + final]]
                where Self.scalars(NormalForm.composed(Self.text(text))) != [syllable + final] {
                    wrong.append(text)
                }
            }
        }
        #expect(wrong == [])
        // A final consonant joins an open syllable only.
        #expect(Self.scalars(NormalForm.composed("\u{AC01}\u{11A8}")) == [0xAC01, 0x11A8])
        #expect(Self.scalars(NormalForm.composed("\u{AC00}\u{11A7}")) == [0xAC00, 0x11A7])
    }

    @Test("knows the combining class of every scalar")
    func classes() {
        let wrong = Self.scalars.filter {
            NormalFormTable.shared.order(of: $0.value) != $0.properties.canonicalCombiningClass.rawValue
        }
        #expect(wrong == [])
    }

    @Test("is equivalent to the text and stays as it is, for every scalar alone and before a mark")
    func equivalence() {
        let wrong = Self.scalars.filter { scalar in
            ["\(scalar)", "\(scalar)\u{301}"].contains { text in
                let composed = NormalForm.composed(text)
                return composed != text || !NormalForm.composed(composed).utf8.elementsEqual(composed.utf8)
            }
        }
        #expect(wrong == [])
    }

    @Test(
        "never composes a scalar beyond the basic plane as if its upper bits were not there",
        arguments: [
            ("\u{E0041}\u{301}", "\u{E0041}\u{301}"), ("\u{10041}\u{301}\u{323}", "\u{10041}\u{323}\u{301}"),
            ("e\u{301}\u{20041}\u{308}e\u{301}", "\u{E9}\u{20041}\u{308}\u{E9}"),
            ("a\u{E0045}\u{301}\u{11099}\u{110BA}", "a\u{E0045}\u{301}\u{1109A}"),
        ])
    func keepsUpperBits(text: String, expected: String) {
        #expect(NormalForm.composed(text).utf8.elementsEqual(expected.utf8))
    }

    @Test("takes a long run of marks in any order in reasonable steps")
    func longRun() {
        let marks = String(repeating: "\u{301}\u{323}\u{334}", count: 30_000)
        let composed = NormalForm.composed("a" + marks)
        #expect(composed.unicodeScalars.count == 90_000)
        #expect(composed.unicodeScalars.starts(with: "\u{1EA1}\u{334}".unicodeScalars))
    }

    private static func text(_ scalars: [UInt32]) -> String {
        String(String.UnicodeScalarView(scalars.compactMap(Unicode.Scalar.init)))
    }
}
