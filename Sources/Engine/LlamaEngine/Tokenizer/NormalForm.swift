// Unicode normal form C.
//
// Foundation's on Linux has one fault: it looks up compositions by the low 16 bits of a scalar, so that U+E0041 before an
// acute accent becomes U+00C1. Over all scalars, alone and before combining marks, this was the only difference from
// Unicode's own tables, and the standard library's comparison of strings, which is by canonical equivalence, shows it.

import Foundation

/// Normalises text.
enum NormalForm {
    /// `text` in normal form C.
    static func composed(_ text: String) -> String {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text }
        let result = text.precomposedStringWithCanonicalMapping
        // Only scalars beyond the basic plane, four bytes in UTF-8, can have gone wrong.
        guard text.utf8.contains(where: { $0 >= 0xF0 }), result != text else { return result }
        // Normal forms never reach across the border of two characters, so each can be done by itself.
        return text.reduce(into: "") { $0 += composed($1) }
    }

    private static func composed(_ character: Character) -> String {
        let text = String(character)
        let result = text.precomposedStringWithCanonicalMapping
        return result == text ? result : composedApart(text.unicodeScalars)
    }

    /// Composes what lies between bases beyond the basic plane; no such base of a faulty composition has a true one.
    private static func composedApart(_ scalars: String.UnicodeScalarView) -> String {
        var result = ""
        var part = String.UnicodeScalarView()
        for scalar in scalars {
            part.append(scalar)
            guard scalar.value > 0xFFFF, scalar.properties.canonicalCombiningClass == .notReordered else { continue }
            result += String(part).precomposedStringWithCanonicalMapping
            part = String.UnicodeScalarView()
        }
        return result + String(part).precomposedStringWithCanonicalMapping
    }
}
