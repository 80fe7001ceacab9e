// The regular expressions with which byte-level tokenizers split text. Each has its own scanner.
//
// A scanner has no backtracking limits and is ten times as fast as a regular expression engine. Letters and numbers are
// those of the standard library's Unicode version. The reader refuses all other patterns, because a nearly right
// pattern gives wrong ids.

/// A known split pattern.
enum SplitPattern: Sendable, Equatable {
    /// Llama 3: digits in groups of up to three.
    case llama3
    /// Qwen2: digits one by one.
    case qwen2
    /// GPT-2: the pattern of `ByteLevel` with `use_regex`.
    case gpt2

    /// The pattern with this text; `nil` for an unknown one.
    init?(regularExpression: String) {
        switch regularExpression {
        case Self.modern(digits: #"\p{N}{1,3}"#): self = .llama3
        case Self.modern(digits: #"\p{N}"#): self = .qwen2
        case #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#: self = .gpt2
        default: return nil
        }
    }

    private static func modern(digits: String) -> String {
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + digits
            + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    }
}

/// Text laid out for the scanners: scalars, their classes, and where each begins in UTF-8.
struct ScannedText {
    private var scalars: [UInt32] = []
    private var classes: [ScalarClass] = []
    /// Byte offsets of the scalars; one more than there are scalars.
    private(set) var offsets: [Int] = [0]

    /// Number of scalars.
    var count: Int { scalars.count }

    init(_ text: String) {
        let bytes = text.utf8.count
        scalars.reserveCapacity(bytes)
        classes.reserveCapacity(bytes)
        offsets.reserveCapacity(bytes + 1)
        var offset = 0
        for scalar in text.unicodeScalars {
            scalars.append(scalar.value)
            classes.append(ScalarClass(scalar))
            offset += UTF8.width(scalar)
            offsets.append(offset)
        }
    }

    /// The end of the word that begins at the scalar `start`, which is below `count`; always beyond `start`.
    func wordEnd(from start: Int, by pattern: SplitPattern) -> Int {
        switch pattern {
        case .llama3: modernEnd(from: start, digits: 3)
        case .qwen2: modernEnd(from: start, digits: 1)
        case .gpt2: gpt2End(from: start)
        }
    }

    /// The alternatives of the Llama 3 and Qwen2 patterns, in their order.
    private func modernEnd(from start: Int, digits: Int) -> Int {
        if let end = contractionEnd(from: start, folding: foldedLetter) { return end }
        let first = classes[start]
        let letters = first == .space || first == .other ? start + 1 : start
        let lettersEnd = runEnd(of: .letter, from: letters)
        if lettersEnd > letters { return lettersEnd }
        if first == .number { return min(runEnd(of: .number, from: start), start + digits) }
        let others = scalars[start] == 0x20 ? start + 1 : start
        let othersEnd = runEnd(of: .other, from: others)
        if othersEnd > others { return runEnd(of: .lineEnd, from: othersEnd) }
        let end = spaceEnd(from: start)
        if let line = (start..<end).last(where: { classes[$0] == .lineEnd }) { return line + 1 }
        return trimmedSpaceEnd(from: start, to: end)
    }

    /// The alternatives of the GPT-2 pattern, in their order.
    private func gpt2End(from start: Int) -> Int {
        if let end = contractionEnd(from: start, folding: { $0 }) { return end }
        let word = scalars[start] == 0x20 ? start + 1 : start
        if word < count {
            switch classes[word] {
            case .letter, .number, .other: return runEnd(of: classes[word], from: word)
            case .space, .lineEnd: break
            }
        }
        return trimmedSpaceEnd(from: start, to: spaceEnd(from: start))
    }

    /// `\s+(?!\S)|\s+`: a run of spaces leaves its last space to the next word.
    private func trimmedSpaceEnd(from start: Int, to end: Int) -> Int {
        end == count || end - start == 1 ? end : end - 1
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d` at `start`, with letters compared after `folding`.
    private func contractionEnd(from start: Int, folding: (UInt32) -> UInt32) -> Int? {
        guard scalars[start] == 0x27, start + 1 < count else { return nil }
        let first = Unicode.Scalar(folding(scalars[start + 1]))
        if first == "s" || first == "t" || first == "m" || first == "d" { return start + 2 }
        guard start + 2 < count else { return nil }
        switch (first, Unicode.Scalar(folding(scalars[start + 2]))) {
        case ("r", "e"), ("v", "e"), ("l", "l"): return start + 3
        default: return nil
        }
    }

    /// Lower case of ASCII letters; the long s folds to s, as in any Unicode-aware regular expression.
    private func foldedLetter(_ scalar: UInt32) -> UInt32 {
        if (0x41...0x5A).contains(scalar) { return scalar + 0x20 }
        return scalar == 0x17F ? 0x73 : scalar
    }

    private func runEnd(of kind: ScalarClass, from start: Int) -> Int {
        var end = start
        while end < count, classes[end] == kind { end += 1 }
        return end
    }

    private func spaceEnd(from start: Int) -> Int {
        var end = start
        while end < count, classes[end] == .space || classes[end] == .lineEnd { end += 1 }
        return end
    }
}
