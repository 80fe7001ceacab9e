// Unicode normal form C, with its own tables. Foundation's normal form on Linux has no Hangul syllables with a final
// consonant, misses a Kannada vowel, and composes U+E0041 as if it were U+0041.
//
// The tables are those of one Unicode version (`NormalFormTable+Unicode.swift` names it). Hangul is computed.

/// Normalises text.
enum NormalForm {
    /// A scalar and its combining class.
    private typealias Mark = (scalar: UInt32, order: UInt8)

    /// `text` in normal form C.
    static func composed(_ text: String) -> String {
        let table = NormalFormTable.shared
        let scalars = text.unicodeScalars
        var result = ""
        // The start of the part that ends where later scalars cannot change it, and the end of what is in `result`.
        var start = scalars.startIndex
        var done = start
        var changes = false
        func endPart(_ end: String.Index) {
            if changes {
                result += String(scalars[done..<start])
                result.unicodeScalars += composed(ordered(scalars[start..<end], table), table)
                done = end
            }
            (start, changes) = (end, false)
        }
        for index in scalars.indices {
            if table.mayChange(scalars[index].value) { changes = true } else { endPart(index) }
        }
        endPart(scalars.endIndex)
        return done == scalars.startIndex ? text : result + String(scalars[done...])
    }

    /// The scalars of `text`, decomposed, each run of combining marks in the order of their classes. Hangul syllables
    /// stay whole: composing them with what follows gives the same.
    private static func ordered(_ text: Substring.UnicodeScalarView, _ table: NormalFormTable) -> [Mark] {
        var marks: [Mark] = []
        var runStart = 0
        func endRun() {
            guard marks.count - runStart > 1 else { return }
            let run = marks[runStart...].enumerated().sorted {
                ($0.element.order, $0.offset) < ($1.element.order, $1.offset)
            }
            marks.replaceSubrange(runStart..., with: run.map(\.element))
        }
        for scalar in text {
            table.decompose(scalar.value) { part in
                let order = table.order(of: part)
                if order == 0 { endRun() }
                marks.append((part, order))
                if order == 0 { runStart = marks.count }
            }
        }
        endRun()
        return marks
    }

    /// Joins each base with the marks behind it that no other mark blocks.
    private static func composed(_ marks: [Mark], _ table: NormalFormTable) -> [Unicode.Scalar] {
        var result: [UInt32] = []
        var base: Int?
        // The class of the last scalar kept behind the base; 0 while there is none.
        var last: UInt8 = 0
        for (scalar, order) in marks {
            if let base, last == 0 || last < order, let composite = table.composite(result[base], scalar) {
                result[base] = composite
                continue
            }
            if order == 0 { base = result.count }
            last = order
            result.append(scalar)
        }
        return result.compactMap(Unicode.Scalar.init)
    }
}
